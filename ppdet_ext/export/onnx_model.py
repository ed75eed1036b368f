"""The ONNX target, through Paddle2ONNX."""

import os

from ppdet_ext.compat import paddle2onnx_options, program_ops
from ppdet_ext.versions import check_versions

from .onnx_half import to_half
from .onnx_nms import add_efficient_nms, add_nms
from .onnx_simplify import simplify

# The lowest opset in which every op of the anchor-free family has its plain form (Resize by size, Softmax
# over one axis), and one that TensorRT 8 and OpenVINO 2022 already read.
DEFAULT_OPSET = 13
# Paddle's op -> the opset in which ONNX got it: before, Paddle2ONNX ends the process.
NEEDED_OPSET = {"hard_swish": 14}
# Resize by size, which the neck needs, came with it.
LEAST_OPSET = 11
OUTPUTS = ("boxes", "scores")


def save_onnx(model_file, folder, opset=DEFAULT_OPSET, fp16=False):
    """Converts an exported Paddle model with raw outputs to ``model.onnx``.

    Args:
        model_file (str): what :func:`save_paddle` returned; the weights stand beside it.
        folder (str): of the ONNX file.
        opset (int): 11 or later.
        fp16 (bool): half precision, for GPUs.

    Returns:
        str: path of the ONNX file, with input 'image' and outputs 'boxes' and 'scores'.

    Raises:
        ValueError: a package is absent or does not go with this Paddle, or Paddle2ONNX refuses the graph.
    """
    try:
        import onnx
        import onnxslim  # noqa: F401
        import paddle2onnx
    except ImportError as error:
        raise ValueError(
            f"the ONNX target needs {error.name}; run: pip install 'ppdet_ext[convert]'"
        ) from None
    check_versions(("paddle2onnx",))
    check_opset(model_file, opset)
    target = os.path.join(folder, "model.onnx")
    weights = os.path.join(os.path.dirname(model_file), "model.pdiparams")
    try:
        paddle2onnx.export(
            model_file,
            weights,
            save_file=target,
            opset_version=opset,
            auto_upgrade_opset=False,
            verbose=False,
            enable_onnx_checker=True,
            **paddle2onnx_options(),
        )
    except RuntimeError as error:
        raise ValueError(f"{model_file}: Paddle2ONNX refuses this graph at opset {opset}: {error}") from None
    model = onnx.load(target)
    name_outputs(model)
    model = simplify(model)
    write_onnx(to_half(model) if fp16 else model, target)
    return target


def check_opset(model_file, opset):
    """Refuses (ValueError) a Paddle model with an op that the opset has not."""
    ops = program_ops(model_file) if model_file.endswith(".pdmodel") else ()
    for op, least in NEEDED_OPSET.items():
        if op in ops and opset < least:
            raise ValueError(f"opset {opset} has no {op}; give --opset {least}, or take another activation")


def save_onnx_nms(onnx_file, folder, settings, plugin=False):
    """Puts NMS behind an ONNX model with raw outputs.

    Args:
        onnx_file (str): the model; it stays as it is.
        folder (str): gets ``model.onnx``, or ``model_trt.onnx`` with the plugin.
        settings (dict): `NMS` of ``infer_cfg.yml``.
        plugin (bool): TensorRT's EfficientNMS in the place of ONNX's NonMaxSuppression.

    Returns:
        str: path of the file.
    """
    import onnx

    model = onnx.load(onnx_file)
    (add_efficient_nms if plugin else add_nms)(model, settings)
    target = os.path.join(folder, "model_trt.onnx" if plugin else "model.onnx")
    write_onnx(model, target)
    return target


def write_onnx(model, path):
    """Checks a model (onnx.ModelProto) and writes it."""
    import onnx

    onnx.checker.check_model(model)
    onnx.save(model, path)


def name_outputs(model):
    """Gives the graph's outputs, in their order, the names that the runtime asks for."""
    names = dict(zip((output.name for output in model.graph.output), OUTPUTS))
    for output in model.graph.output:
        output.name = names[output.name]
    for node in model.graph.node:
        for ports in (node.input, node.output):
            for i, name in enumerate(ports):
                ports[i] = names.get(name, name)
