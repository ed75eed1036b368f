"""`TrainReader: {fast: true}` through PaddleDetection's own `create`: epochs, workers, seeds, errors."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import cv2
import numpy as np
import pytest
from paddle.io.multiprocess_utils import MP_STATUS_CHECK_INTERVAL
from ppdet.core import workspace
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.data.preview import augmented_pictures
from ppdet_ext.data.reader import image_cache, train_reader
from ppdet_ext.data.reader.closing import last_mosaic_epoch
from ppdet_ext.data_loader import stop_reading
from tests.training.fork_server import running

BATCH, IMAGES, SIZE = 4, 12, 64
CONFIG = f"""
_BASE_: ['{{root}}/configs/_base_/plugin.yml']
architecture: YOLODetector
epoch: 6
num_classes: 3
worker_num: 0
TrainDataset:
  name: COCODataSet
  image_dir: images
  anno_path: annotations.json
  dataset_dir: {{folder}}
  data_fields: [image, gt_bbox, gt_class, is_crowd]
TrainReader:
  sample_transforms:
    - MosaicMixUp: {{{{input_dim: {SIZE}, mixup_prob: 0.5}}}}
    - Decode: {{{{}}}}
    - RandomDistort: {{{{}}}}
    - RandomExpand: {{{{}}}}
    - RandomCrop: {{{{}}}}
    - RandomFlip: {{{{}}}}
  batch_transforms:
    - BatchRandomResize:
        target_size: [32, 64, 96]
        random_size: true
        random_interp: true
        keep_ratio: false
    - NormalizeImage: {{{{mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2]}}}}
    - Permute: {{{{}}}}
    - PadGT: {{{{}}}}
  batch_size: {BATCH}
  fast: true
  use_shared_memory: true
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory, pytestconfig):
    folder = tmp_path_factory.mktemp("set")
    (folder / "images").mkdir()
    rng = np.random.RandomState(0)
    images, boxes = [], []
    for number in range(IMAGES):
        cv2.imwrite(str(folder / "images" / f"{number}.png"), rng.randint(0, 256, [48, 60, 3]))
        images.append({"id": number, "file_name": f"{number}.png", "height": 48, "width": 60})
        for x in (2, 30):
            box = {
                "id": len(boxes) + 1,
                "image_id": number,
                "bbox": [x, 5, 24, 30],
                "area": 720,
                "iscrowd": 0,
            }
            boxes.append({**box, "category_id": number % 3 + 1})
    kinds = [{"id": number, "name": f"kind {number}"} for number in (1, 2, 3)]
    (folder / "annotations.json").write_text(
        json.dumps({"images": images, "annotations": boxes, "categories": kinds})
    )
    path = folder / "reader.yml"
    path.write_text(CONFIG.format(root=pytestconfig.rootpath, folder=folder))
    return path


def make(config, workers=0, seed=0, overrides=()):
    load_config(str(config), list(overrides))
    np.random.seed(seed)
    return create("TrainReader")(create("TrainDataset")(), workers)


def read(loader, epochs):
    """Batches of each epoch, as PaddleDetection's trainer asks for them."""
    batches = []
    for epoch in epochs:
        loader.dataset.set_epoch(epoch)
        batches.append([{field: value.numpy() for field, value in batch.items()} for batch in loader])
        assert len(batches[-1]) == len(loader) == IMAGES // BATCH
    return batches


def assert_same(one, other):
    for batches, others in zip(one, other):
        for batch, expected in zip(batches, others):
            assert set(batch) == set(expected)
            for field in set(batch) - {"curr_iter"}:  # counted by each worker
                np.testing.assert_array_equal(batch[field], expected[field], field)


@pytest.fixture(scope="module")
def whole(config):
    """All six epochs, read without workers."""
    return read(make(config), range(6))


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(config, whole, workers):
    assert_same(read(make(config, workers), range(6)), whole)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_cache_changes_nothing(config, whole, workers):
    assert_same(read(make(config, workers, overrides=["TrainReader.cache_mb=1"]), range(6)), whole)


def test_with_a_cache_every_file_is_decoded_once(config, monkeypatch):
    decoded = []
    real = image_cache.read_image
    monkeypatch.setattr(image_cache, "read_image", lambda path: decoded.append(path) or real(path))
    read(make(config, overrides=["TrainReader.cache_mb=1"]), range(6))
    assert len(decoded) == len(set(decoded)) == IMAGES


def test_an_operator_that_paints_over_pixels_leaves_the_cache_alone(config):
    # PaddleDetection's RandomErasingImage writes into the array that it gets.
    steps = "[{Decode: {}}, {RandomErasingImage: {prob: 1.0}}]"
    overrides = [f"TrainReader.sample_transforms={steps}"]
    plain = read(make(config, overrides=overrides), range(3))
    assert_same(read(make(config, overrides=[*overrides, "TrainReader.cache_mb=1"]), range(3)), plain)


def test_a_resumed_run_reads_on_as_if_nothing_had_happened(config, whole):
    assert_same(read(make(config), (3, 4, 5)), whole[3:])
    assert_same(read(make(config, 2), (4, 5)), whole[4:])


def test_epochs_seeds_and_images_differ(config, whole):
    files = [[int(i) for batch in batches for i in batch["im_id"][:, 0]] for batches in whole]
    assert all(sorted(epoch) == list(range(IMAGES)) for epoch in files) and files[0] != files[1]
    other = read(make(config, seed=1), [5])
    pairs = [(whole[4], whole[5]), (whole[5], other[0])]
    for one, two in pairs:
        boxes = [np.concatenate([batch["gt_bbox"].ravel() for batch in side]) for side in (one, two)]
        assert len(boxes[0]) != len(boxes[1]) or not np.array_equal(*boxes)
    sizes = {batch["image"].shape[2] for batches in whole for batch in batches}
    assert sizes == {32, 64, 96}


@pytest.mark.parametrize("workers", [0, 2])
def test_mosaic_closes_when_it_should(config, workers):
    """In the very epoch, though workers read ahead: two of six, a third, not 30."""
    mosaic = f"MosaicMixUp: {{input_dim: {SIZE}, scale: [0.25, 0.25], min_side: 0, min_visible: 0}}"
    steps = f"[{{{mosaic}}}, {{Decode: {{}}}}]"
    loader = make(config, workers, overrides=[f"TrainReader.sample_transforms={steps}"])
    boxes = [[int(batch["pad_gt_mask"].sum()) for batch in epoch] for epoch in read(loader, range(6))]
    assert boxes == [[8 * BATCH] * 3] * 4 + [[2 * BATCH] * 3] * 2


def test_random_numbers_of_the_process_are_left_alone(config):
    loader = make(config)
    np.random.seed(5)
    expected = np.random.randint(1 << 30)
    batches = make(config), loader
    np.random.seed(5)
    list(batches[1])
    assert np.random.randint(1 << 30) == expected


def test_workers_stay(config):
    loader = make(config, 2)
    read(loader, [0])
    first = [worker.pid for worker in loader.dataloader._reading[0]._workers]
    read(loader, [1, 2])
    assert [worker.pid for worker in loader.dataloader._reading[0]._workers] == first


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_cannot_be_read(config, workers, tmp_path):
    """The error is that of the image, in one line, and reading can begin again."""
    for entry in (config.parent / "images").iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    bad = tmp_path / "7.png"
    bad.unlink()
    bad.write_text("no picture")
    overrides = [f"TrainDataset.image_dir={tmp_path}"]
    for _ in range(2):
        with pytest.raises(ValueError) as caught:
            read(make(config, workers, overrides=overrides), range(6))
        assert str(caught.value).startswith(f"{bad}: is not an image") and "\n" not in str(caught.value)
    read(make(config, workers), [0])


@pytest.mark.parametrize("workers", [0, 2])
def test_an_operator_that_fails_names_itself_and_the_image(config, workers):
    steps = "[{Decode: {}}, {RandomShortSideResize: {short_side_sizes: [8], max_size: 0}}]"
    with pytest.raises((ValueError, RuntimeError), match=r"(?s)images/\d+.png: RandomShortSideResize: "):
        read(make(config, workers, overrides=[f"TrainReader.sample_transforms={steps}"]), range(6))


def test_a_worker_that_is_killed_is_named(config):
    loader = make(config, 2)
    batches = iter(loader)
    next(batches)
    pid = loader.dataloader._reading[0]._workers[0].pid
    said = "a worker of the reader has died .*(signal: Killed|status -9).*worker_num"
    with pytest.raises(OSError, match=said):
        os.kill(pid, signal.SIGKILL)
        for _ in range(100):
            next(batches)
            loader.dataset.set_epoch(0)
    loader.dataloader.close()
    assert not list(Path("/dev/shm").glob(f"paddle_{pid}_*")), "batches that it had not handed over"


KILLED = """
import os, signal, sys, time
import ppdet_ext
from ppdet.core.workspace import create
from ppdet_ext.config import load_config
from ppdet_ext.data.reader.stream import Batches
load_config(sys.argv[1])
read = Batches.__getitem__
# All but the first batch take a while, so that the kill meets workers at theirs.
Batches.__getitem__ = lambda self, key: time.sleep(0.5 * (key[1] > 0)) or read(self, key)
loader = create("TrainReader")(create("TrainDataset")(), 2)
next(iter(loader))
print(*(worker.pid for worker in loader.dataloader._reading[0]._workers), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_of_a_process_that_is_killed_end(config):
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(config)], stdout=subprocess.PIPE, text=True, timeout=120
    )
    assert run.returncode == -signal.SIGKILL
    pids = [int(word) for word in run.stdout.split("\n")[-2].split()]
    assert len(pids) == 2
    until = time.monotonic() + 4 * MP_STATUS_CHECK_INTERVAL
    while any(map(running, pids)) and time.monotonic() < until:
        time.sleep(0.1)
    for pid in pids:
        assert not running(pid)
        assert not list(Path("/dev/shm").glob(f"paddle_{pid}_*"))


def test_a_reader_that_is_closed_leaves_nothing(config):
    """Neither workers nor batches that nobody has taken, at whatever moment it is closed."""
    for taken in range(4):
        loader = make(config, 2)
        batches = iter(loader)
        for _ in range(taken + 1):
            loader.dataset.set_epoch(taken // 3)
            next(batches, None)
        workers = loader.dataloader._reading[0]._workers
        loader.dataloader.close()
        assert not any(worker.is_alive() for worker in workers)
        for worker in workers:
            assert not list(Path("/dev/shm").glob(f"paddle_{worker.pid}_*"))


def test_without_the_line_it_is_paddledetections(config):
    from ppdet.data.reader import BatchCompose, Compose

    loader = make(config, overrides=["TrainReader.fast=false"])
    stop_reading(loader.loader)  # its thread draws random numbers
    assert type(loader._sample_transforms) is Compose and type(loader._batch_transforms) is BatchCompose
    assert type(loader.dataloader).__name__ == "DataLoader"
    assert loader.dataset.mosaic_epoch == 4, "but Mosaic ends all the same"


def test_the_preview_shows_what_training_reads(config):
    size = "{target_size: 64, random_size: false, random_interp: false, keep_ratio: false, interp: 1}"
    normalize = "{mean: [0.0, 0.0, 0.0], std: [1.0, 1.0, 1.0], norm_type: none, is_scale: false}"
    steps = f"[{{BatchRandomResize: {size}}}, {{NormalizeImage: {normalize}}}, {{Permute: {{}}}}]"
    loader = make(config, overrides=[f"TrainReader.batch_transforms={steps}", "TrainReader.batch_size=1"])
    loader.dataloader.restart(7)
    loader.dataset.set_epoch(5)  # Mosaic has ended
    read = {int(batch["im_id"]): batch for batch in loader}
    shown = list(augmented_pictures(workspace.global_config, IMAGES, epoch=5, seed=7))
    assert len(shown) == len({boxes.source for _, boxes in shown}) == IMAGES
    for image, boxes in shown:
        batch = read[int(boxes.source)]
        np.testing.assert_array_equal(batch["gt_bbox"].numpy()[0], boxes.boxes)
        expected = batch["image"].numpy()[0].transpose(1, 2, 0).clip(0, 255)
        np.testing.assert_allclose(image, expected, atol=0.51)
        assert boxes.names == ["kind 1", "kind 2", "kind 3"]


def test_ppdets_own_loader_makes_it(config):
    """As an unmodified tools/train.py does."""
    workspace.global_config.pop("ppdet_ext", None)
    cfg = workspace.load_config(str(config))
    loader = create("TrainReader")(create("TrainDataset")(), cfg.worker_num)
    assert type(loader) is train_reader.TrainReader and len(list(loader)) == 3


@pytest.mark.parametrize(
    "options, epochs, last",
    [
        ({}, 300, 270),
        ({}, 90, 60),
        ({}, 36, 24),
        ({}, 1, 1),
        ({"close_mosaic_epochs": 15}, 300, 285),
        ({"close_mosaic_epochs": 0}, 300, 300),
        ({"close_mosaic_epochs": None}, 300, None),
        ({"mosaic_epoch": 100}, 300, None),
        ({"mosaic_epoch": 100, "close_mosaic_epochs": None}, 300, None),
    ],
)
def test_when_mosaic_ends(options, epochs, last):
    assert last_mosaic_epoch(dict(options), [{"MosaicMixUp": {}}], epochs) == last


def test_no_mosaic_nothing_to_end():
    assert last_mosaic_epoch({}, [{"Decode": {}}], 300) is None


@pytest.mark.parametrize(
    "override, said",
    [
        ("TrainReader.fast=yes please", "TrainReader.fast is 'yes please'; give true or false"),
        ("TrainReader.cache_mb=-1", "cache_mb is -1; give whole MB"),
        ("TrainReader.cache_mb=1.5", "cache_mb is 1.5; give whole MB"),
        ("TrainReader={fast: false, cache_mb: 9}", "cache_mb needs fast: true"),
        ("TrainReader.cash_mb=9", "did you mean 'cache_mb'"),
        ("TrainReader.close_mosaic_epoch=3", "did you mean 'close_mosaic_epochs'"),
        ("TrainReader.close_mosaic_epochs=-1", "close_mosaic_epochs is -1"),
        ("TrainReader.close_mosaic_epochs=1.5", "close_mosaic_epochs is 1.5"),
        ("TrainReader={close_mosaic_epochs: 3, mosaic_epoch: 2}", "both say when Mosaic ends"),
    ],
)
def test_settings_that_cannot_be(config, override, said):
    with pytest.raises(ValueError, match=said):
        make(config, overrides=[override])


def test_little_shared_memory_is_said_and_done_without(config, monkeypatch, caplog):
    class Small:
        f_bavail, f_frsize = 64, 1 << 20

    monkeypatch.setattr(train_reader.os, "statvfs", lambda path: Small)
    said = []
    monkeypatch.setattr(train_reader.logger, "warning", said.append)
    loader = make(config, 1)
    assert loader.dataloader._options["use_shared_memory"] is False
    assert len(said) == 1 and "64 MB free" in said[0] and "shm-size" in said[0]
