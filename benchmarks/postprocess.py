"""What the runtime does around the network, in milliseconds: before it, after it, in a pipeline around it.

    .venv/bin/python benchmarks/postprocess.py --json output/benchmarks/postprocess.json

Medians of many runs, ours and PaddleDetection's (its transforms, Paddle's NMS operators) in turn, each result
compared first; '-' where PaddleDetection has no such part. The network's outputs are drawn: 8400 anchors x 80
classes, in which objects make heaps of candidates around them, as a trained PP-YOLOE's do at score threshold
0.01. The network of the pipeline sleeps, as a CPU does while a GPU works.
"""

import argparse
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

from common import add_json_argument, timed, turns, write_report

# isort: split
import cv2
import numpy as np
import yaml

from ppdet_ext.runtime import Detector, detector
from ppdet_ext.runtime.image import read_image
from ppdet_ext.runtime.nms import NMS
from ppdet_ext.runtime.operators import NetworkImage
from ppdet_ext.runtime.postprocess import Postprocess
from ppdet_ext.runtime.preprocess import Preprocess

SIZE, CLASSES = 640, 80
NAMES = [f"class {number}" for number in range(CLASSES)]
ENTRIES = {
    "PP-YOLOE": [
        {"type": "Resize", "target_size": [SIZE, SIZE], "keep_ratio": False, "interp": 2},
        {"type": "NormalizeImage", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        {"type": "Permute"},
    ],
    "letterbox, grey pad": [
        {"type": "Resize", "target_size": [SIZE, SIZE], "keep_ratio": True, "interp": 1},
        {"type": "Pad", "size": [SIZE, SIZE], "fill_value": [114.0, 114.0, 114.0]},
        {"type": "NormalizeImage", "mean": [0.0] * 3, "std": [1.0] * 3, "norm_type": "none"},
        {"type": "Permute"},
    ],
}
KEEP = {"score_threshold": 0.01, "nms_top_k": 1000, "keep_top_k": 300}
MATRIX = {"name": "MatrixNMS", **KEEP, "post_threshold": 0.01, "background_label": -1, "normalized": True}
KINDS = {
    "hard NMS": {"name": "MultiClassNMS", **KEEP, "nms_threshold": 0.7},
    "class-agnostic NMS": {"name": "ClassAgnosticNMS", **KEEP, "nms_threshold": 0.7},
    "soft NMS, linear": {"name": "SoftNMS", **KEEP, "post_threshold": 0.01, "use_gaussian": False},
    "soft NMS, Gaussian": {"name": "SoftNMS", **KEEP, "post_threshold": 0.01},
    "matrix NMS, linear": MATRIX,
    "matrix NMS, Gaussian": {**MATRIX, "use_gaussian": True},
}


def draw_outputs(candidates, seed=0):
    """Boxes [8400, 4] and scores [80, 8400] float32 with about so many scores above 0.01."""
    rng = np.random.default_rng(seed)
    grids = [
        (np.stack(np.mgrid[: SIZE // s, : SIZE // s][::-1], -1).reshape(-1, 2) + 0.5) * s for s in (32, 16, 8)
    ]
    strides = np.concatenate([np.full(len(grid), s) for grid, s in zip(grids, (32, 16, 8))])
    points = np.concatenate(grids)
    boxes = np.concatenate([points - strides[:, None] * 2, points + strides[:, None] * 2], 1)
    scores = rng.beta(0.25, 60, (CLASSES, len(points))) * 0.01
    while (scores > 0.01).sum() < candidates:
        side, centre = np.exp(rng.uniform(np.log(20), np.log(300), 2)), rng.uniform(0, SIZE, 2)
        away = np.abs(points - centre) / side
        inside = np.flatnonzero((away < 0.5).all(1))
        level = np.exp(-(np.log2(side.max() / (strides[inside] * 8)) ** 2) / 1.5)
        quality = rng.uniform(0.4, 1) * np.exp(-(away[inside] ** 2).sum(1) * 12) * level
        box = np.concatenate([centre - side / 2, centre + side / 2])
        boxes[inside] = box + rng.normal(0, 0.04, (len(inside), 4)) * np.tile(side, 2)
        label = min(int(rng.exponential(6)), CLASSES - 1)
        for other, share in ((label, 1), *zip(rng.integers(0, CLASSES, 3), rng.uniform(0.01, 0.15, 3))):
            scores[other, inside] = np.maximum(scores[other, inside], quality * share)
    return boxes.astype(np.float32), scores.astype(np.float32)


def measure(rounds, *functions):
    """Median milliseconds of each, run in turn; None for None."""
    calls = {number: timed(function) for number, function in enumerate(functions) if function}
    seconds = turns(calls, rounds, warmup=2)
    return [
        1e3 * statistics.median(seconds[number]) if number in seconds else None
        for number in range(len(functions))
    ]


def preprocessing(rounds, picture):
    """Rows for reading a JPEG and for each chain of operators."""
    from ppdet.data.transform import operators

    file = Path(tempfile.mkdtemp()) / "a.jpg"
    for height, width in ((480, 640), (1080, 1920)):
        file.write_bytes(cv2.imencode(".jpg", cv2.resize(picture, (width, height)))[1].tobytes())
        image, name = read_image(file), f"{width}x{height}"
        theirs = partial(their_preprocess, [operators.Decode()], file.read_bytes())
        same(image, theirs())
        yield f"JPEG, {name}", measure(rounds, partial(read_image, file), theirs)
        for chain, entries in ENTRIES.items():
            ours = Preprocess(entries)
            ours = partial(ours, image, np.zeros(ours.shape, np.float32))
            steps = [
                getattr(operators, entry["type"])(**{k: v for k, v in entry.items() if k != "type"})
                for entry in entries
            ]
            theirs = partial(their_preprocess, steps, image)
            same(ours().pixels, theirs())
            yield f"{chain}, {name}", measure(rounds, ours, theirs)


def their_preprocess(steps, image):
    """PaddleDetection's operators on an image, or on the bytes of a file."""
    sample = {"image": image}
    if not isinstance(image, bytes):
        sample["im_shape"] = np.array(image.shape[:2], np.float32)
        sample["scale_factor"] = np.ones(2, np.float32)
    for step in steps:
        sample = step(sample)
    return sample["image"]


def postprocessing(rounds, counts):
    """Rows for each kind of NMS, and for the whole way from outputs to Detections."""
    import paddle

    for count in counts:
        boxes, scores = draw_outputs(count)
        number = int((scores > 0.01).sum())
        for name, entry in KINDS.items():
            ours, theirs = partial(NMS(entry), boxes, scores), their_nms(entry)
            if theirs:
                theirs = partial(theirs, paddle.to_tensor(boxes[None]), paddle.to_tensor(scores[None]))
                same(np.sort(ours()[2]), np.sort(theirs()[0].numpy()[:, 1]), 1e-5)
            yield f"{name}, {number} candidates", measure(rounds, ours, theirs)
        image = NetworkImage(None, None, np.array([SIZE / 480, 1], np.float32), np.zeros(2, np.float32))
        post = Postprocess(KINDS["hard NMS"], NAMES)
        for threshold in (0.01, 0.5):
            whole = partial(post, boxes[None], scores[None], [image], threshold)
            yield (
                f"outputs to Detections, {number} candidates, threshold {threshold}",
                measure(rounds, whole, None),
            )


def their_nms(entry):
    """Paddle's operator for an entry, None where it has none."""
    import paddle
    from ppdet.modeling import layers

    settings = {key: value for key, value in entry.items() if key != "name"}
    if entry["name"] == "MultiClassNMS":
        return layers.MultiClassNMS(**settings)
    if entry["name"] == "MatrixNMS":
        return partial(paddle.vision.ops.matrix_nms, **settings)
    return None


class SleepingNetwork:
    """A backend that takes a while and no processor."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.boxes, self.scores = draw_outputs(3000)

    def run(self, images, out=None):
        time.sleep(self.seconds)
        if out is None:
            return tuple(np.repeat(part[None], len(images), 0) for part in (self.boxes, self.scores))
        for place, part in zip(out, (self.boxes, self.scores)):
            place[:] = part
        return out


def pipelines(rounds, picture):
    """Rows for a Detector around a network of 20 ms a batch: one image, and a stream, an image."""
    folder = Path(tempfile.mkdtemp())
    settings = {"mode": "paddle", "arch": "YOLO", "outputs": "raw", "label_list": NAMES}
    settings.update({"NMS": KINDS["hard NMS"], "Preprocess": ENTRIES["PP-YOLOE"]})
    (folder / "infer_cfg.yml").write_text(yaml.safe_dump(settings))
    (folder / "a.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    network = SleepingNetwork(0.02)
    detector.create_backend = lambda *arguments: network
    runner, files = Detector(folder), [folder / "a.jpg"] * 64
    runs = max(3, rounds // 10)
    for threshold in (0.01, 0.5):
        name = f"JPEG 640x480, network 20 ms a batch, threshold {threshold}"
        yield f"one image: {name}", measure(rounds, partial(runner.predict, files[0], 1, threshold), None)
        for batch in (1, 8):
            (whole,) = measure(runs, partial(runner.predict, files, batch, threshold))
            yield f"an image of a stream, batch {batch}: {name}", [whole / len(files), None]


def same(ours, theirs, tolerance=0.0):
    if ours.shape != theirs.shape or np.abs(ours - theirs).max(initial=0) > tolerance:
        raise SystemExit("the results differ")


def quoted(report):
    """What the docs quote: milliseconds of each part, ours and PaddleDetection's."""
    return {
        row["part"].replace("/", "_"): {key: row[key] for key in ("ours_ms", "upstream_ms")}
        for row in report["rows"]
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--candidates", nargs="+", type=int, default=[1000, 3000, 5000])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1, help="of OpenCV")
    add_json_argument(parser)
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8), (640, 480), interpolation=2)
    rows = []
    print(f"{'ours':>9} {'theirs':>9} {'times':>6}   part")
    for group in (
        preprocessing(args.rounds, picture),
        postprocessing(args.rounds, args.candidates),
        pipelines(args.rounds, picture),
    ):
        for part, (ours, theirs) in group:
            rows.append({"part": part, "ours_ms": ours, "upstream_ms": theirs})
            other = f"{theirs:>6.2f} ms {theirs / ours:>6.2f}" if theirs else f"{'-':>9} {'-':>6}"
            print(f"{ours:>6.2f} ms {other}   {part}", flush=True)
    report = {"rounds": args.rounds, "opencv_threads": args.threads, "rows": rows}
    write_report(args.json, report, quoted(report))


if __name__ == "__main__":
    main()
