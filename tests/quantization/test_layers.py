"""Convolutions by name."""

import pytest

from ppdet_ext.nn import image_convolution
from ppdet_ext.quantization.layers import convolution_weights, match_layers

NAMES = ["backbone.stem.conv1.conv", "yolo_head.pred_cls.0", "yolo_head.pred_cls.1", "yolo_head.pred_reg.0"]


@pytest.mark.parametrize(
    "patterns, found",
    [
        ([], []),
        (["yolo_head.pred_cls.?"], NAMES[1:3]),
        (["yolo_head.*"], NAMES[1:]),
        (["*.conv", "yolo_head.pred_reg.0"], [NAMES[0], NAMES[3]]),
        (["*"], NAMES),
    ],
)
def test_patterns(patterns, found):
    assert match_layers(patterns, NAMES) == set(found)


@pytest.mark.parametrize("pattern", ["yolo_head.pred_clss.0", "Yolo_head.pred_cls.0"])
def test_a_pattern_without_effect_names_the_nearest(pattern):
    with pytest.raises(ValueError, match=f"--float-layers: .* '{pattern}'; did you mean 'yolo_head.pred_cls"):
        match_layers(["backbone.*", pattern], NAMES)


def test_the_names_are_those_of_the_checkpoint(relu):
    import paddle

    weights = convolution_weights(relu.raw)
    keys = paddle.load(str(relu.folder / "float.pdparams"))
    heads = [name for name in weights if name.startswith("yolo_head.")]
    assert {"yolo_head.pred_cls.0", "yolo_head.proj_conv", "yolo_head.stem_reg.2.fc"} <= set(heads)
    # Those that re-parameterisation makes are the sums of branches, and new.
    kept = {name for name in weights if f"{name}.weight" in keys}
    assert set(heads) <= kept and len(weights) == len(set(weights.values())) == 84
    by_name = dict(relu.raw.named_sublayers())
    assert weights["yolo_head.pred_cls.1"] == by_name["head.pred_cls.1"].weight.name


def test_the_convolution_that_reads_the_image(relu):
    """By computation, not by order of definition; and nothing is left behind on the network."""
    import paddle.nn as nn

    raw = relu.raw
    assert image_convolution(raw, raw) is raw.backbone.stem[0].conv

    class Backwards(nn.Layer):
        def __init__(self):
            super().__init__()
            self.second = nn.Conv2D(4, 2, 1)
            self.first = nn.Conv2D(3, 4, 3)

        def forward(self, x):
            return self.second(self.first(x))

    net = Backwards()
    assert image_convolution(net, net) is net.first
    assert not net.first._forward_pre_hooks and not net.second._forward_pre_hooks
