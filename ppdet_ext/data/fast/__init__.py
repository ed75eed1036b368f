"""PaddleDetection's reading operators again, many times faster: the same random draws, the same pixels.

They write down what is to be done to a `Picture`, which is painted once, straight into the batch. Each is a
subclass of PaddleDetection's operator of its name, takes its options, and hands a sample with more than boxes
(polygons, key points, masks) to it.
"""

from .batch import BatchRandomResize, NormalizeImage, Permute, Resize
from .colour import AugmentHSV, RandomDistort
from .decode import Decode
from .geometry import RandomCrop, RandomExpand, RandomFlip
from .lazy import Lazy, settle
from .picture import Picture

OPERATORS = {
    cls.__name__: cls
    for cls in (
        AugmentHSV,
        BatchRandomResize,
        Decode,
        NormalizeImage,
        Permute,
        RandomCrop,
        RandomDistort,
        RandomExpand,
        RandomFlip,
        Resize,
    )
}

__all__ = ["OPERATORS", "Lazy", "Picture", "settle"]
