"""The rule for learning rate and length of a run, alone and through a config that leaves them at auto."""

import math

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import pytest

from ppdet_ext.config import load_config
from ppdet_ext.training.auto_schedule import fill_in, plan

from .tiny import BATCH, CONFIG, PPYOLOE, ROOT, TRAIN, YOLOV6, make_workplace

AUTO = f"['{ROOT}/configs/demo/%(base)s.yml', '{ROOT}/configs/_base_/schedules/auto.yml']"


@pytest.mark.parametrize(
    "images, batch, pretrained, steps, epochs, warmup",
    [
        (200, 8, True, 25, 160, 125),
        (200, 8, False, 25, 300, 125),
        (207, 8, True, 25, 160, 125),  # the last, small batch is left out
        (200, 32, False, 6, 300, 100),  # 5 epochs are 30 steps
        (40, 32, False, 1, 300, 30),  # a run of 300 steps
        (1000, 8, True, 125, 36, 450),  # 32 epochs would do for the steps; a tenth of 4500
        (1000, 8, False, 125, 64, 625),
        (117266, 64, True, 1832, 36, 6595),
    ],
)
def test_the_plan(images, batch, pretrained, steps, epochs, warmup):
    found = plan(images, batch, pretrained)
    assert found[:3] == (steps, epochs, warmup)
    assert found.snapshot_epoch == max(epochs // 30, 1)
    assert found.static_assigner_epoch == round(epochs / 10)


@pytest.mark.parametrize("pretrained", [False, True])
def test_the_plan_keeps_its_promises(pretrained):
    """Whatever the set: enough steps or the most epochs, a warm-up that is short against the run."""
    previous = math.inf
    for images in (8, 20, 55, 200, 999, 5000, 40000, 118000):
        found = plan(images, 8, pretrained)
        steps = found.epochs * found.steps_per_epoch
        assert steps >= (4000 if pretrained else 8000) or found.epochs == 300
        assert 36 <= found.epochs <= min(previous, 300)
        assert 1 <= found.warmup_steps <= 0.1 * steps
        assert found.epochs / found.snapshot_epoch <= 60
        previous = found.epochs
    assert plan(200, 8, pretrained, epochs=10).epochs == 10
    assert plan(200, 8, pretrained, epochs=10).warmup_steps == 25  # a tenth of 250


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_workplace(tmp_path_factory.mktemp("auto"))


def load(folder, family, *overrides):
    """A config of the demo set that ends with auto.yml, as a user's does."""
    text = (CONFIG % family).replace(f"['{ROOT}/configs/demo/%(base)s.yml']" % family, AUTO % family)
    assert "auto.yml" in text
    (folder / "auto.yml").write_text(text.replace("epoch: 1\n", "").replace("snapshot_epoch: 1\n", ""))
    overrides = [f"{part}Dataset.dataset_dir={folder / 'demo'}" for part in ("Train", "Eval")] + [*overrides]
    return load_config(str(folder / "auto.yml"), ["use_gpu=false", *overrides])


@pytest.mark.parametrize("family, section", [(PPYOLOE, "ETHead"), (YOLOV6, "EfficientRepHead")])
def test_a_config_that_leaves_it_to_the_trainer(folder, family, section):
    from ppdet_ext.training.trainer import Trainer

    cfg = load(folder, family)
    assert cfg.epoch == cfg.snapshot_epoch == "auto"
    trainer = Trainer(cfg, mode="train")
    steps = TRAIN // BATCH
    assert (trainer.cfg.epoch, trainer.end_epoch, trainer.cfg.snapshot_epoch) == (300, 300, 10)
    assert trainer.model.yolo_head.static_assigner_epoch == 30
    # AdamW's 0.002 of 16 images, for 8.
    base = 0.002 * math.sqrt(BATCH / 16)
    rates, total = [], 300 * steps
    for _ in range(total):
        rates.append(trainer.lr.get_lr())
        trainer.lr.step()
    warmup = total // 10
    assert rates[0] == 0 and max(rates) == rates[warmup] == pytest.approx(base)
    assert rates[warmup // 2] == pytest.approx(base / 2)
    middle = (warmup + total) // 2
    assert rates[middle] == pytest.approx(base / 2, rel=0.02) and rates[-1] < 1e-4 * base
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)


def test_what_is_given_is_kept(folder):
    """And the rest follows from it."""
    cfg = load(folder, PPYOLOE, "epoch=40", "LearningRate.base_lr=0.01", "ETHead.static_assigner_epoch=3")
    said, dataset = fill_in(cfg)
    assert (cfg.epoch, cfg.LearningRate["base_lr"], cfg.ETHead["static_assigner_epoch"]) == (40, 0.01, 3)
    assert cfg.snapshot_epoch == 1 and cfg.LearningRate["schedulers"][0]["max_epochs"] == 40
    assert "\n" not in said
    assert f"{TRAIN} images, {BATCH} a step: 40 epochs of 2 steps, 8 steps of warm-up" in said
    assert "auto: snapshot_epoch, LearningRate.schedulers" in said
    assert len(dataset) == TRAIN
    assert fill_in(cfg) == (None, None)


@pytest.mark.parametrize("fast", [True, False])
def test_the_annotations_are_read_once(folder, fast, monkeypatch):
    from ppdet.core.workspace import create
    from ppdet.data.source.coco import COCODataSet

    from ppdet_ext.training.trainer import Trainer

    read, parse = [], COCODataSet.parse_dataset

    def counted(dataset):
        read.append(dataset.anno_path)
        parse(dataset)

    monkeypatch.setattr(COCODataSet, "parse_dataset", counted)
    trainer = Trainer(load(folder, PPYOLOE, f"TrainReader.fast={str(fast).lower()}"), mode="train")
    assert [path for path in read if "train" in path] == ["annotations/train.json"]
    assert len(trainer.dataset) == TRAIN and len(trainer.loader) == TRAIN // BATCH
    # Only this trainer has the set that was read: another is another.
    other = create("TrainDataset")()
    assert other is not trainer.dataset and not hasattr(other, "roidbs")
    trainer.dataset.parse_dataset()
    assert len(read) == 2


def test_the_rate_follows_batch_optimizer_and_start(folder):
    def rate(*overrides):
        cfg = load(folder, PPYOLOE, *overrides)
        fill_in(cfg)
        return cfg.LearningRate["base_lr"]

    momentum = "OptimizerBuilder.optimizer={type: Momentum, momentum: 0.9, weight_decay: ~}"
    reference = "lr_reference={base_lr: 0.016, batch_size: 64}"
    assert rate("TrainReader.batch_size=4") == pytest.approx(0.002 / 2)
    assert rate(momentum, reference) == pytest.approx(0.016 / 8)
    assert rate(reference) == pytest.approx(0.016 / math.sqrt(8))
    assert rate("pretrain_weights=some.pdparams") == pytest.approx(0.0007 / math.sqrt(2))
    # A backbone alone: neck and head begin from scratch.
    assert rate("pretrain_weights=some.pdparams", "pretrain_strict=false") == rate()


def test_what_can_not_be_filled_in_is_refused(folder):
    with pytest.raises(ValueError, match="base_lr: auto needs a rate to start from; give lr_reference"):
        fill_in(load(folder, PPYOLOE, "lr_reference=~"))
    cfg = load(folder, PPYOLOE)
    cfg["slim"] = "QAT"
    with pytest.raises(ValueError, match="epoch: auto does not work with --slim_config"):
        fill_in(cfg)
    for override, words in (
        ("epoch=aut", "epoch is 'aut'; give a whole number"),
        ("LearningRate.base_lr=fast", "base_lr is 'fast'; give a number, or auto"),
        ("LearningRate.schedulers=cosine", "schedulers is 'cosine'; give a list, or auto"),
    ):
        with pytest.raises(ValueError, match=words):
            load(folder, PPYOLOE, override)
