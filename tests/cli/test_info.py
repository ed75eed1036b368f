import json

import cv2
import pytest

from ppdet_ext.cli import main
from ppdet_ext.evaluation.exported_folder import describe_folder, folder_table

from ..runtime.tiny_model import write_folder

CONFIG = "configs/demo/efficientdet_nano_demo.yml"


@pytest.fixture
def folder(tmp_path):
    return str(write_folder(tmp_path / "exported"))


def test_a_config_with_table_pictures_and_document(tmp_path, capsys):
    import ppdet_ext  # noqa: F401  (before Paddle)

    picture, file = tmp_path / "new" / "net.png", tmp_path / "net.json"
    options = ["-c", CONFIG, "--size", "64", "--picture", str(picture), "--json", str(file)]
    assert main(["info", *options]) == 0
    said = capsys.readouterr().out
    document = json.loads(file.read_text())
    total = document["total"]["training"]["parameters"]
    assert f"{total:,}" in next(line for line in said.splitlines() if line.startswith("total"))
    assert (
        "efficientdet_nano_demo: EfficientNet, WeightedBiFPN, EfficientDetHead; 10 classes, image 64x64"
        in said
    )
    assert "as at the start of a training: no --weights" in said
    assert document["input"] == [1, 3, 64, 64] and document["weights"] is None
    assert len(document["fusion_weights"]) == 2
    assert document["pictures"] == [str(picture), str(picture.with_name("net_fusion.png"))]
    for path in document["pictures"]:
        assert path in said and min(cv2.imread(path).shape[:2]) > 500


@pytest.mark.parametrize("flag", ["--weights", "-o"])
def test_fusion_weights_are_the_checkpoints(tmp_path, capsys, flag):
    import ppdet_ext  # noqa: F401  (before Paddle)

    # isort: split
    import paddle
    from ppdet.core.workspace import create

    from ppdet_ext.config import load_config

    model = create(load_config(CONFIG).architecture)
    key = "neck.cells.1.nodes.0.fuse.edge_weights"
    state = model.state_dict()
    state[key].set_value(paddle.to_tensor([3.0, 1.0]))
    paddle.save(state, str(tmp_path / "trained.pdparams"))
    weights = str(tmp_path / "trained")
    options = ["-c", CONFIG, "--size", "64", flag, weights if flag == "--weights" else f"weights={weights}"]
    assert main(["info", *options, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["weights"] == weights
    assert document["fusion_weights"][1][0]["weights"] == pytest.approx([0.75, 0.25], abs=1e-3)
    assert document["fusion_weights"][0][0]["weights"] == pytest.approx([0.5, 0.5], abs=1e-3)


def test_a_folder(folder, tmp_path, capsys):
    file = tmp_path / "folder.json"
    assert main(["info", folder, "--json", str(file)]) == 0
    account = describe_folder(folder)
    assert capsys.readouterr().out == folder_table(account) + "\n"
    assert json.loads(file.read_text()) == account


@pytest.mark.parametrize(
    "options, message",
    [
        ([], "one of the arguments FOLDER -c/--config is required"),
        (["nowhere"], "nowhere: no such folder"),
        (["exported", "--size", "64"], "--size is for a config, and exported is an exported folder; give -c"),
        (["exported", "--picture", "a.png"], "--picture is for a config"),
        (["exported", "--weights", "a"], "--weights is for a config"),
        (["exported", "-o", "a=1"], "-o is for a config"),
        (["-c", "a.yml", "--picture", "a.jpg"], "--picture a.jpg: is written as PNG; give a name that ends"),
        (["-c", "a.yml", "--size", "0"], "--size is 0; give a side in pixels, such as 640"),
    ],
)
def test_what_cannot_work_ends_with_2(folder, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(["info", *options])
    except SystemExit as stopped:  # argparse's
        status = stopped.code
    assert status == 2
    error = capsys.readouterr().err
    assert error.startswith("ppdet-ext info: ") and message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "options, message",
    [
        (["--size", "100"], "size 100: give a multiple of the coarsest stride, 64"),
        (["--size", "64", "--weights", "nowhere"], "nowhere.pdparams"),
        (
            ["-o", "TestReader={inputs_def: {image_shape: [3, 64, 128]}}"],
            "images of 64x128; give the side of",
        ),
    ],
)
def test_what_does_not_fit_the_config(capsys, options, message):
    assert main(["info", "-c", CONFIG, *options]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
