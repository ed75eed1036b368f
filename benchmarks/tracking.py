"""How well and how fast objects are followed.

    .venv/bin/python benchmarks/tracking.py --model output/demo/exported --json output/tracking.json

First the tracker alone, on the tests' scene of 5 objects in 120 frames (two cross, one is unseen for half a
second, one comes late, one leaves early), with detections that are the truth and with bad ones. Then the
detector that `ppdet-ext demo` trains, on videos of moving digits that it has not seen: MOTA, IDF1 (of
motmetrics, IoU 0.5). Last, frames a second of one engine with several videos at once, beside detection
without tracking; files of tracks are written, videos are not drawn.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Event
from types import SimpleNamespace

from common import add_json_argument, turns, write_report
from digit_video import write_digit_video

# isort: split
import numpy as np
from tqdm import tqdm

from ppdet_ext.evaluation.text_table import align
from ppdet_ext.prediction.outputs import Names
from ppdet_ext.runtime import Detector
from ppdet_ext.runtime.video import Video
from ppdet_ext.tracking import Tracker
from ppdet_ext.tracking.run import Run
from ppdet_ext.tracking.tracker import WEAKEST
from ppdet_ext.tracking.truth import TruthScore
from tests.tracking import scene

FIGURES = ("mota", "idf1", "switches", "misses", "false_alarms")


def follow(truth, detect):
    """Figures of the tracker on the tests' scene."""
    tracker, score = Tracker(scene.NAMES, scene.FPS), TruthScore(truth)
    for frame in range(1, scene.FRAMES + 1):
        score.add(tracker.update(detect(frame)))
    return score.result()


def on_scene(folder, seeds):
    """{detections: figures of each seed}."""
    truth = scene.write_truth(folder / "scene.txt")
    noisy = (partial(scene.noisy, rng=np.random.default_rng(seed)) for seed in range(seeds))
    return {
        "the truth": [follow(truth, scene.perfect)],
        "bad ones": [follow(truth, detect) for detect in noisy],
    }


def track(detector, args, videos, folder):
    """Follows through videos with their truths; the records of `track`, in order."""
    options = SimpleNamespace(
        threshold=args.threshold, patience=1.0, classes=None, frames=None, batch=args.batch
    )
    work = Run(
        detector,
        options,
        Names(folder / "tracks", []),
        draw=False,
        stop=Event(),
        progress=lambda: None,
    )
    work.take_videos([(video, Path(video.name)) for video, _ in videos], [truth for _, truth in videos])
    if work.failures:
        raise ValueError(work.failures[0])
    return work.records


def frames_a_second(work):
    """Of a callable that returns how many frames it took."""
    start = time.perf_counter()
    frames = work()
    return frames / (time.perf_counter() - start)


def tracked(detector, args, videos, folder):
    return sum(record["frames"] for record in track(detector, args, videos, folder))


def detected(detector, args, videos):
    """Runs videos through the detector alone; how many frames they have."""
    with ExitStack() as stack:
        readers = [stack.enter_context(Video(str(video))) for video, _ in videos]
        return sum(1 for _ in detector.streams(readers, args.batch, WEAKEST))


def speed(detector, args, videos, folder):
    """{number of streams: frames a second, of all together, 'tracked' and 'detected'}."""
    works = {}
    for count in args.streams:
        some = [(video, None) for video, _ in itertools.islice(itertools.cycle(videos), count)]
        works[f"{count} tracked"] = partial(frames_a_second, partial(tracked, detector, args, some, folder))
        works[f"{count} detected"] = partial(frames_a_second, partial(detected, detector, args, some))
    rates = turns(works, args.rounds)
    return {
        count: {
            "per_s": statistics.median(rates[f"{count} tracked"]),
            "ratio": statistics.median(
                one / other for one, other in zip(rates[f"{count} tracked"], rates[f"{count} detected"])
            ),
        }
        for count in args.streams
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True, metavar="FOLDER", help="the demo's detector, exported")
    parser.add_argument("--backend", default="onnxruntime", metavar="NAME", help="the engine (%(default)s)")
    parser.add_argument("--threads", type=int, metavar="N", help="of the engine (all)")
    parser.add_argument("--batch", type=int, default=4, metavar="N", help="frames a run (%(default)s)")
    parser.add_argument("--threshold", type=float, default=0.5, help="that begins a track (%(default)s)")
    parser.add_argument("--videos", type=int, default=4, metavar="N", help="of digits (%(default)s)")
    parser.add_argument("--frames", type=int, default=250, metavar="N", help="of each (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="of the bad ones (%(default)s)")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 8], metavar="N", help="(1 4 8)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of each number (%(default)s)")
    add_json_argument(parser)
    args = parser.parse_args()
    detector = Detector(args.model, args.backend, args.threads)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        quality = on_scene(folder, args.seeds)
        videos = []
        for seed in tqdm(range(args.videos), "videos", disable=None, leave=False):
            videos.append((folder / f"{seed}.avi", folder / f"{seed}.txt"))
            write_digit_video(*videos[-1], seed, args.frames)
        records = track(detector, args, videos, folder)
        quality["of the demo's detector"] = [record["truth"] for record in records]
        rates = speed(detector, args, videos, folder)
    rows = [
        [name, *(" ".join(format(one[key], "g") for one in found) for key in FIGURES)]
        for name, found in quality.items()
    ]
    print(*align([["detections", *FIGURES]], rows), sep="\n")
    for count, found in rates.items():
        said = f"{found['per_s']:.0f} frames/s, {found['ratio']:.2f} of detection alone"
        print(f"{_videos(count)} at once: {said}")
    write_report(args.json, {"quality": quality, "streams": rates}, quoted(quality, rates))


def _videos(count):
    return f"{count} video{'s' * (count > 1)}"


def quoted(quality, rates):
    """What the docs quote: each figure's least and greatest, and the speeds."""
    figures = {
        name: {key: [min(one[key] for one in found), max(one[key] for one in found)] for key in FIGURES}
        for name, found in quality.items()
    }
    return {**figures, **{_videos(count): found for count, found in rates.items()}}


if __name__ == "__main__":
    main()
