"""How many images a second a training reads: PaddleDetection's operators and ours, in one run.

    .venv/bin/python benchmarks/reader.py --json output/benchmarks/reader.json
    .venv/bin/python benchmarks/reader.py --images dataset/coco/val2017 --count 256

Both sides read the same files with the same random numbers; the largest difference of their batches is found
first. Ours is measured twice, as it comes and with `cache_mb`, when every image is decoded and kept. Rounds
are interleaved, so that a machine whose speed drifts favours neither: medians of the rounds and of their
ratios. First in one process, by operator, in milliseconds of a core, into which other processes do not enter;
then through the reader with workers, by the clock, where they do. Ours write down what there is to do and
paint once: the row 'painting and collating'. Without --images, pictures of 640 x 480 with noise of all scales
are drawn, as JPEG of about 90 kB.

Last, what the reader is for: training steps of PP-YOLOE nano at 320, and the part of the time in which a step
waits for its batch.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

from common import add_json_argument, turns, write_report
from reader_data import BATCH, configure, draw_pictures, make_annotations
from reader_report import LAST, as_sentence, quoted, table

# isort: split
import cv2
import numpy as np
from tqdm import tqdm

import ppdet_ext
from ppdet_ext.data_loader import stop_reading
from ppdet_ext.evaluation.bench.process import silent_stdout
from ppdet_ext.runtime.image import find_images

RECIPES = {
    "PP-YOLOE, 320 to 768": "configs/ppyoloe/ppyoloe_s_coco.yml",
    "PP-YOLOE+, 320 to 768": "configs/ppyoloe/ppyoloe_plus_s_coco.yml",
    "EfficientDet-D0, 512": "configs/efficientdet/efficientdet_d0_coco.yml",
    "demo, 128": "configs/demo/ppyoloe_nano_demo.yml",
    "YOLOv6, Mosaic, 640": "configs/yolov6/yolov6_s_coco.yml",
}
NANO = "configs/ppyoloe/ppyoloe_nano_coco.yml"
NANO_SIZE = 320
# What is compared: the options of `configure`.
SIDES = {
    "PaddleDetection": {"upstream": True},
    "ours": {"upstream": False},
    "cached": {"upstream": False, "cache_mb": 512},
}


class Side:
    """One side's operators over the benchmark's records, in this process.

    Args:
        cfg: of `configure`.
    """

    def __init__(self, cfg):
        from ppdet.core.workspace import create

        self.cfg = cfg
        dataset = create("TrainDataset")()
        dataset.check_or_download_dataset()
        dataset.parse_dataset()
        reader = create("TrainReader")
        dataset.set_kwargs(**reader.kwargs)
        reader.keep_images(dataset)
        self._seconds = {}
        self._clock(reader._sample_transforms)
        self._clock(reader._batch_transforms)
        dataset.set_transform(reader._sample_transforms)
        self._dataset, self._assemble = dataset, reader._batch_transforms
        self.round(len(dataset))  # what is kept is there when the clock starts

    def _clock(self, part):
        """Times each operator of a Compose, or of ours."""
        part = getattr(part, "_operators", part)
        if hasattr(part, "operators"):
            part.operators = [(name, self._clocked(name, operator)) for name, operator in part.operators]
        else:
            part.transforms_cls = [self._clocked(type(f).__name__, f) for f in part.transforms_cls]

    def _clocked(self, name, operator):
        seconds = self._seconds

        class Clocked(type(operator)):
            def __call__(self, samples, context=None):
                start = time.process_time()
                samples = super().__call__(samples, context)
                seconds[name] = seconds.get(name, 0) + time.process_time() - start
                return samples

        operator.__class__ = Clocked
        return operator

    def batch(self, first, seed):
        """The batch from an image on."""
        np.random.seed(seed)
        count = len(self._dataset)
        return self._assemble([self._dataset[n % count] for n in range(first, first + BATCH)])

    def round(self, images):
        """Reads that many images; returns a core's milliseconds an image by operator, and in all."""
        self._seconds.clear()
        start = time.process_time()
        for first in range(0, images, BATCH):
            self.batch(first, seed=first)
        total = time.process_time() - start
        parts = {**self._seconds, LAST: total - sum(self._seconds.values())}
        return {"total": total / images * 1000, **{k: s / images * 1000 for k, s in parts.items()}}


def difference(sides, batches):
    """How many grey levels the images of some batches are apart at most; boxes have to be equal."""
    worst = 0.0
    for seed in range(batches):
        theirs, ours = (sides[name].batch(seed * BATCH, seed) for name in ("PaddleDetection", "ours"))
        for field in ("gt_bbox", "gt_class", "pad_gt_mask", "scale_factor", "im_shape"):
            np.testing.assert_array_equal(theirs[field], ours[field], field)
        assert theirs["image"].shape == ours["image"].shape
        steps = sides["ours"].cfg.TrainReader
        (options,) = [
            step["NormalizeImage"]
            for stage in ("sample_transforms", "batch_transforms")
            for step in steps[stage]
            if "NormalizeImage" in step
        ]
        level = 1 / 255 if options.get("is_scale", True) else 1.0
        if options.get("norm_type", "mean_std") == "mean_std":
            level /= max(options["std"])
        worst = max(worst, float(np.abs(theirs["image"] - ours["image"]).max()) / level)
    return worst


def medians(rounds):
    """Of each number in a list of dicts."""
    return {key: statistics.median(round_.get(key, 0.0) for round_ in rounds) for key in rounds[0]}


def one_process(path, annotations, rounds, images):
    """Milliseconds an image of each side, by operator."""
    sides = {name: Side(configure(path, annotations, **options)) for name, options in SIDES.items()}
    same = not any("MosaicMixUp" in step for step in sides["ours"].cfg.TrainReader["sample_transforms"])
    result = {"grey_levels_apart": difference(sides, 8) if same else None}
    measured = turns({name: partial(side.round, images) for name, side in sides.items()}, rounds)
    result["ms"] = {name: medians(measured[name]) for name in SIDES}
    rates = {name: [1 / found["total"] for found in measured[name]] for name in SIDES}
    return {**result, "times_as_fast": times_as_fast(rates)}


def times_as_fast(rates):
    """The medians of the rounds' ratios to PaddleDetection's."""
    theirs = rates["PaddleDetection"]
    return {
        name: statistics.median(ours / stock for ours, stock in zip(rates[name], theirs))
        for name in SIDES
        if rates[name] is not theirs
    }


def endless(loader):
    """Batches, epoch after epoch."""
    for epoch in itertools.count():
        loader.dataset.set_epoch(epoch)
        yield from loader


def with_workers(path, annotations, rounds, images, workers):
    """Images a second through the reader, of each side."""
    from ppdet.core.workspace import create

    def rate(name):
        configure(path, annotations, **SIDES[name])
        loader = create("TrainReader")(create("TrainDataset")(), workers)
        batches = endless(loader)
        for _ in range(len(loader) if "cache_mb" in SIDES[name] else 1):  # once the workers are there
            next(batches)
        start = time.perf_counter()
        for _ in range(0, images, BATCH):
            next(batches)
        found = images / (time.perf_counter() - start)
        stop_reading(loader.loader) if SIDES[name]["upstream"] else loader.dataloader.close()
        return found

    rates = turns({name: partial(rate, name) for name in SIDES}, rounds)
    found = {name: statistics.median(values) for name, values in rates.items()}
    return {**found, "times_as_fast": times_as_fast(rates)}


def starvation(annotations, steps, workers):
    """How long training steps of PP-YOLOE nano at 320 wait for their batches."""
    from ppdet.core.workspace import create

    cfg = configure(NANO, annotations, upstream=False, norm_type="bn")
    for step in cfg.TrainReader["batch_transforms"]:
        if "BatchRandomResize" in step:
            step["BatchRandomResize"]["target_size"] = [NANO_SIZE]
    loader = create("TrainReader")(create("TrainDataset")(), workers)
    model = create(cfg.architecture)
    model.load_meanstd(cfg.TestReader["sample_transforms"])
    model.train()
    optimizer = create("OptimizerBuilder")(0.001, model)
    waited = worked = 0.0
    batches = endless(loader)
    for number in tqdm(range(steps + 1), "steps", disable=None, leave=False):
        start = time.perf_counter()
        data = next(batches)
        read = time.perf_counter()
        model({**data, "epoch_id": 0})["loss"].backward()
        optimizer.step()
        optimizer.clear_grad()
        if number:  # the first waits for the workers to begin
            waited, worked = waited + read - start, worked + time.perf_counter() - read
    loader.dataloader.close()
    return {
        "steps": steps,
        "workers": workers,
        "step_ms": worked / steps * 1000,
        "wait_ms": waited / steps * 1000,
        "wait_share": waited / (waited + worked),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", help="folder of your own pictures")
    parser.add_argument("--count", type=int, default=64, help="pictures (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of each side (%(default)s)")
    parser.add_argument("--read", type=int, default=64, help="images a round (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="of the reader (%(default)s)")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES), metavar="NAME")
    parser.add_argument("--steps", type=int, default=10, help="training steps of nano; 0: none (%(default)s)")
    add_json_argument(parser)
    args = parser.parse_args()
    args.read -= args.read % BATCH
    cv2.setNumThreads(1)
    ppdet_ext.setup()
    results = {"cores": os.cpu_count(), "batch": BATCH, "one_process": {}, "workers": {}}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if not args.images:
            draw_pictures(folder, args.count)
        files = [file for file, _ in find_images([args.images or folder])][: args.count]
        annotations = folder / "annotations.json"
        make_annotations(annotations, files)
        for name in tqdm(args.recipes, "recipes", disable=None, leave=False):
            with silent_stdout():
                one = one_process(RECIPES[name], annotations, args.rounds, args.read)
                both = with_workers(RECIPES[name], annotations, args.rounds, args.read, args.workers)
            results["one_process"][name], results["workers"][name] = one, both
            print(*table(name, one), sep="\n")
            said = as_sentence(both, both["times_as_fast"])
            print(f"  with {args.workers} workers: {said}", flush=True)
        if args.steps:
            with silent_stdout():
                results["nano"] = nano = starvation(annotations, args.steps, args.workers)
            print(
                f"PP-YOLOE nano at {NANO_SIZE}, {args.workers} workers: a step of {BATCH} takes "
                f"{nano['step_ms']:.0f} ms and waits {nano['wait_ms']:.1f} ms for its batch "
                f"({nano['wait_share']:.1%})"
            )
    write_report(args.json, results, quoted(results))


if __name__ == "__main__":
    main()
