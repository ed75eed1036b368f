"""EfficientNet, EfficientDet's backbone."""

import math

import paddle.nn as nn
from ppdet.core.workspace import register, serializable
from ppdet.modeling.shape_spec import ShapeSpec

from ppdet_ext.nn import ConvNormAct, MBConv

from .staged import StagedBackbone

__all__ = ["EfficientNet"]

# Rows of blocks of the smallest size, grouped by the stride they end at, 2 to 32:
# blocks, kernel, stride, expansion, channels.
STAGES = (
    ((1, 3, 1, 1, 16),),
    ((2, 3, 2, 6, 24),),
    ((2, 5, 2, 6, 40),),
    ((3, 3, 2, 6, 80), (3, 5, 1, 6, 112)),
    ((4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
)
STEM = 32
# Width and depth of B0 to B7.
VARIANTS = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8), (1.6, 2.2), (1.8, 2.6), (2.0, 3.1))
SE_RATIO = 0.25
# Of the last block; a block further in has its share. The smallest size is published without.
DROP_PATH = 0.2
BATCH_NORM = {"bn_epsilon": 1e-3, "bn_momentum": 0.99}


def scale_channels(channels, width_mult):
    """Channels times ``width_mult``, rounded to a multiple of 8 that is not below nine tenths of it."""
    wanted = channels * width_mult
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def scale_blocks(blocks, depth_mult):
    """Blocks times ``depth_mult``, rounded up."""
    return math.ceil(blocks * depth_mult)


@register
@serializable
class EfficientNet(StagedBackbone):
    """A stem of stride 2, then stages of MBConv blocks, grouped by stride.

    .. code-block:: text

        image -- stem /2 -- stage 0 /2 -- stage 1 /4 -- stage 2 /8 -- stage 3 /16 -- stage 4 /32
                                C1            C2            C3            C4             C5

    Stages 3 and 4 are two rows of blocks of different kernels or widths; a map is the last block's output,
    after projection and shortcut. Neither the 1x1 convolution to 1280 channels nor the classifier is here.
    State-dict keys: ``stem``, ``stages.STAGE.ROW.BLOCK.{expand,depthwise,se.reduce,se.expand,project}``.

    Args:
        variant (int): 0 to 7, the size (B0 to B7): gives ``width_mult`` and ``depth_mult``.
        return_idx (list[int]): stages whose output is returned, from 0.
        act (str): of all blocks; 'relu6' is kind to INT8.
        se (bool): squeeze-and-excitation in every block.
        drop_path_rate (float | None): of the last block, see :class:`MBConv`; falls to 0 at the first one.
            None is as published: 0.2, and 0 for variant 0.
        width_mult, depth_mult (float | None): in place of the variant's.
        use_checkpoint (bool): recompute each stage in the backward pass: less memory, more time.

    Raises:
        ValueError: an unknown variant or stage, a rate or a multiplier out of range.

    Source: arXiv:1905.11946; google/automl 6a54c87, efficientdet/backbone/efficientnet_builder.py.
    """

    def __init__(
        self,
        variant=0,
        return_idx=(2, 3, 4),
        act="swish",
        se=True,
        drop_path_rate=None,
        width_mult=None,
        depth_mult=None,
        use_checkpoint=False,
    ):
        super().__init__()
        if variant not in range(len(VARIANTS)):
            raise ValueError(f"EfficientNet: variant is 0 to {len(VARIANTS) - 1}, not {variant!r}")
        width, depth = VARIANTS[variant]
        width = width if width_mult is None else width_mult
        depth = depth if depth_mult is None else depth_mult
        if min(width, depth) <= 0:
            raise ValueError(f"EfficientNet: width_mult {width} and depth_mult {depth} must be above 0")
        if drop_path_rate is None:
            drop_path_rate = DROP_PATH if variant else 0.0
        if not 0 <= drop_path_rate < 1:
            raise ValueError(f"EfficientNet: drop_path_rate must lie in [0, 1), not {drop_path_rate}")
        self._channels = [scale_channels(rows[-1][-1], width) for rows in STAGES]
        stem = scale_channels(STEM, width)
        self._check_stages(STAGES, [stem, *self._channels], return_idx)
        self.return_idx = list(return_idx)
        self.use_checkpoint = use_checkpoint

        options = {"act": act, "se_ratio": SE_RATIO if se else 0, **BATCH_NORM}
        total = sum(scale_blocks(row[0], depth) for rows in STAGES for row in rows)
        rates = iter([drop_path_rate * i / total for i in range(total)])

        def row_of_blocks(cin, blocks, kernel, stride, expansion, channels):
            cout = scale_channels(channels, width)
            first = MBConv(cin, cout, kernel, stride, expansion, drop_path=next(rates), **options)
            others = [
                MBConv(cout, cout, kernel, 1, expansion, drop_path=next(rates), **options)
                for _ in range(scale_blocks(blocks, depth) - 1)
            ]
            return nn.Sequential(first, *others)

        self.stem = ConvNormAct(3, stem, 3, 2, act=act, same=True, **BATCH_NORM)
        self.stages = nn.LayerList()
        cin = stem
        for rows in STAGES:
            stage = nn.Sequential()
            for number, row in enumerate(rows):
                stage.add_sublayer(str(number), row_of_blocks(cin, *row))
                cin = scale_channels(row[-1], width)
            self.stages.append(stage)
        for part in self.sublayers():
            if isinstance(part, nn.Conv2D):
                _initialise(part)

    @property
    def out_shape(self):
        """list[ShapeSpec]: channels and stride of each returned feature map."""
        return [ShapeSpec(channels=self._channels[i], stride=2 * 2**i) for i in self.return_idx]


def _initialise(conv):
    """As published: normal, of variance 2 over the fan-out of a group."""
    fan_out = math.prod(conv.weight.shape[2:]) * conv.weight.shape[0] // conv._groups
    nn.initializer.Normal(0.0, math.sqrt(2.0 / fan_out))(conv.weight)
