"""Every model of configs/ by its name, and the config of a first training that is written for it."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import os
from pathlib import Path

import pytest

from ppdet_ext import model_configs
from ppdet_ext.config import check_tags, load_config
from ppdet_ext.generated_config import Plan, config_text
from ppdet_ext.model_configs import configs_folder, find_model, model_files

ROOT = Path(__file__).resolve().parents[1]
NAMES = list(model_files(ROOT / "configs"))
# What a first training says itself.
OURS = (
    "TrainDataset",
    "EvalDataset",
    "TestDataset",
    "LearningRate",
    "OptimizerBuilder",
    "TrainReader",
    "lr_reference",
)


def plan(folder, **changes):
    plan = Plan(
        file=str(folder / "mine.yml"),
        command="ppdet-ext train --data mine",
        processes=1,
        train=("mine/train.json", "mine/images"),
        val=("mine/val: 2.json", "mine/images"),
        classes=["cat", "no", "dög"],
        save_dir="output",
        evaluate=True,
        epochs=None,
        batch=4,
        size=None,
        pretrain=None,
        gpu=False,
        workers=1,
    )
    return plan._replace(**changes)


def write(folder, name, **changes):
    """The config of a model: its text, and what it says with the files that it builds on."""
    chosen, configs = plan(folder, **changes), ROOT / "configs"
    text = config_text(find_model(name, configs), chosen, configs)
    Path(chosen.file).write_text(text, encoding="utf-8")
    return text, check_tags(chosen.file)


def test_every_family_is_there_by_name():
    for name in (
        "ppyoloe_s",
        "ppyoloe_plus_s",
        "ppyoloe_nano",
        "yolov6_n",
        "efficientdet_d0",
        "ppyoloe_bifpn_s",
    ):
        assert name in NAMES
    assert len(NAMES) == len(list((ROOT / "configs").glob("*/*_coco.yml")))
    assert find_model("yolov6_n_coco", ROOT / "configs").name == "yolov6_n"
    with pytest.raises(ValueError, match="--model efficentdet_d0: .*did you mean 'efficientdet_d0'"):
        find_model("efficentdet_d0", ROOT / "configs")


def test_where_configs_is(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert configs_folder() == Path("configs")
    monkeypatch.chdir(tmp_path)
    assert configs_folder() == ROOT / "configs"
    monkeypatch.setattr(model_configs, "__file__", str(tmp_path / "site-packages/ppdet_ext/model_configs.py"))
    with pytest.raises(ValueError, match="run this from the root of the repository"):
        configs_folder()


def without_schedule(section):
    return {key: value for key, value in section.items() if key != "static_assigner_epoch"}


@pytest.mark.parametrize("name", NAMES)
def test_the_network_is_the_models_and_the_training_follows_the_data(tmp_path, name):
    text, mine = write(tmp_path, name)
    published = check_tags(str(model_files(ROOT / "configs")[name]))
    sections = {key for key, value in published.items() if isinstance(value, dict)} - {*OURS}
    assert {published["architecture"], "EvalReader", "TestReader"} <= sections
    for key in sections:
        assert without_schedule(mine[key]) == without_schedule(published[key]), key
    for key in ("architecture", "depth_mult", "width_mult", "pretrain_weights"):
        assert mine.get(key) == published.get(key), key
    assert (
        mine.get("pretrain_strict", True) == published.get("pretrain_strict", True)
        or not mine["pretrain_weights"]
    )
    assert (mine["epoch"], mine["num_classes"], mine["norm_type"]) == ("auto", 3, "bn")
    assert mine["OptimizerBuilder"]["optimizer"] == {"type": "AdamW", "weight_decay": 0.02}
    assert mine["TrainReader"] == {**published["TrainReader"], "batch_size": 4, "cache_mb": 1024}
    assert (
        mine["EvalDataset"]["anno_path"] == "mine/val: 2.json" and mine["weights"] == "output/mine/best_model"
    )
    assert len(text.splitlines()) <= 53 or "smallobject" in name


@pytest.mark.parametrize("name", ["ppyoloe_plus_s", "yolov6_n", "efficientdet_d0", "yolov6_bifpn_n"])
def test_our_loader_takes_it(tmp_path, name):
    write(tmp_path, name)
    cfg = load_config(str(tmp_path / "mine.yml"))
    assert cfg.num_classes == 3 and cfg.LearningRate == {"base_lr": "auto", "schedulers": "auto"}
    assert cfg.TrainDataset["image_dir"] == "mine/images" and cfg.filename == "mine"


@pytest.mark.parametrize("name", ["ppyoloe_s", "ppyoloe_s_smallobject", "yolov6_s6", "efficientdet_d1"])
def test_another_size_reaches_every_operator(tmp_path, name):
    text, cfg = write(tmp_path, name, size=256)
    assert cfg["TestReader"]["inputs_def"]["image_shape"] == [3, 256, 256]
    assert cfg["TestReader"]["sample_transforms"] == cfg["EvalReader"]["sample_transforms"]
    resize = next(op["Resize"] for op in cfg["EvalReader"]["sample_transforms"] if "Resize" in op)
    assert resize["target_size"] == [256, 256]
    published = check_tags(str(model_files(ROOT / "configs")[name]))
    old = published["TestReader"]["inputs_def"]["image_shape"][1]
    for reader in ("TrainReader", "EvalReader"):
        for stage in ("sample_transforms", "batch_transforms"):
            was, now = published[reader].get(stage), cfg[reader].get(stage)
            assert [*map(list, was or [])] == [*map(list, now or [])]
            assert was is None or (was != now) == (str(old) in str(was))
    assert len(text.splitlines()) <= 90


def test_sizes_of_a_training_keep_their_range(tmp_path):
    resize = write(tmp_path, "ppyoloe_s", size=320)[1]["TrainReader"]["batch_transforms"][0][
        "BatchRandomResize"
    ]
    assert resize["target_size"] == [160, 192, 224, 256, 288, 320, 352, 384] and resize["random_size"]
    with pytest.raises(ValueError, match="--size 320: efficientdet_d0 takes multiples of 128 pixels"):
        write(tmp_path, "efficientdet_d0", size=320)


def test_options_are_keys(tmp_path):
    text, cfg = write(
        tmp_path,
        "ppyoloe_plus_s",
        epochs=7,
        pretrain="mine.pdparams",
        processes=2,
        save_dir="runs",
        evaluate=False,
    )
    assert (cfg["epoch"], cfg["pretrain_weights"], cfg["pretrain_strict"]) == (7, "mine.pdparams", True)
    assert cfg["save_dir"] == "runs" and cfg["weights"] == "runs/mine/model_final"
    assert f"#   ppdet-ext train -c {tmp_path / 'mine.yml'} --processes 2\n" in text
    assert write(tmp_path, "ppyoloe_plus_s", pretrain="none")[1]["pretrain_weights"] is None


def test_bases_are_named_from_where_the_config_lies(tmp_path, monkeypatch):
    assert str(ROOT / "configs") in write(tmp_path, "ppyoloe_s")[0]
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "output").mkdir()
    monkeypatch.chdir(tmp_path)
    text = config_text(find_model("ppyoloe_s", Path("configs")), plan(Path("output")), Path("configs"))
    assert "  ../configs/_base_/plugin.yml,\n" in text and os.fspath(tmp_path) not in text
    Path("output/mine.yml").write_text(text, encoding="utf-8")
    assert load_config("output/mine.yml").num_classes == 3
