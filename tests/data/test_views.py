"""Readers of PaddleDetection that give several views of an image."""

import cv2
import numpy as np
import pytest
from ppdet.data.reader import EvalReader

from ppdet_ext.data.views import reader_of_views, split_views
from ppdet_ext.runtime.tta import TTA

NORMALIZE = {"NormalizeImage": {"mean": [0.0] * 3, "std": [1.0] * 3, "norm_type": "none"}}
TRANSFORMS = [
    {"Decode": {}},
    {"Resize": {"target_size": [64, 96], "keep_ratio": True, "interp": 1}},
    NORMALIZE,
    {"Permute": {}},
]
PAD = [{"PadBatch": {"pad_to_stride": 32}}]
SIZES = [(50, 80), (70, 60)]


@pytest.fixture
def samples(tmp_path):
    """Two samples as a dataset gives them, and their pictures."""
    made, pictures = [], []
    for number, size in enumerate(SIZES):
        picture = np.random.RandomState(number).randint(0, 256, (*size, 3)).astype(np.uint8)
        file = str(tmp_path / f"{number}.png")
        cv2.imwrite(file, picture[..., ::-1])
        boxes = np.array([[10, 5, 40, 30]], "float32")
        made.append({"im_id": np.array([number]), "im_file": file, "gt_bbox": boxes, "curr_iter": 0})
        pictures.append(picture)
    return made, pictures


def batch_of(section, samples):
    """A batch of a reader, as its workers make it."""
    reader = EvalReader(**section)
    # Operators change boxes in place.
    samples = [{**sample, "gt_bbox": sample["gt_bbox"].copy()} for sample in samples]
    return reader._batch_transforms([reader._sample_transforms(sample) for sample in samples])


def test_each_view_is_the_readers_result_for_the_changed_picture(samples, tmp_path):
    samples, pictures = samples
    section = {"sample_transforms": TRANSFORMS, "batch_transforms": PAD}
    plain = batch_of(section, samples)
    before = dict(section)
    with reader_of_views(section, TTA((0.5,), True), lambda: 32, "EvalReader"):
        views = split_views(batch_of(section, samples))
    assert section == before and section["sample_transforms"] is TRANSFORMS
    assert [view["image"].shape[2:] for view in views] == [(96, 96), (96, 96), (64, 64), (64, 64)]
    for key in plain:
        np.testing.assert_array_equal(views[0][key], plain[key], err_msg=key)
    for file, picture in enumerate(pictures):
        cv2.imwrite(samples[file]["im_file"], picture[:, ::-1, ::-1])
    flipped = batch_of(section, samples)
    half = {**TRANSFORMS[1]["Resize"], "target_size": [32, 64]}  # 48 is as near to 64 as to 32
    smaller = batch_of(
        {**section, "sample_transforms": [TRANSFORMS[0], {"Resize": half}, *TRANSFORMS[2:]]}, samples
    )
    for view, expected in ((views[1], flipped), (views[3], smaller)):
        np.testing.assert_array_equal(view["image"], expected["image"])
        np.testing.assert_array_equal(view["scale_factor"], expected["scale_factor"])
    assert [view["mirror"].tolist() for view in views[1:]] == [[[80], [60]], [[0], [0]], [[80], [60]]]


def test_as_for_the_voc_metric(samples):
    """With collate_batch off boxes stay apart, and views are arrays all the same."""
    section = {"sample_transforms": TRANSFORMS, "batch_transforms": PAD, "collate_batch": False}
    plain = batch_of(section, samples[0])
    with reader_of_views(section, TTA(flip=True), lambda: 32, "EvalReader"):
        views = split_views(batch_of(section, samples[0]))
    assert len(views) == 2 and views[1]["image"].shape == (2, 3, 96, 96)
    np.testing.assert_array_equal(views[0]["gt_bbox"], plain["gt_bbox"])


def test_views_without_batch_transforms(samples):
    section = {"sample_transforms": TRANSFORMS}
    with reader_of_views(section, TTA((2,)), lambda: 32, "EvalReader"):
        assert set(section) == {"sample_transforms"}
        views = split_views(batch_of(section, samples[0][:1]))
    assert section == {"sample_transforms": TRANSFORMS}
    assert [view["image"].shape[2:] for view in views] == [(60, 96), (120, 192)]


@pytest.mark.parametrize(
    "transforms, tta, message",
    [
        (TRANSFORMS[1:], TTA(flip=True), "has no Decode"),
        ([TRANSFORMS[0], *TRANSFORMS[2:]], TTA((0.5,)), "has no Resize, .* leave out the scales"),
        (
            [TRANSFORMS[0], {"LetterBoxResize": {"target_size": 64}}],
            TTA(flip=True),
            "can't map LetterBoxResize",
        ),
    ],
)
def test_transforms_that_do_not_fit(transforms, tta, message):
    section = {"sample_transforms": transforms}
    with pytest.raises(ValueError, match=f"^EvalReader.sample_transforms: .*{message}"):
        with reader_of_views(section, tta, lambda: 32, "EvalReader"):
            EvalReader(**section)
    assert section == {"sample_transforms": transforms}
