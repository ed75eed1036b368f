"""Reading of image files."""

import numpy as np
from ppdet.data.transform import operators

from ..file_decoder import FileDecoder
from .lazy import Lazy, picture_of, waits
from .picture import Picture


class Decode(FileDecoder, Lazy, operators.Decode):
    """PaddleDetection's Decode; a file that is no image is named, and pixels that are there are taken."""

    def apply(self, sample, context=None):
        if not waits(sample):
            return super(Lazy, self).apply(sample, context)
        picture = picture_of(sample)
        if picture is None:
            picture = Picture(self.decode(sample))
        sample.pop("im_file", None)
        sample["image"] = picture
        sample["h"], sample["w"] = picture.shape[:2]  # the annotated ones may be wrong
        sample["im_shape"] = np.array(picture.shape[:2], "float32")
        sample["scale_factor"] = np.ones(2, "float32")
        return sample
