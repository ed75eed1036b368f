"""The reader's operators that are ours."""

import numpy as np
import pytest

from ppdet_ext.data.transforms import RandomScaleJitter


def sample_with(image, boxes):
    boxes = np.array(boxes, "float32").reshape(-1, 4)
    return {
        "image": image,
        "gt_bbox": boxes,
        "gt_class": np.arange(len(boxes)).reshape(-1, 1),
        "is_crowd": np.zeros([len(boxes), 1]),
        "gt_poly": [[i] for i in range(len(boxes))],
        "scale_factor": np.array([1.0, 1.0], "float32"),
    }


def bright_square(side, box):
    image = np.zeros([*side, 3], "float32")
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 1
    return image


def test_boxes_stay_on_what_they_hold():
    np.random.seed(3)
    operator = RandomScaleJitter([96, 160], [0.5, 2.0])
    seen = []
    for _ in range(200):
        box = [40, 24, 80, 64]
        sample = operator(sample_with(bright_square((100, 120), box), [box]))
        assert sample["image"].shape == (96, 160, 3) and sample["image"].dtype == np.float32
        if not len(sample["gt_bbox"]):
            continue
        rows, columns = np.nonzero(sample["image"][..., 0] > 0.5)
        around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(sample["gt_bbox"][0], around, atol=1.01)
        seen.append(sample["scale_factor"][0] * 100 / 96)
    assert 0.48 < min(seen) < 0.6 and 1.85 < max(seen) <= 2.0, "the factors cover the range"


def test_a_factor_of_one_fits_the_image_and_pads_below_and_right():
    image = np.full([50, 100, 3], 7, "uint8")
    sample = RandomScaleJitter(200, [1, 1], fill_value=[1, 2, 3])(sample_with(image, [[10, 10, 20, 30]]))
    assert (sample["image"][:100] == 7).all() and (sample["image"][100:] == [1, 2, 3]).all()
    np.testing.assert_allclose(sample["gt_bbox"], [[20, 20, 40, 60]])
    np.testing.assert_allclose(sample["scale_factor"], [2, 2])
    np.testing.assert_array_equal(sample["im_shape"], [100, 200])


def test_a_box_outside_leaves_with_all_its_fields():
    np.random.seed(0)
    boxes = [[0, 0, 2, 2], [20, 20, 44, 44], [62, 62, 64, 64]]
    sample = RandomScaleJitter(64, [2, 2])(sample_with(np.zeros([64, 64, 3], "uint8"), boxes))
    kept = sample["gt_class"][:, 0].tolist()
    assert 1 in kept and len(kept) < 3
    assert len(sample["gt_bbox"]) == len(sample["is_crowd"]) == len(kept)
    assert sample["gt_poly"] == [[i] for i in kept]
    assert (sample["gt_bbox"] >= 0).all() and (sample["gt_bbox"] <= 64).all()


def test_an_image_without_boxes():
    sample = RandomScaleJitter(32, [2, 2])(sample_with(np.full([8, 9, 3], 200, "uint8"), []))
    assert sample["gt_bbox"].shape == (0, 4) and sample["image"].shape == (32, 32, 3)
    assert (sample["image"] == 200).any()


@pytest.mark.parametrize("options", [{"size": [0, 3]}, {"scale_range": [2, 1]}, {"scale_range": [0, 1]}])
def test_impossible_settings(options):
    with pytest.raises(ValueError, match="RandomScaleJitter"):
        RandomScaleJitter(**options)


def test_readers_know_it_by_name():
    from ppdet.data import transform

    assert transform.RandomScaleJitter is RandomScaleJitter
