"""Reading of image files."""

import numpy as np
from ppdet.data.transform import operators

from ...runtime.image import decode_image, read_image
from .lazy import Lazy, picture_of, waits
from .picture import Picture


class Decode(Lazy, operators.Decode):
    """PaddleDetection's Decode; a file that is no image is named, and pixels that are there are taken."""

    read = staticmethod(read_image)  # of a file

    def apply(self, sample, context=None):
        if not waits(sample):
            return super(Lazy, self).apply(sample, context)
        picture = picture_of(sample)
        if picture is None:
            data = sample.get("image")
            picture = Picture(
                self.read(sample["im_file"]) if data is None else decode_image(data, "an image")
            )
        sample.pop("im_file", None)
        sample["image"] = picture
        sample["h"], sample["w"] = picture.shape[:2]  # the annotated ones may be wrong
        sample["im_shape"] = np.array(picture.shape[:2], "float32")
        sample["scale_factor"] = np.ones(2, "float32")
        return sample
