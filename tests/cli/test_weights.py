"""`ppdet-ext weights convert`, as it is typed."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
from pathlib import Path

import numpy as np
import pytest

from ppdet_ext import cli

from ..weights.states import FOLDER, narrow

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "yolov6"


def command(source, output, *more, family="yolov6"):
    config, overrides, *_ = narrow("n")
    config = str(CONFIGS / f"{config}.yml")
    options = ["--output", str(output), "-c", config, *more, "-o", *overrides]
    return ["weights", "convert", "--from", family, str(source), *options]


@pytest.fixture
def source(tmp_path):
    np.savez(tmp_path / "theirs.npz", **narrow("n")[2])
    return tmp_path / "theirs.npz"


def test_convert_says_what_became_of_every_entry(source, tmp_path, capsys):
    output = tmp_path / "folder" / "ours"
    assert cli.main(command(source, output)) == 0
    lines = capsys.readouterr().out.splitlines()[-5:]
    assert lines == [
        f"{source}: YOLOv6 0.4, training form, 626 entries mapped",
        "  128 dropped: counters of training steps",
        "  2 dropped: projection of the bins, constants",
        "  12 parameters as the config makes them: anchor-aided branch, for training only",
        f"written to {output}.pdparams",
    ]
    assert (tmp_path / "folder" / "ours.pdparams").is_file()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"source": FOLDER / "module.pt"}, "module.pt: holds more than tensors"),
        ({"source": FOLDER / "layers.pt"}, "layers.pt: not YOLOv6's names: 0.weight"),
        ({"source": FOLDER / "none.pt"}, "none.pt: no such file"),
        ({"family": "yolov66"}, "no converter from 'yolov66'; did you mean 'yolov6'?"),
        ({"more": ["--slim_config", "a.yml"]}, "--slim_config: weights of other frameworks are float"),
        ({"output": FOLDER / "module.pt"}, None),
    ],
)
def test_bad_input_is_one_line_and_status_2(source, tmp_path, capsys, change, message):
    if message is None:
        (tmp_path / "there.pdparams").write_text("mine")
        change, message = {"output": tmp_path / "there"}, "there.pdparams: is there already"
    more = change.pop("more", [])
    arguments = {"source": source, "output": tmp_path / "ours", **change}
    family = arguments.pop("family", "yolov6")
    assert cli.main(command(arguments["source"], arguments["output"], *more, family=family)) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("ppdet-ext weights: ") and message in error
    assert not (tmp_path / "ours.pdparams").exists()
