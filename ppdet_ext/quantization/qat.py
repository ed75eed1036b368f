"""Quantisation-aware training: a detector trained with the rounding that INT8 will put it through."""

import copy

import numpy as np
import paddle
import paddle.nn as nn
from paddle.nn.quant import quant_layers
from paddle.regularizer import L2Decay
from ppdet.core.workspace import register

from ppdet_ext.compat import quantizes
from ppdet_ext.nearest import choice
from ppdet_ext.nn import image_convolution, reparameterize
from ppdet_ext.training.checkpoints.loading import check_fits
from ppdet_ext.versions import check_versions

from .layers import match_layers

__all__ = ["DetectorQAT"]

# As after training: no engine's 8-bit graph takes a transposed convolution, and no network here has others.
QUANTIZABLE, QUANTIZED = nn.Conv2D, quant_layers.QuantizedConv2D
WEIGHT_QUANTIZERS = ("channel_wise_abs_max", "abs_max")
MEND = (
    "QAT starts from the weights of a complete float training of the same config; give its checkpoint with "
    "-o pretrain_weights=..."
)


def quantized_layers(model):
    """The quantised layers of a network, by their structured names (dict[str, nn.Layer])."""
    return {name: layer for name, layer in model.named_sublayers() if isinstance(layer, QUANTIZED)}


def is_quantized(model):
    """Whether a network (nn.Layer) holds layers that QAT quantised."""
    return any(isinstance(layer, QUANTIZED) for layer in model.sublayers(include_self=True))


@register
class DetectorQAT:
    """PaddleSlim's QAT on the network as it will be deployed.

    ``slim: DetectorQAT`` in a ``--slim_config`` names it; PaddleDetection's own commands take it, too. The
    network is re-parameterised first, so that the kernels that train are those that run. Then the input and
    the weight of each convolution pass through fake quantisers: symmetric INT8, weights a channel, inputs by
    a moving average of the largest magnitude of a batch. Outputs of the network are never quantised, nor are
    the convolution that reads the image and layers with ``skip_quant`` (the projection of DFL).

    Args:
        reparameterize (bool): False keeps branches and BatchNorms; such a model can't be fused later.
        float_layers (list[str]): layers that stay float, by structured names of the network that trains,
            with ``*`` and ``?``: 'yolo_head.pred_*'.
        weight_quantize_type (str): channel_wise_abs_max or abs_max (one range a layer).
        moving_rate (float): share of the old range that a step keeps, in (0, 1).
        distillation: FeatureDistillation or OutputDistillation: the float network teaches.
        pretrain_weights (str | None): where the float weights come from, for the check that all were loaded.

    ``quant_config`` is the dict that PaddleSlim gets; PaddleDetection changes it when it exports.

    Raises:
        ValueError: an option out of its range, a name in ``float_layers`` that matches nothing, a float
            checkpoint that fits in part.

    Source: PaddleSlim 2.6, paddleslim/dygraph/quant/qat.py; arXiv:1712.05877.
    """

    __shared__ = ["pretrain_weights"]
    __inject__ = ["distillation"]

    def __init__(
        self,
        reparameterize=True,
        float_layers=(),
        weight_quantize_type="channel_wise_abs_max",
        moving_rate=0.9,
        distillation=None,
        pretrain_weights=None,
    ):
        if weight_quantize_type not in WEIGHT_QUANTIZERS:
            known = choice(weight_quantize_type, WEIGHT_QUANTIZERS)
            raise ValueError(
                f"DetectorQAT: weight_quantize_type '{weight_quantize_type}' is unknown; {known}"
            )
        if not isinstance(moving_rate, float) or not 0 < moving_rate < 1:
            raise ValueError(f"DetectorQAT: moving_rate is {moving_rate!r}; give a number between 0 and 1")
        if not isinstance(float_layers, (list, tuple)):
            raise ValueError(f"DetectorQAT: float_layers is {float_layers!r}; give a list of names")
        if not isinstance(reparameterize, bool):
            raise ValueError(f"DetectorQAT: reparameterize is {reparameterize!r}; give true or false")
        if distillation is not None and not hasattr(distillation, "attach"):
            raise ValueError(
                f"DetectorQAT: distillation is {distillation!r}; write distillation: FeatureDistillation or "
                "OutputDistillation"
            )
        self.reparameterize = reparameterize
        self.float_layers = list(float_layers)
        self.distillation = distillation
        self.pretrain_weights = pretrain_weights
        self.quant_config = {
            "weight_preprocess_type": None,
            "activation_preprocess_type": None,
            "weight_quantize_type": weight_quantize_type,
            "activation_quantize_type": "moving_average_abs_max",
            "weight_bits": 8,
            "activation_bits": 8,
            "dtype": "int8",
            "moving_rate": moving_rate,
            "quantizable_layer_type": ["Conv2D"],
            "onnx_format": True,
        }
        self._quantizer = None

    def __call__(self, model):
        """Quantises a detector in place.

        Args:
            model (nn.Layer): holds its float weights in a training; in an evaluation those that it was made
                with, since the checkpoint of a QAT is loaded afterwards.

        Returns:
            nn.Layer: ``model``, in training mode.
        """
        trained = _is_trained(model)
        if trained and self.pretrain_weights:
            # PaddleDetection's loader takes what fits and goes on.
            check_fits(model, self.pretrain_weights, MEND)
        model.eval()
        teacher = copy.deepcopy(model) if trained and self.distillation else None
        if self.reparameterize:
            _reparameterize(model)
        _keep_float(model, self.float_layers)
        image_convolution(model, lambda images: model.backbone({"image": images})).skip_quant = True
        self._quantize(model)
        _guard(model, trained)
        model.train()
        if teacher is not None:
            self.distillation.attach(model, reparameterize(teacher))
        return model

    def _quantize(self, model):
        try:
            from paddleslim.dygraph.quant import QAT
        except ImportError as error:
            raise ValueError(
                f"quantisation-aware training needs PaddleSlim ({error}); run: bash scripts/setup.sh"
            ) from None
        check_versions(("paddleslim",))
        self._quantizer = QAT(config=self.quant_config)
        places = _places(model)
        self._quantizer.quantize(model)
        replaced = {}
        for parent, name, layer in places:
            now = parent._sub_layers[name]
            if now is not layer:
                # PaddleSlim watches the outputs, too. Its exporter turns each watcher into a quantiser that
                # training never saw: the graph would be another function than the network.
                replaced[id(layer)] = getattr(now, "_layer", now)
        for parent, name, layer in places:
            # Also where a layer that two parents share was found only once.
            if id(layer) in replaced:
                setattr(parent, name, replaced[id(layer)])
        if not is_quantized(model):
            raise ValueError("DetectorQAT: no layer is left to quantise; shorten float_layers")

    def save_quantized_model(self, layer, path, input_spec=None):
        """Writes a static graph in which ``quantize_linear`` and ``dequantize_linear`` stand for the fake
        quantisers, and weights are INT8 (PaddleSlim's ``onnx_format``).

        Args:
            layer (nn.Layer): the quantised network, or one that wraps it; left in evaluation mode.
            path (str): ``FOLDER/model`` writes model.pdmodel and model.pdiparams.
            input_spec (list[InputSpec]): of ``layer.forward``.

        Raises:
            ValueError: on Paddle 3, where PaddleSlim can't.
        """
        if not quantizes():
            raise ValueError(
                f"{path}: PaddleSlim exports a quantised network with Paddle 2.6 only; this checkpoint loads "
                "there, too: bash scripts/setup.sh makes the environment"
            )
        layer.eval()
        with paddle.no_grad():
            for quantized in quantized_layers(layer).values():
                # The graph takes the stored range of a weight; after an average over steps it is not the
                # weight's own.
                quantized._fake_quant_weight(quantized.weight)
        self._quantizer.save_quantized_model(layer, path, input_spec)


def _is_trained(model):
    """Whether weights have been loaded since the network was made: its BatchNorms have seen something."""
    norms = [layer for layer in model.sublayers() if hasattr(layer, "_mean") and hasattr(layer, "_variance")]
    return not norms or any(bool((norm._mean != 0).any()) for norm in norms)


def _places(model):
    """Where each quantisable layer hangs: (parent, name, layer); a shared one several times."""
    return [
        (parent, name, layer)
        for parent in model.sublayers(include_self=True)
        for name, layer in parent._sub_layers.items()
        if isinstance(layer, QUANTIZABLE)
    ]


def _reparameterize(model):
    before = {id(parameter) for parameter in model.parameters()}
    reparameterize(model)
    for parameter in model.parameters():
        if id(parameter) not in before and parameter.ndim == 1:
            parameter.regularizer = L2Decay(0.0)  # a BatchNorm's shift was exempt from weight decay


def _keep_float(model, patterns):
    layers = {name: layer for name, layer in model.named_sublayers() if isinstance(layer, QUANTIZABLE)}
    for name in match_layers(patterns, layers, "DetectorQAT.float_layers"):
        layers[name].skip_quant = True


def _guard(model, trained):
    """Refuses the first batch of a network whose ranges nobody trained, in a run that does not train them."""
    layers = list(quantized_layers(model).values())

    def check(layer, inputs):
        if not paddle.in_dynamic_mode():  # a graph is being captured
            return
        handle.remove()
        counts = np.array([float(quantized._fake_quant_input._state) for quantized in layers])
        if (counts == 1).all() and not (layer.training and trained):
            raise ValueError(
                f"no float weights have been loaded; {MEND}"
                if layer.training
                else "the ranges of the quantised network were never trained; take the checkpoint of a QAT"
            )

    handle = layers[0].register_forward_pre_hook(check)
