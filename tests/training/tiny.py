"""A demo set of a few small scenes, a config that trains on it in seconds, and commands that can't hang."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from ppdet_ext.data.demo import make_demo

ROOT = Path(__file__).resolve().parents[2]
SIZE, TRAIN, VAL, BATCH = 96, 16, 8, 8

CONFIG = f"""
_BASE_: ['{ROOT}/configs/demo/%(base)s.yml']
epoch: 1
log_iter: 1
snapshot_epoch: 1
TrainDataset: {{dataset_dir: demo}}
EvalDataset: {{dataset_dir: demo}}
TestDataset: {{dataset_dir: demo}}
TrainReader:
  batch_size: {BATCH}
  batch_transforms:
    - BatchRandomResize: {{target_size: {SIZE}, random_size: false, random_interp: false, keep_ratio: false}}
    - NormalizeImage: &normalize {{mean: [0., 0., 0.], std: [1., 1., 1.], norm_type: none}}
    - Permute: {{}}
    - PadGT: {{}}
EvalReader:
  batch_size: 4
  sample_transforms: &transforms
    - Decode: {{}}
    - Resize: {{target_size: [{SIZE}, {SIZE}], keep_ratio: false, interp: 2}}
    - NormalizeImage: *normalize
    - Permute: {{}}
TestReader:
  inputs_def: {{image_shape: [3, {SIZE}, {SIZE}]}}
  sample_transforms: *transforms
# So low that a model of two steps finds something to evaluate.
%(head)s: {{nms: {{score_threshold: 0.001}}}}
"""
PPYOLOE = {"base": "ppyoloe_nano_demo", "head": "ETHead"}
YOLOV6 = {"base": "yolov6_nano_demo", "head": "EfficientRepHead"}
EFFICIENTDET = {"base": "efficientdet_nano_demo", "head": "EfficientDetHead"}


def make_workplace(folder, train=TRAIN, family=PPYOLOE):
    """Writes `demo/` and `tiny.yml` into a folder; commands are to run there."""
    make_demo(folder / "demo", size=SIZE, train=train, val=VAL, progress=False)
    (folder / "tiny.yml").write_text(CONFIG % family)
    return folder


def history(save_dir):
    """The records that a training left under its `save_dir`."""
    return [json.loads(line) for line in (save_dir / "tiny" / "history.jsonl").read_text().splitlines()]


def _descendants(pid):
    """A process and all that it started; the launcher's workers are in sessions of their own."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # already gone, or no Linux
        children = []
    return [pid, *(found for child in children for found in _descendants(int(child)))]


def run_python(arguments, folder, timeout=150, env=None):
    """Runs a command of this Python in a folder: status, stdout, stderr. Past its time it and its own end."""
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, **(env or {})},
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        for pid in _descendants(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        out, err = process.communicate()
        said = f"{out[-3000:]}\n{err[-3000:]}"
        raise AssertionError(f"still running after {timeout} s: {arguments}\n{said}") from None
    return SimpleNamespace(status=process.returncode, out=out, err=err, log=out + err)


def the_one_line(err):
    """The last line of stderr, the only one of ours; Paddle 3 warns on stderr about itself."""
    lines = err.splitlines()
    chatter = ("Warning", "warnings.warn", "Modified FLAGS", "FLAGS(", "=====")
    others = [line for line in lines[:-1] if not any(word in line for word in chatter)]
    assert lines[-1].startswith("ppdet-ext ") and not others, err
    return lines[-1]


def empty_second_half(folder):
    """Leaves the first half of the training images of a workplace its boxes; how many boxes that are."""
    path = folder / "demo" / "annotations" / "train.json"
    annotations = json.loads(path.read_text())
    kept = [box for box in annotations["annotations"] if box["image_id"] <= TRAIN // 2]
    annotations["annotations"] = kept
    path.write_text(json.dumps(annotations))
    return len(kept)
