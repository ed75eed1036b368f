"""A head that the exporter can't take apart, PaddleDetection's own: one line that names it and the mend."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import paddle
import pytest

from ppdet_ext.cli import main
from ppdet_ext.compat import quantizes
from ppdet_ext.config import input_size, load_config
from ppdet_ext.export.graph import head_of
from tests.training.tiny import make_workplace

THEIRS = """
_BASE_: [tiny.yml]
architecture: PPYOLOE
PPYOLOE: {backbone: CSPRepResNet, neck: CSPRepPAN, yolo_head: %s, post_process: ~}
PPYOLOEHead:
  fpn_strides: [32, 16, 8]
  static_assigner: {name: ATSSAssigner, topk: 9}
  assigner: {name: TaskAlignedAssigner, topk: 13}
  nms: {name: MultiClassNMS}
"""
MODEL = "-c theirs.yml -o weights=theirs"
COMMANDS = [
    f"export --output out {MODEL}",
    f"quantize ptq --output out --calibration demo/images/val {MODEL}",
    f"verify --model out {MODEL}",
    f"bench {MODEL} --sizes 96",
    f"info {MODEL}",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from ppdet.core.workspace import create

    folder = make_workplace(tmp_path_factory.mktemp("heads"), train=8)
    for name, head in (("theirs", "PPYOLOEHead"), ("ours", "ETHead")):
        (folder / f"{name}.yml").write_text(THEIRS % head)
    model = create(load_config(str(folder / "theirs.yml")).architecture)
    paddle.save(model.state_dict(), str(folder / "theirs.pdparams"))
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_a_head_that_does_not_decode_is_refused_in_one_line(folder, command, monkeypatch, capfd):
    if command.startswith("quantize") and not quantizes():
        pytest.skip("PaddleSlim quantises with Paddle 2.6 only")
    monkeypatch.chdir(folder)
    assert main(command.split()) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("ppdet-ext ")]
    assert "PPYOLOEHead: ends in no raw boxes and scores" in line
    assert "ETHead takes its place" in line and "docs/migration.md" in line
    assert not (folder / "out").exists()


def test_the_mend_of_that_line_works(folder, monkeypatch, capfd):
    """The same architecture and checkpoint with the head that the line names."""
    monkeypatch.chdir(folder)
    argv = ["export", "-c", "ours.yml", "-o", "weights=theirs", "--output", "exported"]
    assert main(argv) == 0, capfd.readouterr().err
    assert (folder / "exported" / "infer_cfg.yml").is_file()
    assert main(["info", "-c", "ours.yml"]) == 0
    assert "ETHead" in capfd.readouterr().out


def test_an_architecture_without_such_a_head_is_refused_too():
    class TwoStages(paddle.nn.Layer):
        pass

    with pytest.raises(ValueError, match="TwoStages: ends in no raw .* take ETHead, EfficientRepHead or"):
        head_of(TwoStages())


@pytest.mark.parametrize("text", ["{inputs_def: ~}", "{inputs_def: {image_shape: [96]}}"])
def test_a_config_that_says_no_size(folder, text):
    path = folder / "size.yml"
    path.write_text(f"_BASE_: [tiny.yml]\nTestReader: {text}\n")
    with pytest.raises(ValueError, match="size: TestReader.inputs_def.image_shape is .*; give"):
        input_size(load_config(str(path)))
    assert input_size(load_config(str(folder / "tiny.yml"))) == [96, 96]
