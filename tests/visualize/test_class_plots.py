"""Plots of classes, from two to so many that no name could be read."""

import cv2
import numpy as np
import pytest

from ppdet_ext.visualize.class_ap_plot import plot_class_ap
from ppdet_ext.visualize.class_curves_plot import plot_class_curves
from ppdet_ext.visualize.confusion_plot import confusion_shares, plot_confusion


@pytest.mark.parametrize("count", [1, 10, 120])
def test_draw_any_number_of_classes(tmp_path, count):
    random = np.random.default_rng(0)
    names = [f"class {label}" for label in range(count)]
    ap50 = [0.5] * (count - 1) + [None if count > 1 else 0.5]
    plot_confusion(random.integers(0, 9, (count + 1, count + 1)), names, tmp_path / "a.png", "IoU 0.5")
    plot_class_curves(
        names, ap50, random.random((count, 101)), random.random((count + 1, 201)), tmp_path / "b.png", 0.7
    )
    classes = [{"name": n, "boxes": 3, "ap": a and a / 2, "ap50": a} for n, a in zip(names, ap50)]
    sizes = [{"size": "small", "boxes": 3, "ap": 0.2}, {"size": "large", "boxes": 0, "ap": None}]
    plot_class_ap(classes, sizes, tmp_path / "c.png")
    for name in "abc":
        image = cv2.imread(str(tmp_path / f"{name}.png"))
        assert image.std() > 5 and image.shape[1] < 1900


def test_shares_are_of_the_annotated_boxes():
    matrix = np.array([[6, 2, 2], [0, 0, 0], [5, 1, 0]])
    np.testing.assert_allclose(confusion_shares(matrix), [[0.6, 0.2, 0.2], [0, 0, 0], [0.5, 0, 0]])
