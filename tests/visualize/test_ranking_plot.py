import cv2
import numpy as np
import pytest

from ppdet_ext.visualize import plot_ranking
from ppdet_ext.visualize.ranking_plot import MOST_ROWS

RANKING = [("yolo_head.pred_reg.0", 0.4), ("backbone.stem.conv1.conv", 0.2), ("neck.conv", 0.1)]


def lengths(image, colour):
    """Pixels of a colour (RRGGBB) in the rows of the picture above the legend's, each bar by its length."""
    bgr = [int(colour[i : i + 2], 16) for i in (4, 2, 0)]
    rows = (np.abs(image.astype(int) - bgr).max(2) < 3).sum(1)
    starts = np.flatnonzero((rows[1:] > 0) & (rows[:-1] == 0)) + 1
    return [int(np.max(rows[start : start + 8])) for start in starts]


def test_bars_are_as_long_as_the_error_and_coloured_by_form(tmp_path):
    path = tmp_path / "new" / "ranking.png"
    plot_ranking(RANKING, ["backbone.stem.conv1.conv"], path, drop=0.4, budget=0.5)
    image = cv2.imread(str(path))
    (float_bar, *_), (first, last, *_) = lengths(image, "d55e00"), lengths(image, "3a7fbd")
    assert first / float_bar == pytest.approx(2, rel=0.02)
    assert first / last == pytest.approx(4, rel=0.03)
    assert [file.name for file in path.parent.iterdir()] == ["ranking.png"]


@pytest.mark.parametrize("count", [1, 3, MOST_ROWS, 3 * MOST_ROWS])
def test_as_tall_as_it_needs(tmp_path, count):
    ranking = [(f"backbone.stages.{i}.a.rather.long.name.of.a.layer.conv", 1 / (i + 1)) for i in range(count)]
    plot_ranking(ranking, [], tmp_path / "ranking.png")
    image = cv2.imread(str(tmp_path / "ranking.png"))
    assert image.shape[0] > 28 * min(count, MOST_ROWS) and image.shape[0] < 1500 and image.shape[1] == 1235
    assert (image[:, -3:] == 255).all() and (image[:2] == 255).all(), "nothing is cut off"
    bars = lengths(image, "3a7fbd")
    assert len(bars) >= min(count, MOST_ROWS) and max(bars) == bars[0]
