"""Several views of each image in a reader of PaddleDetection, for test-time augmentation.

The plain image stays under its own keys of a batch, so that metrics and callbacks see what they always do.
The others travel beside it, as `view1_image`, `view1_scale_factor` and `view1_mirror`, and so on.
"""

import contextlib

import numpy as np
from ppdet.data.reader import Compose
from ppdet.data.transform.operators import BaseOperator

from ppdet_ext.runtime.tta.sizes import scaled_operators

from .transforms.offer import offered

# What a view needs on its way through the operators, and what the detector takes of it.
CARRIED = ("image", "im_shape", "scale_factor")
TAKEN = ("image", "scale_factor", "mirror")


def _key(view, name):
    return f"view{view}_{name}"


def split_views(batch):
    """The views of a batch.

    Args:
        batch (dict): of a reader.

    Returns:
        list[dict]: the plain batch first; of each other view 'image' [B, 3, H, W], 'scale_factor' [B, 2]
        (y, x) and 'mirror' [B, 1] float32, the width of the original image in pixels where it is flipped,
        else 0.
    """
    views = [batch]
    while _key(len(views), "image") in batch:
        views.append({name: batch[_key(len(views), name)] for name in TAKEN})
    return views


@contextlib.contextmanager
def reader_of_views(reader, tta, stride, place):
    """Readers that are made within give all views.

    Args:
        reader (dict): the reader's section of the config; changed, and back.
        tta (TTA): the views.
        stride (callable): the detector's coarsest stride (int), asked when a reader is made.
        place (str): the section's name, for errors.

    Raises:
        ValueError: from making the reader: its transforms do not fit the views.
    """
    keys = ("sample_transforms", "batch_transforms")
    before = {key: reader[key] for key in keys if key in reader}
    options = {"transforms": before.get("sample_transforms") or [], "tta": tta, "stride": stride}
    reader["sample_transforms"] = [{"SampleViews": {**options, "place": f"{place}.sample_transforms"}}]
    batch_transforms = before.get("batch_transforms")
    if batch_transforms:
        reader["batch_transforms"] = [{"BatchViews": {"transforms": batch_transforms, "tta": tta}}]
    try:
        yield
    finally:
        for key in keys:
            reader.pop(key, None)
        reader.update(before)


@offered
class SampleViews(BaseOperator):
    """Runs a reader's `sample_transforms` on each view of an image; set by :func:`reader_of_views`.

    A flipped view is the transforms' result for the flipped picture.

    Args:
        transforms (list): as of a reader, with a Decode.
        tta, stride, place: as of :func:`reader_of_views`.

    Raises:
        ValueError: no Decode, nothing that resizes, or a LetterBoxResize, whose padding PaddleDetection's
            evaluation does not take off again.
    """

    def __init__(self, transforms, tta, stride, place):
        super().__init__()
        operators = [pair for entry in transforms for pair in entry.items()]
        names = [name for name, _ in operators]
        if "Decode" not in names:
            raise ValueError(f"{place}: has no Decode, behind which test_time_augmentation begins")
        if "LetterBoxResize" in names:
            raise ValueError(
                f"{place}: test_time_augmentation can't map LetterBoxResize back; take Resize with "
                f"keep_ratio: true, and Pad"
            )
        start = names.index("Decode") + 1
        self.decode, operators = _compose(operators[:start]), operators[start:]
        scaled = {1.0: operators}
        if len(tta.scales) > 1:
            scaled = scaled_operators(operators, tta.scales, stride(), place)
        steps = {scale: _compose(scaled[scale]) for scale in tta.scales}
        self.plain = steps[1.0]
        self.others = [(view.flip, steps[view.scale]) for view in tta.views[1:]]

    def __call__(self, sample, context=None):
        sample = self.decode(sample)
        image, views = sample["image"], {}
        for number, (flip, transforms) in enumerate(self.others, 1):
            view = {**sample, "image": np.ascontiguousarray(image[:, ::-1]) if flip else image.copy()}
            # Without boxes, which operators change in place.
            view = transforms({key: value for key, value in view.items() if not key.startswith("gt_")})
            view["mirror"] = np.array([image.shape[1] if flip else 0], "float32")
            views.update({_key(number, name): view[name] for name in (*CARRIED, "mirror")})
        return {**self.plain(sample), **views}


@offered
class BatchViews(BaseOperator):
    """Runs a reader's `batch_transforms` on each view of a batch; set by :func:`reader_of_views`.

    Args:
        transforms (list): as of a reader.
        tta (TTA): the views.
    """

    def __init__(self, transforms, tta):
        super().__init__()
        self.transforms = Compose(transforms)
        self.count = len(tta.views)

    def __call__(self, samples, context=None):
        views = [
            self.transforms([{name: sample[_key(number, name)] for name in CARRIED} for sample in samples])
            for number in range(1, self.count)
        ]
        samples = self.transforms(samples)
        for number, view in enumerate(views, 1):
            for sample, one in zip(samples, view):
                sample.update({_key(number, name): one[name] for name in CARRIED})
        return samples


def _compose(operators):
    return Compose([{name: options} for name, options in operators])
