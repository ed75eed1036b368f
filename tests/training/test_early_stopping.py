"""When a training ends early, and what a resumed one remembers."""

import json
from types import SimpleNamespace

import pytest

from ppdet_ext.training.early_stopping import EarlyStopping


def make(folder, patience, records=()):
    (folder / "tiny").mkdir(exist_ok=True)
    lines = [json.dumps(record) + "\n" for record in records]
    (folder / "tiny" / "history.jsonl").write_text("".join(lines))
    metric = SimpleNamespace(get_results=lambda: {"bbox": [metric.ap]})
    cfg = SimpleNamespace(save_dir=str(folder), filename="tiny")
    trainer = SimpleNamespace(cfg=cfg, _metrics=[metric], stop_training=None)
    return EarlyStopping(trainer, patience), trainer


def run(stopping, trainer, course, start=0):
    """The last epoch of a training whose evaluations give ``course`` {epoch: AP}."""
    stopping.on_train_begin({"epoch_id": start})
    for epoch, ap in course.items():
        stopping.on_epoch_end({"mode": "train", "epoch_id": epoch})
        assert trainer.stop_training is None
        trainer._metrics[0].ap = ap
        stopping.on_epoch_end({"mode": "eval", "epoch_id": epoch})
        if trainer.stop_training:
            return epoch
    return None


@pytest.mark.parametrize(
    "course, patience, last",
    [
        ([0.1, 0.2, 0.2, 0.19, 0.2], 3, 4),
        ([0.1, 0.2, 0.2, 0.19, 0.21, 0.2, 0.2, 0.2], 3, 7),
        ([0.1, 0.2, 0.3, 0.4], 1, None),
        ([0.3, 0.2], 1, 1),
        # Nothing found as yet is no end of progress.
        ([0.0, 0.0, 0.0, 0.0, 0.1, 0.1, 0.1], 2, 6),
    ],
)
def test_it_ends_after_epochs_without_a_better_one(tmp_path, course, patience, last):
    stopping, trainer = make(tmp_path, patience)
    assert run(stopping, trainer, dict(enumerate(course))) == last
    if last is not None:
        assert f"above {max(course):.3f} since epoch {course.index(max(course))}" in trainer.stop_training


def test_epochs_count_not_evaluations(tmp_path):
    stopping, trainer = make(tmp_path, 10)
    assert run(stopping, trainer, {4: 0.3, 9: 0.2, 14: 0.3, 19: 0.4}) == 14


def test_a_resumed_training_remembers(tmp_path):
    records = [{"epoch": 0, "step": 0, "loss": 1.0}, {"epoch": 1, "ap": 0.5, "ap50": 0.6}]
    records += [{"epoch": 2, "ap": 0.4, "ap50": 0.6}, {"epoch": 7, "ap": 0.9, "ap50": 0.9}]
    stopping, trainer = make(tmp_path, 3, records)
    # The course after epoch 3 was left: its 0.9 is of no weights that are there.
    assert run(stopping, trainer, {3: 0.45, 4: 0.49}, start=3) == 4
    assert "above 0.500 since epoch 1" in trainer.stop_training


@pytest.mark.parametrize("patience", [0, -2, 1.5, True, "20"])
def test_a_patience_is_a_number_of_epochs(tmp_path, patience):
    with pytest.raises(ValueError, match="early_stop_epochs is .*give a whole number"):
        make(tmp_path, patience)
