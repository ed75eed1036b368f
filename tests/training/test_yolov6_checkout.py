"""YOLOv6 by PaddleDetection's own commands, unmodified: PPDET_CHECKOUT names their checkout."""

import json

import pytest

from tests import test_checkout
from tests.quantization.test_qat_training import average_precision
from tests.training.tiny import YOLOV6

pytestmark = test_checkout.pytestmark

CPU = ["-o", "use_gpu=false", "EfficientRepHead.reg_max=16"]
STUDENT = [
    *CPU,
    "EfficientRepHead.direct_boxes=true",
    "EfficientRepHead.anchor_aided=false",
    "YOLODetector.distillation=SelfDistillation",
]


def weights_of(folder):
    # release/2.6 writes SAVE_DIR/tiny/model_final, develop SAVE_DIR/model_final.
    (weights,) = folder.rglob("model_final.pdparams")
    return str(weights.with_suffix(""))


def test_its_commands_train_a_teacher_and_a_student(tmp_path):
    checkout = test_checkout.Checkout(tmp_path, YOLOV6)
    config = tmp_path / "tiny.yml"
    config.write_text(config.read_text() + "progress_bar: false\n")
    run = checkout.run("train", *CPU, "save_dir=teachers")
    assert "loss_aided_iou" in run.log and "loss_distill" not in run.log
    teacher = f"SelfDistillation.teacher={weights_of(tmp_path / 'teachers')}"
    run = checkout.run("train", "--eval", *STUDENT, teacher)
    found = average_precision(run)
    assert "loss_distill" in run.log and "loss_direct_iou" in run.log and "loss_aided" not in run.log
    weights = f"weights={weights_of(tmp_path / 'output')}"
    # Without its teacher.
    assert average_precision(checkout.run("eval", *STUDENT, weights)) == pytest.approx(found)
    assert json.loads((tmp_path / "bbox.json").read_text())
    checkout.run("export_model", "--output_dir", "exported", *STUDENT, weights)
    (parameters,) = (tmp_path / "exported").rglob("model.pdiparams")
    content = parameters.read_bytes()
    assert b"conv2.conv" not in content and b"anchor_aided" not in content
