"""Post-training quantisation of an exported Paddle model, by PaddleSlim."""

import contextlib
import importlib
import logging
import os

import paddle
from tqdm import tqdm

from .program import CONVOLUTIONS, convolution_filters, gates, quantized_tensors, tail_convolutions

# The command's names -> PaddleSlim's.
METHODS = {"hist": "hist", "kl": "KL", "mse": "mse", "absmax": "abs_max"}
# Of PaddleSlim's histogram method: what share of the values lies under the threshold.
PERCENT = 0.9999
LOGGERS = (
    "paddle.static.quantization.post_training_quantization",
    "paddle.static.quantization.quantization_pass",
    "paddle.static.io",
)
# Modules of Paddle that show bars of their own.
BARS = [f"paddle.static.quantization.{name}" for name in ("post_training_quantization", "quantization_pass")]
INPUT = "image"
# The method mse keeps the range of the batch whose error is least: with one image a batch, of the image in
# which least happens. So it sees one batch, of as many pixels as the memory of a small machine bears.
MSE_PIXELS = 16 * 640 * 640


def calibrate(model_file, images, method):
    """Measures the range of each tensor of a model over images.

    Args:
        model_file (str): `model.pdmodel` with raw outputs; its weights stand beside it.
        images (list): of :class:`CalibrationImages`, or the like: [3, H, W] float32 each.
        method (str): of ``METHODS``.

    Returns:
        dict[str, float | list[float]]: activation -> its largest magnitude, weight of a convolution -> one a
        channel, by their names in the model.
    """
    with _static_mode():
        options = {"algo": METHODS[method], "hist_percent": PERCENT}
        if method == "mse":
            options["batch_size"] = max(1, min(len(images), MSE_PIXELS // images[0][0].size))
        sampling = _quantization(_sampling_class(), model_file, images, **options)
        sampling.quantize()
        return dict(sampling.thresholds())


def save_quantized(model_file, folder, scales, images, float_weights=()):
    """Writes the model with quantised convolutions, as PaddleSlim does for ONNX (``onnx_format``).

    Args:
        model_file (str): `model.pdmodel` of the float model.
        folder (str): gets `model.pdmodel` and `model.pdiparams`.
        scales (dict): of :func:`calibrate`.
        images (list): the first one is run once.
        float_weights (iterable): weights of the convolutions that stay float, by their names in the model.

    Returns:
        str: path of the graph.

    Raises:
        ValueError: no convolution is left to quantise.
    """
    from paddle.static.quantization import PostTrainingQuantization

    with _static_mode():
        executor = paddle.static.Executor(paddle.CPUPlace())
        program, _, _ = paddle.static.load_inference_model(os.path.splitext(model_file)[0], executor)
        skipped = [*tail_convolutions(program), *float_weights]
        if convolution_filters(program) <= set(skipped):
            raise ValueError("--float-layers: no convolution is left to quantise; name fewer")
        writing = _quantization(
            PostTrainingQuantization,
            model_file,
            images[:1],
            algo="abs_max",
            scale_dict={name: value for name, value in scales.items() if name not in skipped},
            skip_tensor_list=skipped,
        )
        return _write(writing.quantize(), folder, executor)


def write_again(model_file):
    """Writes a model anew that PaddleSlim wrote, in its place, so that `paddle.jit.load` takes it."""
    with _static_mode():
        executor = paddle.static.Executor(paddle.CPUPlace())
        path = os.path.splitext(model_file)[0]
        program, _, _ = paddle.static.load_inference_model(path, executor)
        if os.path.exists(path + ".pdiparams.info"):  # its list of weights, which will be in another order
            os.remove(path + ".pdiparams.info")
        return _write(program, os.path.dirname(model_file), executor)


def _write(program, folder, executor):
    """Writes a program that was loaded; returns the graph's path."""
    block = program.global_block()
    # Every saving puts a scale of 1 behind each output, and `paddle.jit.load` fails where two meet.
    names = [op.input_arg_names[0] for op in block.ops if op.type == "fetch"]
    for op in reversed(block.ops):
        if op.type == "scale" and op.output("Out")[0].startswith("save_infer_model/"):
            names = [op.input("X")[0] if name == op.output("Out")[0] else name for name in names]
    outputs = [block.var(name) for name in names]
    target = os.path.join(folder, "model")
    paddle.static.save_inference_model(
        target, [block.var(INPUT)], outputs, executor, program=program, clip_extra=True
    )
    return target + ".pdmodel"


@contextlib.contextmanager
def _static_mode():
    """Paddle's static mode, with a scope of its own, and without the library's chatter."""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in BARS:
        importlib.import_module(name).tqdm = _bar
    paddle.enable_static()
    try:
        with paddle.static.scope_guard(paddle.static.Scope()):
            yield
    finally:
        paddle.disable_static()


def _bar(*items, bar_format="", ncols=None, **options):
    """Paddle's bar with the time left, and none where stderr is no terminal."""
    return tqdm(*items, desc=bar_format.split(":")[0], disable=None, leave=False, **options)


class _Images(paddle.io.Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


def _quantization(kind, model_file, images, batch_size=1, **options):
    """One of PaddleSlim's quantisations over a model and images, per channel, in ONNX's form.

    With a ``batch_size`` it takes one batch, of images evenly spread.
    """
    if batch_size > 1:
        images = [images[i * len(images) // batch_size] for i in range(batch_size)]
    place = paddle.CPUPlace()
    with paddle.static.program_guard(paddle.static.Program()):
        feed = paddle.static.data(INPUT, [None, *images[0].shape], "float32")
    loader = paddle.io.DataLoader(
        _Images(images), feed_list=[feed], batch_size=batch_size, places=place, return_list=False
    )
    folder, name = os.path.split(model_file)
    return kind(
        executor=paddle.static.Executor(place),
        model_dir=folder,
        model_filename=name,
        params_filename=os.path.splitext(name)[0] + ".pdiparams",
        data_loader=loader,
        batch_size=batch_size,
        batch_nums=len(images) // batch_size,
        quantizable_op_type=list(CONVOLUTIONS),
        weight_quantize_type="channel_wise_abs_max",
        activation_quantize_type="moving_average_abs_max",
        onnx_format=True,
        **options,
    )


def _sampling_class():
    """PaddleSlim's quantisation, stopped once the ranges are measured."""
    from paddle.static.quantization import PostTrainingQuantization

    class Sampling(PostTrainingQuantization):
        def _update_program(self):
            """Nothing: the program stays as it is."""

        def _save_output_threshold(self):
            """Nothing, as above."""

        def _collect_target_varnames(self):
            """What gets a range, and no more: the method kl takes a second a tensor."""
            super()._collect_target_varnames()
            self._quantized_act_var_name &= quantized_tensors(self._program)

        def _collect_activation_abs_min_max(self):
            """Histograms begin at 0: their thresholds are counted from there, wherever the values begin.

            Else the range of a gate of 0.49 to 0.51 is 0.02.
            """
            super()._collect_activation_abs_min_max()
            for extremes in self._sampling_act_abs_min_max.values():
                extremes[0] = 0.0

        def _calculate_kl_hist_threshold(self):
            """Nothing is cut off a gate or the image, which have no outliers: kl would cut off a gate's upper
            half, hist the light background of a photograph."""
            super()._calculate_kl_hist_threshold()
            for name in (gates(self._program) | {INPUT}) & set(self._sampling_act_abs_min_max):
                self._quantized_var_threshold[name] = self._sampling_act_abs_min_max[name][1]

        def thresholds(self):
            """Name -> threshold, of every sampled tensor."""
            return self._quantized_var_threshold or self._quantized_threshold

    return Sampling
