"""QAT by PaddleDetection's own commands, unmodified: PPDET_CHECKOUT names their checkout."""

import pytest

from ppdet_ext.compat import quantizes
from tests import test_checkout
from tests.quantization.test_qat_training import QAT, average_precision, prepare

pytestmark = test_checkout.pytestmark


def test_its_commands_train_evaluate_and_export(tmp_path):
    checkout = test_checkout.Checkout(tmp_path)
    prepare(tmp_path)
    cpu = ["-o", "use_gpu=false"]
    run = checkout.run("train", *QAT, "--eval", *cpu, "DetectorQAT.distillation=OutputDistillation")
    found = average_precision(run)
    assert "loss_distill" in run.log
    # release/2.6 writes output/tiny_qat/model_final, develop output/model_final.
    (weights,) = (tmp_path / "output").rglob("model_final.pdparams")
    weights = str(weights.with_suffix(""))
    assert average_precision(checkout.run("eval", *QAT, *cpu, f"weights={weights}")) == pytest.approx(found)
    with pytest.raises(AssertionError, match="ranges of the quantised network were never trained"):
        checkout.run("eval", *QAT, *cpu, "weights=float")
    checkout.run("train", *QAT, "-r", weights, *cpu, "epoch=2")
    if not quantizes():
        return
    checkout.run("export_model", *QAT, "--output_dir", "exported", *cpu, f"weights={weights}")
    (graph,) = (tmp_path / "exported").rglob("model.pdmodel")
    assert b"quantize_linear" in graph.read_bytes()
