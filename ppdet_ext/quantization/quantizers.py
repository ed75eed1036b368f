"""The two ways to a quantised Paddle model, as the exporter asks for it."""

import os
import shutil
import tempfile

import numpy as np
import onnx
from paddle.static import InputSpec

from ppdet_ext.compat import quantizes
from ppdet_ext.export.graph import deployed, float_weights, without_swish
from ppdet_ext.export.onnx_model import DEFAULT_OPSET, save_onnx
from ppdet_ext.export.onnx_qdq import FITTING, place
from ppdet_ext.export.onnx_ranges import read_quantized
from ppdet_ext.export.paddle_model import NAME, save_paddle
from ppdet_ext.nn import image_convolution
from ppdet_ext.runtime import Detector

from .budget import fewest_float
from .calibration import CalibrationImages
from .layers import convolution_weights, match_layers
from .post_training import METHODS, calibrate, save_quantized, write_again
from .ranking import rank_layers

INFER_CFG = "infer_cfg.yml"


class PostTraining:
    """Quantises a trained model by PaddleSlim.

    Args:
        files (list): images to calibrate on.
        method (str): of ``METHODS``.
        float_layers (iterable[str]): convolutions that stay float, with * and ? for many, beside the one
            that reads the image.
        max_drop (float | None): AP in points of 100 that may be lost; more convolutions stay float then.
        score (callable | None): a Detector -> its AP in points of 100 or None; needed with ``max_drop``.
        weight_levels (int): see :func:`place`.
        rank (bool): order the layers even where ``max_drop`` does not need it.
        say (callable): is told what happens.

    After :meth:`save` there are ``float_layers`` (list[str], the final ones), ``ranking`` (list of layer and
    error, empty without ``max_drop``) and ``drop`` (AP lost in ONNX Runtime, None without).
    """

    def __init__(
        self,
        files,
        method="hist",
        float_layers=(),
        max_drop=None,
        score=None,
        weight_levels=FITTING,
        rank=False,
        say=print,
    ):
        self.files, self.method, self.patterns = files, method, list(float_layers)
        self.max_drop, self.score, self.rank = max_drop, score, rank
        self.weight_levels, self.say = weight_levels, say
        self.float_layers, self.ranking, self.drop = [], [], None
        self.thresholds = {}

    def prepare(self, raw):
        """Puts the network into the form that is quantised: re-parameterised."""
        return deployed(raw)

    def save(self, raw, folder, shape):
        """Writes `model.pdmodel` and `model.pdiparams`, convolutions quantised.

        Args:
            raw (RawGraph): re-parameterised, in evaluation mode.
            folder (str): holds `infer_cfg.yml`.
            shape (list): [B, 3, H, W]; None or -1 is free.

        Returns:
            str: path of the graph.

        Raises:
            ValueError: this Paddle can't quantise, a size is free, a pattern matches no layer, or the budget
                can't be kept.
        """
        check_quantizable(shape[2:])
        weights = convolution_weights(raw)
        chosen = match_layers(self.patterns, weights)
        images = CalibrationImages(self.files, folder)
        with tempfile.TemporaryDirectory() as workplace:
            with without_swish(raw):
                source = save_paddle(raw, workplace, shape)
            self.say(f"calibration: {len(images)} images, method {self.method}")
            scales = calibrate(source, images, self.method)
            # PaddleSlim does not write those of what goes into SiLU, which it does not know.
            self.thresholds = {name: value for name, value in scales.items() if np.ndim(value) == 0}
            # What it rounds away of a photograph, seen through 27 weights a channel, no later layer has.
            kept = {weights[layer] for layer in chosen} | {image_convolution(raw, raw).weight.name}
            layers = {weight: layer for layer, weight in weights.items()}
            model_file = save_quantized(source, folder, scales, images, kept)
            if self.max_drop is not None or self.rank:
                more = self._keep_budget(raw, source, model_file, layers)
                if more:
                    kept |= more
                    model_file = save_quantized(source, folder, scales, images, kept)
            self.float_layers = sorted(layers[weight] for weight in kept)
            return model_file

    def _keep_budget(self, raw, source, model_file, layers):
        """Weights of a quantised model that have to be float, so that no more AP is lost than may be.

        Args:
            raw (RawGraph): the network.
            source (str): the float model.
            model_file (str): the quantised one, beside its `infer_cfg.yml`.
            layers (dict): weight -> its layer's name.
        """
        folder = os.path.dirname(model_file)
        images = CalibrationImages(self.files, folder)
        with tempfile.TemporaryDirectory() as workplace:
            shutil.copy(os.path.join(folder, INFER_CFG), workplace)
            float_file = save_onnx(source, workplace, DEFAULT_OPSET)
            quantized = read_quantized(model_file, DEFAULT_OPSET, self.thresholds, float_weights(raw))

            def rank():
                ranked = rank_layers(quantized, images, self.weight_levels)
                self.ranking = [(layers[weight], error) for weight, error in ranked]
                return [weight for weight, _ in ranked]

            full = None if self.max_drop is None else self.score(Detector(workplace, "onnxruntime"))

            def drop_of(kept_float):
                onnx.save(place(quantized, "onnx", kept_float, self.weight_levels), float_file)
                ap = self.score(Detector(workplace, "onnxruntime"))
                return None if ap is None or full is None else full - ap

            more = []
            if self.max_drop is not None:
                more, self.drop = fewest_float(rank, drop_of, self.max_drop, self.say)
            if self.rank and not self.ranking:
                rank()
        return set(more)

    def account(self):
        """What `export.json` says of the quantisation."""
        return {
            "by": "PaddleSlim, after training",
            "method": self.method,
            "calibration_images": len(self.files),
            "weight_levels": self.weight_levels,
            "float_layers": self.float_layers,
            "max_drop": self.max_drop,
            "ap_drop": self.drop,
            "ranking": [{"layer": layer, "error": error} for layer, error in self.ranking],
        }


class Trained:
    """Takes the quantisation of a model that was trained with it.

    Args:
        slim (DetectorQAT): of the model.
        files (list): images that the ranges of tensors between convolutions are measured on; where there are
            none they follow from the trained ranges as far as they do, and the rest stays float.
        weight_levels (int): see :func:`place`.
    """

    def __init__(self, slim, files=(), weight_levels=FITTING):
        self.slim, self.files, self.weight_levels = slim, list(files), weight_levels
        self.thresholds = {}

    def prepare(self, raw):
        """Leaves the network as it was trained: in the form that its quantisation belongs to."""
        raw.eval()
        return raw

    def save(self, raw, folder, shape):
        """As :meth:`PostTraining.save`."""
        check_quantizable(shape[2:])
        spec = [None if side in (None, -1) else int(side) for side in shape]
        with without_swish(raw):
            self.slim.save_quantized_model(
                raw, os.path.join(folder, NAME), [InputSpec(spec, "float32", name="image")]
            )
        model_file = write_again(os.path.join(folder, NAME + ".pdmodel"))
        if self.files:
            images = CalibrationImages(self.files, folder)
            self.thresholds = calibrate(model_file, images, "absmax")
        return model_file

    def account(self):
        """What `export.json` says of the quantisation."""
        return {
            "by": "PaddleSlim, in training",
            "calibration_images": len(self.files),
            "weight_levels": self.weight_levels,
        }


def check_quantizable(size):
    """Refuses (ValueError) a Paddle that can't quantise, and a free size [H, W]."""
    if not quantizes():
        raise ValueError(
            "PaddleSlim quantises models of Paddle 2.6, and this is Paddle 3; run it in .venv "
            "(bash scripts/setup.sh)"
        )
    if -1 in size:
        raise ValueError("a quantised model has one size; give --size H W")


__all__ = ["METHODS", "PostTraining", "Trained"]
