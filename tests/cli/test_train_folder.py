"""`ppdet-ext train --data FOLDER`: what is written, what is refused, and one training from end to end."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import argparse
import json
import os
from pathlib import Path

import cv2
import pytest

from ppdet_ext.cli import main, train, train_folder
from ppdet_ext.config import load_config
from tests.data.small_sets import write_picture, write_roboflow_voc, write_text
from tests.training.tiny import ROOT, run_python

FILE = "output/ppyoloe_nano_my_set/ppyoloe_nano_my_set.yml"
NANO = ("--model", "ppyoloe_nano")


def make_yolo(root, pictures=10):
    """Bright squares on dark pictures, without a validation part."""
    for number in range(pictures):
        path = write_picture(root / f"images/{number}.png", 96, 96, seed=number)
        picture = cv2.imread(str(path)) // 3
        picture[20:60, 30:70] = 255
        cv2.imwrite(str(path), picture)
        write_text(root / f"labels/{number}.txt", "0 0.52 0.42 0.42 0.42")
    write_text(root / "data.yaml", "names: [square]")
    return root


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    make_yolo(tmp_path / "my set")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train_folder, "_has_gpu", lambda: False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)


def write(*arguments):
    """Runs the command up to its training; the config's file."""
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    args = parser.parse_args(["--data", "my set", *arguments])
    options, args.eval = train_folder.take_options(args), True
    assert "model" not in vars(args) and "pretrain" not in vars(args)  # they would become keys
    return train_folder.write_config(args, options)


def test_the_config_and_the_converted_parts_are_written_and_the_data_stay(workplace, tmp_path, capsys):
    before = sorted(path for path in (tmp_path / "my set").rglob("*"))
    assert write(*NANO, "--size", "96", "--processes", "2") == FILE
    out = capsys.readouterr().out
    assert "dataset: a YOLO folder, 1 class, 8 + 2 images (no validation part: 20 % are held out" in out
    assert f"config: {FILE}" in out
    cfg = load_config(FILE)
    assert (cfg.num_classes, cfg.use_gpu, cfg.worker_num, cfg.TrainReader["batch_size"]) == (1, False, 1, 1)
    sets = [json.loads(Path(d["anno_path"]).read_text()) for d in (cfg.TrainDataset, cfg.EvalDataset)]
    assert [len(one["images"]) for one in sets] == [8, 2]
    for dataset, one in zip((cfg.TrainDataset, cfg.EvalDataset), sets):
        folder = os.path.join(dataset["dataset_dir"], dataset["image_dir"])
        assert all(os.path.isfile(os.path.join(folder, image["file_name"])) for image in one["images"])
    assert sorted(path for path in (tmp_path / "my set").rglob("*")) == before


def test_a_voc_folder_of_parts_becomes_a_config(workplace, tmp_path, capsys):
    """Roboflow's export; its test part stays out."""
    parts = {"train": ["cat", "dog"] * 4, "valid": ["dog"], "test": ["cow"]}
    write_roboflow_voc(tmp_path / "robo", parts)
    cfg = load_config(write(*NANO, "--data", "robo"))
    assert "dataset: a Pascal VOC folder, 2 classes, 8 + 1 images" in capsys.readouterr().out
    for dataset, count in ((cfg.TrainDataset, 8), (cfg.EvalDataset, 1)):
        images = json.loads(Path(dataset["anno_path"]).read_text())["images"]
        folder = os.path.join(dataset["dataset_dir"], dataset["image_dir"])
        assert len(images) == count
        assert all(os.path.isfile(os.path.join(folder, image["file_name"])) for image in images)


def test_an_edited_config_is_not_replaced(workplace, tmp_path):
    write(*NANO)
    write(*NANO)  # the same again
    config = tmp_path / FILE
    config.write_text(config.read_text() + "snapshot_epoch: 2\n")
    for path in (tmp_path / "output").rglob("*.json"):
        path.unlink()
    with pytest.raises(ValueError, match=r"already there .* 'ppdet-ext train -c .*--write-config .*--force"):
        write(*NANO)
    assert not list((tmp_path / "output").rglob("*.json"))
    assert write(*NANO, "--write-config", "other.yml") == "other.yml"
    assert load_config("other.yml").TrainDataset["anno_path"] == "output/other/annotations/train.json"
    write(*NANO, "--force")
    assert "snapshot_epoch: 2" not in config.read_text()


def test_the_batch_follows_the_model_the_machine_and_the_images(workplace, monkeypatch):
    assert load_config(write(*NANO)).TrainReader["batch_size"] == 2  # of 8 images, four steps an epoch
    model = argparse.Namespace(readers={"TrainReader": {"batch_size": 32}})
    assert train_folder._batch(model, 1000, False, 1) == 8
    assert train_folder._batch(model, 1000, True, 1) == 32
    assert train_folder._batch(model, 3, True, 1) == 1
    assert [train_folder._workers(gpu, n) for gpu, n in ((False, 1), (False, 4), (True, 1))] == [3, 0, 3]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "nothing to train: give --data FOLDER, or -c FILE"),
        (["--data", "my set", "-c", "a.yml"], "--data writes a config and -c gives one"),
        (["-c", "a.yml", "--epochs", "3"], "--epochs belongs to --data; with -c, edit a.yml"),
        (["--data", "gone", *NANO], "gone: no such folder"),
        (["--data", "my set", "--model", "ppyoloe_nono"], "did you mean 'ppyoloe_nano'?"),
        (["--data", "my set", "--from", "yol", *NANO], "no format 'yol'; did you mean 'yolo'?"),
        (["--data", "my set", *NANO, "--epochs", "0"], "--epochs 0: give a whole number from 1 up"),
        (["--data", "my set", *NANO, "--size", "100"], "--size 100: ppyoloe_nano takes multiples of 32"),
        (["--data", "my set", *NANO, "--weights", "gone"], "--weights gone: no such checkpoint"),
        (["--data", "my set", *NANO, "--write-config", "a.txt"], "a config file ends in .yml or .yaml"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(workplace, tmp_path, capsys, arguments, words):
    assert main(["train", *arguments]) == 2
    err = capsys.readouterr().err.splitlines()
    assert words in err[-1] and err[-1].startswith("ppdet-ext train: ")
    assert not (tmp_path / "output").exists()


def test_a_checkpoint_that_cannot_be_downloaded_is_one_line(workplace, monkeypatch):
    def no_net(url):
        raise RuntimeError(f"Download from {url} failed")

    monkeypatch.setattr("ppdet.utils.checkpoint.get_weights_path", no_net)
    with pytest.raises(ValueError, match="can't be downloaded .* --weights none to train from scratch"):
        write("--model", "ppyoloe_plus_s")
    assert not os.path.exists("output")


@pytest.mark.slow
def test_an_epoch_from_a_folder_and_another_from_the_config(tmp_path):
    make_yolo(tmp_path / "my set")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    command = [ROOT / "tools" / "train.py"]
    # So low a threshold that a model of a few steps finds something to evaluate.
    low = ["-o", "ETHead.nms.score_threshold=0.001", "report=false"]
    first = [*command, "--data", "my set", *NANO, "--size", "96", "--epochs", "1", *low]
    run = run_python(first, tmp_path)
    assert run.status == 0, run.log[-3000:]
    folder = (tmp_path / FILE).parent
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert (
        any("ap" in record for record in history) and (folder / "model_final.pdparams").stat().st_size > 1e6
    )
    run = run_python([*command, "-c", FILE, "-r", "-o", "epoch=2"], tmp_path)
    assert run.status == 0 and (folder / "checkpoints" / "epoch_0001").is_dir(), run.log[-3000:]
