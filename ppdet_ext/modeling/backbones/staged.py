"""What backbones of a stem and stages share."""

import paddle.nn as nn
from ppdet.modeling.shape_spec import ShapeSpec

from ppdet_ext.nn.recompute import recomputed

from ..parts import Part


class StagedBackbone(nn.Layer):
    """A stem of stride 2 or 4 and stages, the first of which ends at stride 4, each next at twice the last.

    A subclass makes ``stem`` and ``stages`` and sets ``return_idx`` and ``_channels`` (of each stage).
    """

    # Recompute the stem and each stage in the backward pass: less memory, more time.
    use_checkpoint = False

    def _check_stages(self, layers, channels, return_idx):
        """Refuses (ValueError) tables that disagree."""
        name = type(self).__name__
        if len(layers) != len(channels) - 1:
            raise ValueError(
                f"{name}: {len(channels)} channels (stem and stages) need {len(channels) - 1} entries in "
                f"layers, not {len(layers)}"
            )
        wrong = [i for i in return_idx if not 0 <= i < len(layers)]
        if wrong:
            raise ValueError(f"{name}: return_idx {wrong[0]} names no stage of 0..{len(layers) - 1}")
        if list(return_idx) != sorted(set(return_idx)):
            raise ValueError(
                f"{name}: return_idx {list(return_idx)} does not rise; maps leave the finest first, each once"
            )

    def forward(self, inputs):
        """Extracts the feature maps.

        Args:
            inputs (dict): 'image' [B, 3, H, W] float32, H and W multiples of the last stride.

        Returns:
            list[Tensor]: ``[B, C_i, H / s_i, W / s_i]`` for each stage of ``return_idx``.
        """

        def run(part, x):
            return recomputed(part, x) if self.use_checkpoint and self.training else part(x)

        x = run(self.stem, inputs["image"])
        feats = []
        for i, stage in enumerate(self.stages):
            x = run(stage, x)
            if i in self.return_idx:
                feats.append(x)
        return feats

    def parts(self):
        """The stem and the stages, each of which reads the one before (list[Part])."""
        layers = [self.stem, *self.stages]
        names = ["stem", *(f"stage {i}" for i in range(len(self.stages)))]
        return [Part(name, (layer,), (i,)) for i, (name, layer) in enumerate(zip(names, layers))]

    @property
    def out_shape(self):
        """list[ShapeSpec]: channels and stride of each returned feature map."""
        return [ShapeSpec(channels=self._channels[i], stride=4 * 2**i) for i in self.return_idx]
