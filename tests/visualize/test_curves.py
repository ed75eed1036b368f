import cv2
import numpy as np
import pytest

from ppdet_ext.visualize import plot_training
from ppdet_ext.visualize.curves import _running_mean

LOSSES = [
    {"epoch": 0, "step": step, "loss": 3 - step / 50, "loss_cls": 1.0, "lr": 0.01} for step in range(100)
]
EVALUATIONS = [{"epoch": 1, "ap": 0.2, "ap50": 0.4}, {"epoch": 2, "ap": 0.3, "ap50": 0.5}]


@pytest.mark.parametrize(
    "losses, evaluations",
    [(LOSSES, EVALUATIONS), (LOSSES, []), ([], EVALUATIONS), (LOSSES[:1], [{"epoch": 0, "ap": None}])],
)
def test_draws_a_png(tmp_path, losses, evaluations):
    evaluations = [
        {**record, "ap": np.nan if record["ap"] is None else record["ap"]} for record in evaluations
    ]
    path = tmp_path / "new" / "curves.png"
    plot_training(losses, evaluations, path, "a run")
    image = cv2.imread(str(path))
    assert image.shape[1] > 2 * image.shape[0] and image.std() > 5
    assert [file.name for file in path.parent.iterdir()] == ["curves.png"]


def test_nan_in_a_loss_leaves_a_gap(tmp_path):
    values = np.array([4.0, 2.0, np.nan, 0.0, 2.0])
    np.testing.assert_allclose(_running_mean(values, 3), [4, 3, np.nan, 1, 1])
    plot_training([*LOSSES, {"epoch": 1, "step": 100, "loss": float("nan")}], [], tmp_path / "a.png")


def test_records_without_an_axis(tmp_path):
    with pytest.raises(ValueError, match="no records of the training"):
        plot_training([], [], tmp_path / "a.png")
    with pytest.raises(ValueError, match="record 0 has no 'step', only loss"):
        plot_training([{"loss": 1.0}], [], tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
