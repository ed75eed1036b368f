"""Label assigners beside PaddleDetection's: time, peak memory, and whether they assign the same.

    python benchmarks/assigners.py --rounds 3 --json assigners.json

One batch of 8 images of 640 x 640 (8400 anchors), 80 classes. Time is the median of rounds in
which the two sides alternate; memory is the peak of the resident set above what it was before
the call, in a fresh process for each number. Labels, boxes and masks have to be equal; scores may differ
by 1e-6 of themselves. Exit status 1 if an output differs by more.
"""

import argparse
import ctypes
import os
import statistics
import sys
import time
from functools import partial
from pathlib import Path

from common import add_json_argument, run, turns, write_report

BATCH, SIZE, STRIDES, CLASSES = 8, 640, (32, 16, 8), 80
CASES = {
    "20 gts": [20] * 8,
    "100 gts": [100] * 8,
    "300 gts": [300] * 8,
    "300 + 7 x 30": [300] + [30] * 7,
}
SIDES = ("ppdet", "ours")
ASSIGNERS = ("ATSS", "TAL")
OUTPUTS = ("labels", "boxes", "scores", "mask")
# The last bits of a power differ between processors' vector code; the tests of the assigners allow as much.
SCORES_RTOL = 1e-6


def make_inputs(gts):
    """Seeded inputs of both assigners: gts from 8 pixels to half the image, padded with zeros."""
    import numpy as np
    import paddle

    rng = np.random.default_rng(0)
    points, strides, counts = [], [], []
    for stride in STRIDES:
        y, x = np.meshgrid(*[np.arange(SIZE // stride)] * 2, indexing="ij")
        points.append((np.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride)
        strides.append(np.full((len(points[-1]), 1), stride))
        counts.append(len(points[-1]))
    points, strides = np.concatenate(points), np.concatenate(strides)
    batch, most, num = len(gts), max(gts), len(points)
    mask = (np.arange(most) < np.array(gts)[:, None])[..., None]
    center = rng.random((batch, most, 2)) * SIZE
    half = np.exp(rng.uniform(np.log(8), np.log(SIZE / 2), (batch, most, 2))) / 2
    boxes = np.concatenate([center - half, center + half], -1).clip(0, SIZE) * mask
    labels = rng.integers(0, CLASSES, (batch, most, 1)) * mask
    reach = rng.exponential(3, (2, batch, num, 2)) * strides
    pred_boxes = np.concatenate([points - reach[0], points + reach[1]], -1)
    pred_scores = rng.random((batch, num, CLASSES), dtype="float32") ** 4
    anchors = np.concatenate([points - 2.5 * strides, points + 2.5 * strides], -1)

    def tensor(array):
        return paddle.to_tensor(array.astype("float32"))

    # int64 labels: with int32 ones PaddleDetection's ATSS fails on Paddle 3.
    gt = {
        "gt_labels": paddle.to_tensor(labels.astype("int64")),
        "gt_bboxes": tensor(boxes),
        "pad_gt_mask": tensor(mask),
        "bg_index": CLASSES,
        "num_anchors_list": counts,
    }
    return {
        "ATSS": dict(gt, anchor_bboxes=tensor(anchors), pred_bboxes=tensor(pred_boxes)),
        "TAL": dict(
            gt, anchor_points=tensor(points), pred_bboxes=tensor(pred_boxes), pred_scores=tensor(pred_scores)
        ),
    }


def make_assigner(side, name):
    from ppdet.modeling.assigners import ATSSAssigner, TaskAlignedAssigner

    from ppdet_ext.modeling.assigners import ATSSLabelAssigner, TALLabelAssigner

    classes = {"ppdet": (ATSSAssigner, TaskAlignedAssigner), "ours": (ATSSLabelAssigner, TALLabelAssigner)}
    if name == "ATSS":
        return classes[side][0](topk=9, num_classes=CLASSES)
    return classes[side][1](topk=13, alpha=1.0, beta=6.0)


def _status(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status: no field {field}")


def measure_memory(side, name, case):
    """Peak resident MiB above the start of one call, in this process."""
    assigner = make_assigner(side, name)
    assigner(**make_inputs([1, 1])[name])  # loads what the first call loads
    inputs = make_inputs(CASES[case])[name]
    ctypes.CDLL(None).malloc_trim(0)  # so that no freed memory stands ready for the call
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to the present
    start = _status("VmRSS")
    outputs = assigner(**inputs)
    peak = _status("VmHWM") - start
    assert len(outputs) == len(OUTPUTS)
    return peak


def memory_in_new_process(side, name, case):
    return float(run([sys.executable, __file__, "--memory-of", side, name, case]).split()[-1])


def compare(theirs, ours):
    """Holds four outputs of an assigner, OUTPUTS in order, to PaddleDetection's.

    Args:
        theirs (list): arrays of PaddleDetection's assigner: labels [B, L] int64, boxes [B, L, 4] float32,
            scores [B, L, C] float32, mask float32.
        ours (list): the same of this package's.

    Returns:
        tuple: names of the outputs that differ in shape, dtype or value, of scores by more than SCORES_RTOL;
            the largest difference of a score, relative to the larger of the two.
    """
    import numpy as np

    different, scores_apart = [], 0.0
    for label, a, b in zip(OUTPUTS, theirs, ours):
        same = a.dtype == b.dtype and a.shape == b.shape
        if same and label == "scores":
            larger = np.maximum(abs(a), abs(b)).astype("float64")
            scores_apart = float((abs(a.astype("float64") - b) / np.where(larger == 0, 1, larger)).max())
            same = scores_apart <= SCORES_RTOL
        elif same:
            same = np.array_equal(a, b)
        if not same:
            different.append(label)
    return different, scores_apart


def measure(name, case, rounds):
    """One row of the report."""
    inputs = make_inputs(CASES[case])[name]
    assigners = {side: make_assigner(side, name) for side in SIDES}
    outputs = {}

    def call(side):
        outputs.pop(side, None)
        start = time.perf_counter()
        outputs[side] = assigners[side](**inputs)
        return time.perf_counter() - start

    times = turns({side: partial(call, side) for side in SIDES}, rounds)
    different, scores_apart = compare(*([output.numpy() for output in outputs[side]] for side in SIDES))
    outputs.clear()
    row = {"assigner": name, "case": case, "different": different, "scores_apart": scores_apart}
    for side in SIDES:
        row[side] = {
            "seconds": statistics.median(times[side]),
            "all_seconds": times[side],
            "peak_mib": memory_in_new_process(side, name, case),
        }
    for key, ratio in (("seconds", "faster"), ("peak_mib", "smaller")):
        row[ratio] = row["ppdet"][key] / row["ours"][key]
    return row


def quoted(report):
    """What the docs quote: how many times as fast and as small ours is, and whether it assigns the same.

    `scores_apart` is the largest difference of a score, relative to it.
    """
    return {
        f"{row['assigner']}, {row['case']}": {
            "faster": row["faster"],
            "smaller": row["smaller"],
            "same": not row["different"],
            "scores_apart": row["scores_apart"],
        }
        for row in report["rows"]
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="timed calls of each side")
    parser.add_argument(
        "--cases",
        nargs="+",
        choices=CASES,
        default=list(CASES),
        metavar="CASE",
        help=f"of {', '.join(map(repr, CASES))}; all by default",
    )
    add_json_argument(parser)
    parser.add_argument("--memory-of", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds: at least 1")
    if args.memory_of:
        print(measure_memory(*args.memory_of))
        return 0

    make_assigner("ours", "TAL")  # settles the order of imports
    import paddle

    rows = []
    print(
        f"paddle {paddle.__version__}, {os.cpu_count()} CPUs, batch {BATCH}, {SIZE} x {SIZE}, "
        f"{CLASSES} classes, {args.rounds} rounds"
    )
    print(
        f"{'':4}  {'gts':12}  {'ppdet':>8} {'ours':>8} {'faster':>8}   {'ppdet':>8} {'ours':>8} "
        f"{'smaller':>8}   outputs"
    )
    for case in args.cases:
        for name in ASSIGNERS:
            row = measure(name, case, args.rounds)
            rows.append(row)
            theirs, ours = row["ppdet"], row["ours"]
            print(
                f"{name:4}  {case:12}  {theirs['seconds']:6.2f} s {ours['seconds']:6.3f} s "
                f"{row['faster']:7.1f}x   {theirs['peak_mib']:4.0f} MiB {ours['peak_mib']:4.0f} MiB "
                f"{row['smaller']:7.1f}x   "
                + (f"DIFFERENT: {', '.join(row['different'])}" if row["different"] else "the same")
                + f", scores within {row['scores_apart']:.1e}",
                flush=True,
            )
    settings = {"batch": BATCH, "size": SIZE, "classes": CLASSES, "rounds": args.rounds}
    report = {"paddle": paddle.__version__, "cpus": os.cpu_count(), **settings, "rows": rows}
    write_report(args.json, report, quoted(report))
    return 1 if any(row["different"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
