"""From a picture to the network's inputs, one a view."""

from typing import NamedTuple, Optional

import cv2

from ..operators import NetworkImage
from ..preprocess import Preprocess
from ..slots import Slot
from .sizes import scaled_operators


class ViewImage(NamedTuple):
    """A view on its way into the network.

    Args:
        network_image (NetworkImage): what goes in.
        mirror (int | None): of a flipped view the width of the input image, in its pixels.
    """

    network_image: NetworkImage
    mirror: Optional[int]


class ViewsPreprocess:
    """The preprocessing of an `infer_cfg.yml`, for each view of an image.

    A flipped view is the preprocessing of the flipped picture: padding stays on its side.

    Args:
        config (InferConfig): of the exported folder.
        tta (TTA): the views.

    Attributes:
        shape (tuple): of each view, as of `Preprocess`.

    Raises:
        ValueError: as of `Preprocess`; or scales of a model that takes one size, or does not say its stride.
    """

    def __init__(self, config, tta):
        self.views = tta.views
        self.steps = {1.0: Preprocess(config.preprocess, config.file)}
        if len(tta.scales) > 1:
            self._check_sizes(config)
            operators = [(entry["type"], entry) for entry in config.preprocess]
            scaled = scaled_operators(operators, tta.scales, config.stride, config.file)
            for scale in tta.scales[1:]:
                self.steps[scale] = Preprocess([entry for _, entry in scaled[scale]], config.file)
        self.shape = tuple(self.steps[view.scale].shape for view in self.views)

    @staticmethod
    def _check_sizes(config):
        if not config.free_size:
            raise ValueError(
                f"{config.file}: the model takes images of one size, so only 'flip' works; for scales export "
                f"it with '--size -1 -1'"
            )
        if config.stride is None:
            raise ValueError(f"{config.file}: has no fpn_stride, which scales need; export the model again")

    def __call__(self, image, rows=None):
        """Prepare one image.

        Args:
            image (numpy.ndarray): [H, W, 3] uint8 RGB; stays as it is.
            rows (list | None): for each view `out` of `Preprocess`.

        Returns:
            list: a ViewImage each view.
        """
        flipped = cv2.flip(image, 1) if any(view.flip for view in self.views) else None
        return [
            ViewImage(
                self.steps[view.scale](flipped if view.flip else image, row),
                image.shape[1] if view.flip else None,
            )
            for view, row in zip(self.views, rows or [None] * len(self.views))
        ]


class ViewSlots:
    """Room for one batch in every view; used as a `Slot`.

    Args:
        size (int): images that fit.
        shape (tuple): of each view, as of `Slot`.
    """

    def __init__(self, size, shape):
        self.size = size
        self.shape = shape
        self.slots = [Slot(size, each) for each in shape]

    def row(self, number):
        """The rows of an image, one a view."""
        return [slot.row(number) for slot in self.slots]

    def run(self, backend, prepared, fixed_size=None):
        """Run the network on every view; as of `Slot`, but `prepared` holds lists of ViewImages.

        Returns:
            tuple: its one item is a list of the outputs, a tuple each view.
        """
        outputs = []
        for view, slot in enumerate(self.slots):
            images = [None if image is None else image[view].network_image for image in prepared]
            outputs.append(slot.run(backend, images, fixed_size))
        return (outputs,)
