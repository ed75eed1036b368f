"""Lines of a config that change how a detector is trained, through the training commands."""

import json
import re

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.modeling.heads.dense import CLASS_BIAS
from ppdet_ext.training.checkpoints.loading import load_pretrained
from ppdet_ext.training.trainer import Trainer

from ..modeling.upstream import make_batch
from .tiny import EFFICIENTDET, PPYOLOE, ROOT, YOLOV6, history, make_workplace, run_python

TRAIN = ROOT / "tools" / "train.py"
FROZEN = ("backbone.stem.", "backbone.stages.0.")
# Every line at once; weights that begin at 0 and move.
LINES = [
    "freeze=[backbone.stem, backbone.stages.0]",
    "recompute=true",
    "class_weight=auto",
    "amp=true",
    "ema_decay=0.9999",
    "ETHead.loss_weight={iou: {from: 0, to: 2.0}, dfl: {from: 0, to: 0.25}}",
    "ETHead.static_assigner_epoch=0",
]


def other_classes(folder, family, classes=7):
    """Writes `coco.pdparams`, of the family's demo config with so many classes and random weights."""
    cfg = load_config(str(folder / "tiny.yml"), [f"num_classes={classes}"])
    paddle.seed(5)
    model = create(cfg.architecture)
    for name, value in model.state_dict().items():
        if not name.endswith("._variance") and "proj_conv" not in name:
            value.set_value(paddle.randn(value.shape) * 0.05)
    paddle.save(model.state_dict(), str(folder / "coco.pdparams"))
    return {name: value.numpy() for name, value in model.state_dict().items()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two epochs with all lines from a checkpoint of seven classes: folder, the checkpoint, the run."""
    folder = make_workplace(tmp_path_factory.mktemp("recipe"))
    start = other_classes(folder, PPYOLOE)
    options = ["-o", "epoch=2", "pretrain_weights=coco.pdparams", *LINES]
    return folder, start, run_python([TRAIN, "-c", "tiny.yml", "--eval", *options], folder)


def read(folder, name):
    return {k: np.asarray(v) for k, v in paddle.load(str(folder / "output" / "tiny" / name)).items()}


def test_all_lines_at_once(trained):
    folder, start, run = trained
    assert run.status == 0, run.log[-3000:]
    for name in ("model_final.pdparams", "model_final.pdema"):  # averaged, and as trained
        state = read(folder, name)
        inside = [key for key in state if key.startswith(FROZEN)]
        assert len(inside) > 20
        for key in inside:
            np.testing.assert_array_equal(state[key], start[key], err_msg=f"{name} {key}")
        changed = [key for key in state if key not in inside and "pred_cls" not in key]
        unlike = [key for key in changed if not np.array_equal(state[key], start[key])]
        assert len(unlike) > 0.9 * len(changed)
    # Two steps an epoch; in the last, the weights are half way.
    *_, first, last = [record for record in history(folder / "output") if "step" in record]
    for record, share in ((first, 0.5), (last, 0.5)):
        assert record["epoch"] == 1
        weights = {"loss_cls": 1.0, "loss_iou": 2.0 * share, "loss_dfl": 0.25 * share}
        assert record["loss_iou"] > 0
        # Medians over a window of one step.
        total = sum(weight * record[name] for name, weight in weights.items())
        assert record["loss"] == pytest.approx(total, rel=1e-3)
    assert len(re.findall("amp: Paddle has no mixed precision on the CPU", run.log)) == 1


def test_a_checkpoint_of_other_classes_says_so_in_one_line(trained):
    folder, start, run = trained
    (line,) = [line for line in run.log.splitlines() if "class predictions" in line]
    assert "are of 7 classes, this model's of 10: they start afresh (6 parameters of " in line
    total = len(start)
    assert f"coco.pdparams: loaded {total - 6} of {total} parameters; " in line


def test_a_resumed_training_stops_by_what_came_before(trained):
    """Evaluations of the two epochs before found more than the next will."""
    folder, _, run = trained
    assert run.status == 0
    path = folder / "output" / "tiny" / "history.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        if "ap" in record:
            record["ap"] = 0.9 - 0.1 * record["epoch"]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    options = ["-r", "output/tiny/model_final", "-o", "epoch=9", "early_stop_epochs=2", *LINES]
    resumed = run_python([TRAIN, "-c", "tiny.yml", "--eval", *options], folder)
    assert resumed.status == 0, resumed.log[-3000:]
    reason = "AP has not risen above 0.900 since epoch 0 (early_stop_epochs: 2)"
    assert f"training ends after epoch 2: {reason}" in resumed.log
    assert max(record["epoch"] for record in history(folder / "output")) == 2
    final, last = read(folder, "model_final.pdparams"), read(folder, "2.pdparams")
    assert all(np.array_equal(final[key], last[key]) for key in last)


@pytest.mark.slow
def test_two_processes(trained):
    """Gradients of recomputed stages are exchanged as others are, which DataParallel alone does not do.

    By SGD, which does not blow up what rounding leaves of a gradient.
    """
    folder, _, _ = trained
    found = {}
    for name, recompute in (("recomputed", "true"), ("kept", "false")):
        options = [f"save_dir={name}", *LINES, f"recompute={recompute}"]
        options += ["pretrain_weights=coco.pdparams", "TrainReader.batch_size=4"]
        options += ["OptimizerBuilder.optimizer={type: Momentum, weight_decay: ~}"]
        options += ["LearningRate.base_lr=0.05"]
        arguments = [TRAIN, "-c", "tiny.yml", "--processes", 2, "--seed", 3, "-o", *options]
        run = run_python(arguments, folder, timeout=300)
        assert run.status == 0, run.log[-3000:]
        state = paddle.load(str(folder / name / "tiny" / "model_final.pdema"))
        found[name] = {key: np.asarray(value) for key, value in state.items()}
    for key, value in found["recomputed"].items():
        np.testing.assert_allclose(value, found["kept"][key], rtol=1e-3, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("family, count", [(PPYOLOE, 6), (YOLOV6, 12), (EFFICIENTDET, 2)])
def test_only_class_predictions_start_afresh(tmp_path, family, count):
    folder = make_workplace(tmp_path, family=family)
    start = other_classes(folder, family)
    model = create(load_config(str(folder / "tiny.yml")).architecture)
    fresh = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=f"{count} have another shape"):
        load_pretrained(model, str(folder / "coco"))
    said = []
    loaded = load_pretrained(model, str(folder / "coco"), new_classes=True, say=said.append)
    assert len(said) == 1 and f"of 7 classes, this model's of 10: they start afresh ({count} par" in said[0]
    left = set(fresh) - set(loaded)
    assert len(left) == count and all("pred_cls" in key or "class_net.predict" in key for key in left)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), fresh[name] if name in left else start[name])
        if name in left and name.endswith("bias"):
            np.testing.assert_allclose(value.numpy(), CLASS_BIAS, rtol=1e-6)


def test_a_checkpoint_of_other_classes_and_another_width_is_refused(tmp_path):
    folder = make_workplace(tmp_path)
    other_classes(folder, PPYOLOE)
    model = create(load_config(str(folder / "tiny.yml"), ["width_mult=0.5"]).architecture)
    for new_classes in (False, True):
        with pytest.raises(ValueError, match="have another shape"):
            load_pretrained(model, str(folder / "coco"), new_classes=new_classes)


UPSTREAM = [
    "architecture=PPYOLOE",
    "PPYOLOE={backbone: CSPResNet, neck: CustomCSPPAN, yolo_head: PPYOLOEHead, post_process: ~}",
    "CustomCSPPAN={act: relu}",
    "PPYOLOEHead={fpn_strides: [32, 16, 8], static_assigner: ATSSAssigner, assigner: TaskAlignedAssigner}",
]


@pytest.mark.parametrize(
    "lines, words",
    [
        (["freeze=[backbone.stages.7]"], "freeze: the model has no part 'backbone.stages.7'"),
        (["class_weight={svn: 2.0}"], "class_weight: .* has no class 'svn'"),
        (["recompute=true", *UPSTREAM], "recompute: CSPResNet can't be recomputed"),
        (["class_weight=auto", *UPSTREAM], "class_weight: PPYOLOE has no head that takes class weights"),
        (["early_stop_epochs=5"], "early_stop_epochs: nothing is evaluated to stop by; add --eval"),
        (["early_stop_epochs=0"], "early_stop_epochs is 0; give a whole number of epochs"),
    ],
)
def test_a_line_that_can_not_be_kept_is_refused(trained, monkeypatch, lines, words):
    folder, _, _ = trained
    monkeypatch.chdir(folder)
    with pytest.raises(ValueError, match=words) as error:
        Trainer(load_config("tiny.yml", ["use_gpu=false", "save_dir=none", *lines]), mode="train").train()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "line, words",
    [
        ("freze=[backbone]", "did you mean 'freeze'"),
        ("recompte=true", "did you mean 'recompute'"),
        ("class_weights=auto", "did you mean 'class_weight'"),
        ("early_stop_epoch=5", "did you mean 'early_stop_epochs'"),
    ],
)
def test_a_mistyped_line_is_answered_with_the_right_one(trained, line, words):
    with pytest.raises(ValueError, match=words):
        load_config(str(trained[0] / "tiny.yml"), [line])


@pytest.mark.parametrize("clip, bound", [("clip_grad_by_norm", None), ("clip_grad_by_value", 0.01)])
def test_clipping_bounds_a_step(trained, clip, bound):
    """SGD of rate 1: the step is the clipped gradient, 0.01 long or 0.01 in each parameter."""
    lines = ["OptimizerBuilder.clip_grad_by_norm=~", f"OptimizerBuilder.{clip}=0.01"]
    lines += ["OptimizerBuilder.optimizer={type: SGD, weight_decay: ~}"]
    cfg = load_config(str(trained[0] / "tiny.yml"), lines)
    model = create(cfg.architecture)
    model.train()
    optimizer = create("OptimizerBuilder")(1.0, model)
    before = [parameter.numpy().copy() for parameter in optimizer._parameter_list]
    model(make_batch(96, classes=10))["loss"].backward()
    gradients = np.concatenate([p.grad.numpy().ravel() for p in optimizer._parameter_list])
    optimizer.step()
    after = [parameter.numpy() for parameter in optimizer._parameter_list]
    steps = np.concatenate([(new - old).ravel() for new, old in zip(after, before)])
    assert np.linalg.norm(gradients) > 0.1 and np.abs(gradients).max() > 0.01
    expected = (
        -gradients * 0.01 / np.linalg.norm(gradients) if bound is None else -gradients.clip(-bound, bound)
    )
    np.testing.assert_allclose(steps, expected, atol=1e-6)
