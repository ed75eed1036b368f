from pathlib import Path

import compatibility
import pytest
from compatibility_steps import FAMILIES, OURS, STEPS, THEIRS, VERB
from tables_compatibility import reasons, steps

FIGURES = {
    "Paddle A; training": {"x": "works", "y": "works"},
    "Paddle A; export": {"x": "works", "y": "fails", "z": "works", "reason": "no | such"},
    "Paddle B; training": {"x": "works", "y": "works"},
    "Paddle B; export": {"x": "refused", "y": "refused", "reason": "not here"},
    "Paddle B; its own": {"x": "works"},
}


def test_a_row_a_step_and_a_column_an_environment():
    heads, rows = steps(FIGURES)
    assert heads == ["", "Paddle A", "Paddle B"]
    assert rows == [
        ["training", "works", "works"],
        ["export", "works, y fails", "refused"],
        ["its own", "-", "works"],
    ]


def test_reasons_stand_once():
    again = {**FIGURES, "Paddle C; export": {"x": "refused", "reason": "not here"}}
    assert reasons(again)[1] == [
        ["export", "Paddle A", "`no \\| such`"],
        ["export", "Paddle B, Paddle C", "`not here`"],
    ]


@pytest.fixture
def environment(monkeypatch):
    """A function: an Environment whose commands answer what they are told."""

    def make(answers, checkout=None):
        def execute(command, **options):
            ran.append([str(part) for part in command[1:]])
            return answers(ran[-1])

        ran = []
        found = compatibility.Environment.__new__(compatibility.Environment)
        found.python, found.checkout, found.env, found.name = "python", checkout, {}, "here"
        monkeypatch.setattr(compatibility, "execute", execute)
        return found, ran

    return make


class Bar:
    def update(self):
        pass

    def set_postfix_str(self, text, refresh):
        pass


def test_what_a_command_came_to(environment, tmp_path):
    def answers(command):
        if "--nms" in command:
            return 2, "", "Traceback (most recent call last):\nValueError: oh"
        if "lite" in command:
            return 2, "", f"ppdet-ext export: not on {tmp_path}/x"
        return 0, "", "done"

    place, ran = environment(answers)
    found = compatibility.measure(place, "PP-YOLOE", Path("start"), tmp_path, Bar())
    assert found["training"] == ("works", None)
    assert found["export with NMS inside"] == ("fails", "ValueError: oh")
    assert found["export to Lite"] == ("refused", "ppdet-ext export: not on ./x")
    assert found["parity in paddle_lite"] == ("not run", None)
    assert not any(step.whose == THEIRS and name in found for name, step in STEPS.items())
    assert (tmp_path / "training.log").read_text() == "done"
    (training,) = [command for command in ran if "save_dir=output" in command]
    assert "pretrain_weights=start" in training and "--eval" in training


def test_a_checkout_leaves_out_what_does_not_meet_its_code(environment, tmp_path):
    place, ran = environment(lambda command: (0, "", "done"), checkout="/checkout")
    found = compatibility.measure(place, "YOLOv6", Path("start"), tmp_path, Bar())
    assert "export to OpenVINO" not in found and found["its own train.py"] == ("works", None)
    assert any(command[0] == "/checkout/tools/export_model.py" for command in ran)


def test_names_in_the_steps_exist():
    for config, _ in FAMILIES.values():
        assert (compatibility.CONFIGS / "demo" / f"{config}.yml").is_file()
    for step in STEPS.values():
        assert step.whose in (OURS, VERB, THEIRS) and (step.needs is None or step.needs in STEPS)
        if step.whose == OURS:
            assert (compatibility.ROOT / "tools" / step.command.split()[0]).is_file()


def test_a_folder_without_ppdet_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no folder ppdet in it"):
        compatibility.environments([], [str(tmp_path)])
