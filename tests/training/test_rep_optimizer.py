"""RepOptimizer from end to end: a search, and the training with its scales by PaddleDetection's trainer."""

import logging
import shutil

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from paddle import optimizer as optimizers
from paddle.utils import unique_name
from ppdet.core.workspace import create

from ppdet_ext.cli import main
from ppdet_ext.config import load_config
from ppdet_ext.export.graph import RawGraph, deployed
from ppdet_ext.nn import RepOptBlock, RepVGGBlock
from ppdet_ext.quantization.qat import DetectorQAT
from ppdet_ext.training.checkpoints.loading import load_pretrained
from ppdet_ext.training.distillation import FeatureDistillation
from ppdet_ext.training.rep_optimizer import check_optimizer
from tests.nn.reference import random_input, randomise, relative_error
from tests.training.test_distillation import batch
from tests.training.tiny import ROOT, SIZE, make_workplace, run_python

# Blocks at depth 0.33: 6 in the backbone, 5 in the neck, two stems a level with an identity in the head.
BLOCKS = 17
CONFIG = """
_BASE_: ['tiny.yml']
CSPRepResNet: {{rep_block: {kind}}}
CSPRepPAN: {{rep_block: {kind}}}
ETHead: {{rep_block: {kind}, stem: rep_ese}}
YOLODetector: {{rep_scales: {scales}}}
"""
SGD = """
OptimizerBuilder:
  regularizer: {type: L2, factor: 0.0005}
  optimizer: {type: Momentum, momentum: 0.9, use_nesterov: true}
"""
# What PaddleDetection's tools/train.py does, with its own loader and trainer.
THEIRS = f"""
import sys
import yaml
sys.path.insert(0, r"{ROOT}")
from ppdet.core.workspace import load_config, merge_config
from ppdet.engine import Trainer

path, resume, *overrides = sys.argv[1:]
cfg = load_config(path)
for override in overrides:
    merge_config(yaml.safe_load(override))
trainer = Trainer(cfg, mode="train")
if resume != "-":
    trainer.resume_weights(resume)
trainer.train(False)
"""


def parameters(path):
    return {name: np.asarray(value) for name, value in paddle.load(str(path)).items()}


def masks(state):
    """Each block's scales of the 3x3 and 1x1 branches, by the row of ones, which an average scales, too."""
    found = {name: value for name, value in state.items() if name.endswith(".scales")}
    return {name: value[:2] / value[2] for name, value in found.items()}


def searched_scales(state):
    names = [name[: -len(".conv1.scale")] for name in state if name.endswith(".conv1.scale")]
    return {
        f"{name}.scales": np.stack([state[f"{name}.conv1.scale"], state[f"{name}.conv2.scale"]])
        for name in names
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where our command has searched and PaddleDetection's trainer has trained with what was found."""
    folder = make_workplace(tmp_path_factory.mktemp("repopt"))
    plain = CONFIG.format(kind="repopt", scales="output/search/model_final")
    (folder / "search.yml").write_text(CONFIG.format(kind="repopt_search", scales="null") + SGD)
    (folder / "repopt.yml").write_text(plain + SGD)
    (folder / "adamw.yml").write_text(plain)  # the demo's optimizer
    (folder / "theirs.py").write_text(THEIRS)
    run = run_python([ROOT / "tools" / "train.py", "-c", "search.yml"], folder)
    assert run.status == 0, run.log[-3000:]
    run = run_python(["theirs.py", "repopt.yml", "-", "use_gpu: false"], folder)
    assert run.status == 0, run.log[-3000:]
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    # PaddleDetection's log goes to the stdout of its first import, which is gone by now.
    monkeypatch.setattr(logging, "raiseExceptions", False)
    return folder


def build(*overrides):
    return create(load_config("repopt.yml", list(overrides)).architecture)


def test_the_search_learns_its_scales(folder):
    state = parameters(folder / "output" / "search" / "model_final.pdparams")
    scales = searched_scales(state)
    assert len(scales) == BLOCKS
    assert sum(name.endswith(".identity.scale") for name in state) == 6
    values = np.concatenate([value.ravel() for value in scales.values()])
    assert np.isfinite(values).all() and 1e-6 < abs(values - 1).max() < 1


def test_the_training_has_the_masks_of_the_search(folder):
    expected = searched_scales(parameters(folder / "output" / "search" / "model_final.pdparams"))
    last = folder / "output" / "repopt" / "model_final"
    raw, averaged = (parameters(f"{last}.{end}") for end in ("pdema", "pdparams"))
    for state, tolerance in ((raw, 0), (averaged, 1e-5)):
        found = masks(state)
        assert found.keys() == expected.keys()
        for name, value in found.items():
            np.testing.assert_allclose(value, expected[name], rtol=tolerance, err_msg=name)


def test_its_masks_survive_a_resume_without_the_file_of_the_search(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    shutil.rmtree(copy / "output" / "search")
    before = parameters(copy / "output" / "repopt" / "model_final.pdema")
    resume = ["repopt.yml", "output/repopt/model_final", "use_gpu: false", "epoch: 2"]
    run = run_python(["theirs.py", *resume], copy)
    assert run.status == 0, run.log[-3000:]
    after = parameters(copy / "output" / "repopt" / "model_final.pdema")
    assert before.keys() == after.keys()
    for name, value in masks(before).items():
        np.testing.assert_array_equal(masks(after)[name], value)
    kernels = [name for name in before if name.endswith(".conv1.conv.weight")]
    assert len(kernels) > BLOCKS and all((before[name] != after[name]).any() for name in kernels)


def blocks_of(model):
    return {name: layer for name, layer in model.named_sublayers() if isinstance(layer, RepOptBlock)}


def test_every_kernel_of_the_detector_is_masked(here):
    masked, bare = randomise(build()), build()
    for layer in [*masked.yolo_head.pred_cls, *masked.yolo_head.pred_reg]:
        layer.weight.set_value(layer.weight * 0.1)  # scores that are not all 0 or 1
    bare.set_state_dict(masked.state_dict())
    for block in blocks_of(bare).values():  # with a mask of 1
        block.scales.set_value(np.float32([[1], [0], [1]]) * np.ones(block.scales.shape, "float32"))
        block.has_identity = False
    for model in (masked, bare):
        model.train()
        model(batch())["loss"].backward()
    others, differ = blocks_of(bare), 0
    assert len(others) == BLOCKS
    for name, block in blocks_of(masked).items():
        raw, mask = others[name].conv1.conv.weight.grad.numpy(), block.gradient_mask().numpy()
        found = block.conv1.conv.weight.grad.numpy()
        assert relative_error(found, raw * mask) <= 1e-3, name
        differ += raw.any() and relative_error(found, raw) > 1e-2
    assert differ >= BLOCKS - 2  # a level of the head without a box may learn nothing of boxes


def test_quantised_it_needs_no_scales_and_takes_any_optimizer(here):
    """QAT starts from the deployed form."""
    model = build("YOLODetector.rep_scales=nowhere")
    load_pretrained(model, "output/repopt/model_final")
    DetectorQAT(distillation=FeatureDistillation())(model)
    check_optimizer(model, optimizers.Adam(0.1, parameters=model.parameters()))
    assert not any(key.endswith(".scales") for key in model.state_dict())
    model(batch())["loss"].backward()


def test_our_trainer_resumes_and_evaluates_without_the_file(here, tmp_path):
    missing = "YOLODetector.rep_scales=nowhere"
    weights = "output/repopt/model_final"
    assert main(["eval", "-c", "repopt.yml", "-o", f"weights={weights}", missing]) == 0
    options = ["-o", missing, "epoch=2", f"save_dir={tmp_path}"]
    with unique_name.guard():  # the optimizer's state is by names, those of a process's first network
        assert main(["train", "-c", "repopt.yml", "-r", weights, *options]) == 0
    old, new = (
        masks(parameters(path)) for path in (f"{weights}.pdema", tmp_path / "repopt" / "model_final.pdema")
    )
    for name, value in old.items():
        np.testing.assert_array_equal(value, new[name])


@pytest.mark.parametrize(
    "overrides, words",
    [
        (
            ["YOLODetector.rep_scales=nowhere"],
            "nowhere.pdparams: no such checkpoint; rep_block: repopt trains",
        ),
        (
            ["YOLODetector.rep_scales=null"],
            "rep_block: repopt trains with the scales of a search; give YOLODetector",
        ),
        (["YOLODetector.rep_scales=output/repopt/model_final"], "model_final.pdparams: holds no scales"),
        (["CSPRepPAN.rep_block=repvgg"], "5 of its 17 searched blocks, neck."),
        (["depth_mult=1.0"], "no scales of backbone."),
        (["width_mult=0.5"], "is needed, but found is"),
    ],
)
def test_our_trainer_turns_a_wrong_training_down(here, capfd, tmp_path, overrides, words):
    capfd.readouterr()
    flags = ["-o", f"save_dir={tmp_path}", *overrides]
    assert main(["train", "-c", "repopt.yml", *flags]) == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith("ppdet-ext train: ") and words in line
    assert not list(tmp_path.rglob("*.pdparams"))


def test_our_trainer_turns_another_optimizer_down(here, capfd, tmp_path):
    capfd.readouterr()
    assert main(["train", "-c", "adamw.yml", "-o", f"save_dir={tmp_path}"]) == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith("ppdet-ext train: OptimizerBuilder.optimizer: AdamW can't train backbone.")


def test_deployed_it_is_the_trained_function(here):
    model = build("YOLODetector.rep_scales=nowhere")
    load_pretrained(model, "output/repopt/model_final")
    graph = RawGraph(model)
    graph.eval()
    x = random_input(1, 3, SIZE, SIZE)
    expected = [output.numpy() for output in graph(x)]
    found = [output.numpy() for output in deployed(graph)(x)]
    assert max(map(relative_error, found, expected)) <= 1e-4
    assert not any(key.endswith((".scales", ".scale")) for key in graph.state_dict())


def test_only_sgd_trains_the_plain_block():
    blocks = paddle.nn.Sequential(RepVGGBlock(4, 4), RepOptBlock(4, 4))
    parameters = {"parameters": blocks.parameters()}
    for kind in (optimizers.SGD, optimizers.Momentum):
        check_optimizer(blocks, kind(0.1, **parameters))
    for kind in (optimizers.Adam, optimizers.AdamW, optimizers.RMSProp, optimizers.Adagrad):
        with pytest.raises(
            ValueError, match=rf"{kind.__name__} can't train 1 \(rep_block: repopt\).*Momentum"
        ):
            check_optimizer(blocks, kind(0.1, **parameters))
    blocks.eval()
    blocks[1].convert_to_deploy()
    check_optimizer(blocks, optimizers.Adam(0.1, **parameters))
