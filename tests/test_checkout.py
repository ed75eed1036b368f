"""PaddleDetection's own four commands, unmodified, with our config.

    PPDET_CHECKOUT=/path/to/PaddleDetection scripts/test.sh tests/test_checkout.py

A checkout of the develop branch needs imgaug and its dependencies too; a PYTHONPATH that holds them is kept.
"""

import json
import os
import re
from pathlib import Path

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import cv2
import numpy as np
import pytest

from ppdet_ext import compat
from tests.training.tiny import PPYOLOE, ROOT, SIZE, VAL, make_workplace, run_python

CHECKOUT = os.environ.get("PPDET_CHECKOUT", "")
TOOLS = Path(CHECKOUT) / "tools"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHECKOUT, reason="PPDET_CHECKOUT names no PaddleDetection checkout"),
    pytest.mark.skipif(
        bool(CHECKOUT) and not (TOOLS / "train.py").is_file(),
        reason=f"PPDET_CHECKOUT: no tools/train.py in {CHECKOUT}",
    ),
]


class Checkout:
    """A folder in which the checkout's commands run."""

    def __init__(self, folder, family=PPYOLOE):
        self.folder = make_workplace(folder, family=family)
        self.home = folder / "home"
        self.home.mkdir()

    def run(self, name, *arguments):
        return self.run_file(TOOLS / f"{name}.py", "-c", "tiny.yml", *arguments)

    def run_file(self, *command):
        paths = [CHECKOUT, str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        run = run_python(
            command,
            self.folder,
            env={"PYTHONPATH": os.pathsep.join(paths), "HOME": str(self.home)},
        )
        missing = re.search(r"ModuleNotFoundError: No module named '(\w+)", run.err)
        if missing and missing.group(1) not in ("paddle", "ppdet", "ppdet_ext"):
            pytest.skip(f"this checkout needs {missing.group(1)}, which is not installed")
        assert run.status == 0, run.log[-3000:]
        return run

    @property
    def options(self):
        # release/2.6 writes output/tiny/model_final, develop output/model_final.
        (weights,) = (self.folder / "output").rglob("model_final.pdparams")
        return ["-o", "use_gpu=false", f"weights={weights.with_suffix('')}"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Trained and evaluated; `.log` is what training said."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    checkout.log = checkout.run("train", "--eval", "-o", "use_gpu=false").log
    return checkout


@pytest.fixture(scope="module")
def boxes(checkout):
    """What the checkout's evaluation finds in the validation images: label, score, xyxy of each image."""
    (checkout.folder / "bbox.json").unlink()
    run = checkout.run("eval", *checkout.options)
    assert f"Total sample number: {VAL}" in run.log and "Average Precision" in run.out
    found = {}
    for box in json.loads((checkout.folder / "bbox.json").read_text()):
        x, y, width, height = box["bbox"]
        row = [box["category_id"] - 1, box["score"], x, y, x + width, y + height]
        found.setdefault(box["image_id"], []).append(row)
    return {number: np.array(rows) for number, rows in found.items()}


def test_training_evaluates_and_writes_checkpoints(checkout):
    assert "Average Precision" in checkout.log and "Best test bbox ap" in checkout.log
    output = checkout.folder / "output"
    for name in ("model_final", "best_model"):
        assert list(output.rglob(f"{name}.pdparams")), name


def test_the_model_is_ours(checkout):
    """The checkpoint goes strictly into the model that our own loader builds."""
    from ppdet.core.workspace import create

    from ppdet_ext.config import load_config
    from ppdet_ext.training.checkpoints.loading import load_pretrained

    model = create(load_config(str(checkout.folder / "tiny.yml")).architecture)
    assert type(model.yolo_head).__module__ == "ppdet_ext.modeling.heads.et_head"
    weights = checkout.options[-1].split("=", 1)[1]
    assert len(load_pretrained(model, weights)) == len(model.state_dict())


def test_evaluation_finds_boxes_in_every_image(boxes):
    assert sorted(boxes) == list(range(1, VAL + 1))
    for rows in boxes.values():
        assert np.isfinite(rows).all() and set(rows[:, 0]) <= set(range(10))


def test_prediction_draws_pictures(checkout):
    images = checkout.folder / "demo" / "images" / "val"
    flags = ["--infer_dir", images, "--output_dir", "pictures", "--draw_threshold", "0.001"]
    checkout.run("infer", *flags, *checkout.options)
    for path in images.iterdir():
        before, after = cv2.imread(str(path)), cv2.imread(str(checkout.folder / "pictures" / path.name))
        assert after.shape == before.shape == (SIZE, SIZE, 3)
        assert (cv2.absdiff(before, after) > 64).any(), "nothing is drawn"


def test_the_export_answers_as_the_evaluation(checkout, boxes):
    """NMS is in the graph, the blocks are re-parameterised, and the boxes are the same."""
    from paddle import inference

    checkout.run("export_model", "--output_dir", "exported", *checkout.options)
    folder = checkout.folder / "exported" / "tiny"
    assert "arch: YOLO" in (folder / "infer_cfg.yml").read_text()
    graphs = [folder / f"model{end}" for end in compat.STATIC_GRAPH_FILES]
    (graph,) = [path for path in graphs if path.is_file()]
    assert b"multiclass_nms3" in graph.read_bytes()
    assert b"conv2.conv" not in (folder / "model.pdiparams").read_bytes()

    config = inference.Config(str(graph), str(folder / "model.pdiparams"))
    config.disable_gpu()
    config.disable_glog_info()
    if not compat.onednn_runs_inference():
        config.disable_mkldnn()
    predictor = inference.create_predictor(config)
    for number in (1, VAL):
        image = cv2.imread(str(checkout.folder / "demo" / "images" / "val" / f"{number:06d}.jpg"))
        pixels = image[None, :, :, ::-1].transpose(0, 3, 1, 2).astype("float32") / 255
        given = {
            "image": np.ascontiguousarray(pixels),
            "im_shape": np.array([[SIZE, SIZE]], "float32"),
            "scale_factor": np.ones([1, 2], "float32"),
        }
        for name in predictor.get_input_names():
            predictor.get_input_handle(name).copy_from_cpu(given[name])
        predictor.run()
        outputs = predictor.get_output_names()
        found, count = (predictor.get_output_handle(name).copy_to_cpu() for name in outputs)
        expected = boxes[number]
        assert found.shape == (int(count[0]), 6)
        # NMS is free in the order of equal scores and in what lies at its thresholds: the top ones decide.
        for row in found[np.argsort(-found[:, 1])][:20]:
            same = expected[expected[:, 0] == row[0]]
            distance = np.abs(same[:, 2:] - row[2:]).max(1) + 100 * np.abs(same[:, 1] - row[1])
            assert distance.min() < 0.05, row


def test_its_deploy_program_runs_our_nms_export(checkout, boxes):
    """deploy/python/infer.py finds in a folder of 'ppdet-ext export --nms' what the evaluation finds."""
    program = Path(CHECKOUT) / "deploy" / "python" / "infer.py"
    if not program.is_file():
        pytest.skip(f"no deploy/python/infer.py in {CHECKOUT}")
    export = ["-m", "ppdet_ext.cli", "export", "-c", "tiny.yml", "--nms", "--output", "ours"]
    run = run_python([*export, *checkout.options], checkout.folder)
    assert run.status == 0, run.log[-3000:]
    image = checkout.folder / "demo" / "images" / "val" / "000001.jpg"
    flags = ["--model_dir", "ours", "--image_file", image, "--device", "CPU", "--threshold", "0.001"]
    flags += ["--output_dir", "deployed", "--save_images", "False", "--save_results"]
    checkout.run_file(program, *flags)
    found = json.loads((checkout.folder / "deployed" / "bbox.json").read_text())
    assert len(found) > 10
    expected = boxes[1]
    for box in sorted(found, key=lambda box: -box["score"])[:20]:
        x, y, width, height = box["bbox"]
        same = expected[expected[:, 0] == box["category_id"]]
        distance = np.abs(same[:, 2:] - [x, y, x + width, y + height]).max(1)
        assert (distance + 100 * np.abs(same[:, 1] - box["score"])).min() < 0.05, box
