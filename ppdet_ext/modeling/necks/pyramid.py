"""What the necks share towards their neighbours."""

import paddle.nn as nn
from ppdet.modeling.shape_spec import ShapeSpec


class Pyramid(nn.Layer):
    """A neck that is built from the backbone's maps and tells a head its own, coarsest first.

    A subclass takes ``in_channels`` and ``in_strides`` (finest first; None where the backbone tells none) and
    sets ``_channels`` and ``_strides`` of its outputs.
    """

    @classmethod
    def from_config(cls, cfg, input_shape):
        strides = [s.stride for s in input_shape]
        return {
            "in_channels": [s.channels for s in input_shape],
            "in_strides": strides if all(strides) else None,
        }

    @property
    def out_shape(self):
        """list[ShapeSpec]: channels and stride of each level, coarsest first."""
        return [ShapeSpec(channels=c, stride=s) for c, s in zip(self._channels, self._strides)]
