"""Bad input ends in one clear line and status 2; nothing of the user's is touched. Where each case is tested:

==  ==============================================  =====================================================
 1  zero-byte image                                 data/check/test_faults.py
 2  truncated JPEG or PNG                           data/check/test_faults.py
 3  text renamed .jpg                               data/check/test_faults.py, training/test_tools.py
 4  16 bits, CMYK, alpha, grey                      data/check/test_faults.py
 5  EXIF rotation against the annotated size        data/check/test_faults.py, data/check/test_clean.py
 6  missing files, listed up to a number            data/check/test_faults.py, data/check/test_files.py
 7  names: not ASCII, spaces, case of extensions    data/check/test_faults.py, data/check/test_files.py
 8  JSON that is none, or cut                       data/check/test_files.py
 9  JSON without images, categories, annotations    data/check/test_files.py, data/check/test_clean.py
10  no area, iscrowd or width                       data/check/test_faults.py
11  unknown category_id or image_id                 data/check/test_faults.py
12  ids that repeat or leave gaps                   data/check/test_faults.py
13  boxes with NaN, infinity, no area, outside      data/check/test_faults.py
14  num_classes; categories of train and val        data/check/test_splits.py, training/test_preflight.py
15  VOC: unknown class, bad XML, entities           data/test_voc.py, data/test_convert.py
16  YOLO: columns, normalisation, class             data/test_yolo.py
17  empty split, image without boxes                data/check/test_faults.py, training/test_tools.py
18  images leaked between splits                    data/check/test_splits.py
19  NaN in the middle of a run, on all ranks        training/test_nan.py
20  SIGKILL in a save, full disk, read-only output  training/test_survival.py, test_checkpoint_sets.py,
                                                    test_resume.py, test_output_folder.py
21  checkpoint: cut, empty, of another network      here, training/test_checkpoint.py, nn/test_safe_pickle.py
22  malicious pickle, YAML !!python/object          here, nn/test_safe_pickle.py, test_config.py
23  resumed with another world size, schedule, EMA  training/test_resume.py
24  calibration: empty, few, the evaluation set     here, quantization/test_calibration.py
25  engine absent, op, opset, stale engine, VNNI    here, runtime/test_backends.py, test_tensorrt.py,
                                                    export/test_lite.py, export/test_exporter.py
==  ==============================================  =====================================================

Those of here run the real commands, each with each file.
"""

import logging
import os
import pickle
import re
import shutil

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

from ppdet_ext.cli import main
from ppdet_ext.compat import quantizes
from ppdet_ext.config import load_config
from tests.training.tiny import make_workplace


class Runs:
    """A pickle that leaves a file behind when it is loaded by Python's own reader."""

    def __reduce__(self):
        return os.system, ("touch witness",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A workplace with a checkpoint, and others that are none."""
    from ppdet.core.workspace import create

    folder = make_workplace(tmp_path_factory.mktemp("bad"), train=8)
    before = os.getcwd()
    os.chdir(folder)
    for name, overrides in {
        "good": [],
        "classes": ["num_classes=7"],
        "wider": ["width_mult=0.375"],
        "efficientdet": None,
    }.items():
        if overrides is None:
            state = {"backbone.blocks.0.conv.weight": paddle.ones([8, 3, 3, 3])}
        else:
            state = create(load_config("tiny.yml", overrides).architecture).state_dict()
        paddle.save(state, f"{name}.pdparams")
    os.chdir(before)
    whole = (folder / "good.pdparams").read_bytes()
    (folder / "truncated.pdparams").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.pdparams").write_bytes(b"")
    (folder / "text.pdparams").write_text("no checkpoint\n")
    (folder / "evil.pdparams").write_bytes(pickle.dumps({"w": np.ones(3), "x": Runs()}))
    (folder / "evil.yml").write_text(
        "_BASE_: [tiny.yml]\nx: !!python/object/apply:os.system ['touch witness']\n"
    )
    return folder


@pytest.fixture
def refused(folder, monkeypatch, capfd):
    """`refused(*argv)`: the one line with which a command turns bad input down, in the folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(logging, "raiseExceptions", False)

    def run(*argv):
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
        capfd.readouterr()
        assert main(list(argv)) == 2
        err = [line for line in capfd.readouterr().err.splitlines() if line.startswith("ppdet-ext ")]
        assert len(err) == 1, err
        after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
        assert before == after  # nothing made, nothing changed, no witness
        return err[0]

    return run


COMMANDS = {
    "train": lambda name: ["train", "-c", "tiny.yml", "-o", f"pretrain_weights={name}", "save_dir=out"],
    "resume": lambda name: ["train", "-c", "tiny.yml", "-r", name, "-o", "save_dir=out"],
    "eval": lambda name: ["eval", "-c", "tiny.yml", "-o", f"weights={name}"],
    "infer": lambda name: [
        *("infer", "-c", "tiny.yml", "--infer_dir", "demo/images/val", "--output_dir", "out"),
        *("-o", f"weights={name}"),
    ],
    "export": lambda name: ["export", "-c", "tiny.yml", "--output", "out", "-o", f"weights={name}"],
    "quantize": lambda name: [
        *("quantize", "ptq", "-c", "tiny.yml", "--output", "out", "-o", f"weights={name}"),
    ],
}
CHECKPOINTS = {
    "truncated": r"truncated.pdparams: not a readable Paddle checkpoint \(\w+\); it is truncated",
    "empty": r"empty.pdparams: the checkpoint is empty \(0 bytes\)",
    "text": r"text.pdparams: not a readable Paddle checkpoint",
    "wider": r"wider.*: \d+ of \d+ parameters fit. \d+ have another shape",
    "efficientdet": r"efficientdet.*: nothing of this checkpoint fits the model; it is of another arch",
    "classes": r"classes.*: \d+ of \d+ parameters fit. 6 have another shape: yolo_head.pred_cls.0.weight is",
    "evil": r"evil.pdparams: refused, since loading it would run '\w+.system'; a checkpoint holds tensors",
    "missing": r"missing.pdparams: no such checkpoint",
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_that_is_none_or_of_another_network_or_runs_code(refused, folder, name, command):
    if (name, command) == ("classes", "train"):
        pytest.skip("a training starts from a checkpoint of other classes: test_recipe.py")
    line = refused(*COMMANDS[command](name))
    assert re.search(CHECKPOINTS[name], line), line
    assert not (folder / "witness").exists()


@pytest.mark.parametrize("extension", ["pdopt", "pdema"])
@pytest.mark.parametrize("name", ["truncated", "empty", "text", "evil"])
def test_the_other_files_of_a_checkpoint_are_read_as_carefully(refused, folder, name, extension):
    """A resumption whose weights are sound and whose optimizer or average is not."""
    for end in ("pdparams", "pdema", "pdopt"):
        shutil.copy(folder / "good.pdparams", folder / f"trio.{end}")
    shutil.copy(folder / f"{name}.pdparams", folder / f"trio.{extension}")
    line = refused("train", "-c", "tiny.yml", "-r", "trio", "-o", "save_dir=out")
    assert re.search(CHECKPOINTS[name].replace(name, "trio", 1).replace("pdparams", extension), line), line
    assert not (folder / "witness").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_config_runs_no_code(refused, folder, command):
    argv = [word.replace("tiny.yml", "evil.yml") for word in COMMANDS[command]("good")]
    assert "evil.yml:2: the tag !!python/object/apply:os.system would run code" in refused(*argv)
    assert not (folder / "witness").exists()


@pytest.mark.skipif(not quantizes(), reason="PaddleSlim quantises with Paddle 2.6 only")
def test_calibration_sets_that_can_t_calibrate(refused, folder):
    (folder / "nothing").mkdir(exist_ok=True)
    quantize = COMMANDS["quantize"]("good")
    assert "nothing" in refused(*quantize, "--calibration", "nothing")
    assert "nowhere" in refused(*quantize, "--calibration", "nowhere")
    assert "--images is 0; give a whole number from 1 up" in refused(*quantize, "--images", "0")


def test_what_is_weak_about_a_calibration_or_a_processor_is_told(folder, monkeypatch):
    """Too few images, those of the evaluation set, 8-bit weights without VNNI: three lines, no refusal."""
    from ppdet_ext.quantization import ptq

    monkeypatch.setattr(ptq, "check_quantizable", lambda size: None)
    monkeypatch.setattr(ptq, "machine", lambda: {"isa": ["avx2"]})
    monkeypatch.setattr(ptq, "export_model", lambda *arguments, **options: {})
    images = sorted((folder / "demo" / "images" / "val").iterdir())
    monkeypatch.setattr(ptq, "_evaluation_set", lambda required: ("anno", "images", images))
    said = []
    model = type("Trainer", (), {"cfg": None, "model": None})
    source = str(folder / "demo" / "images" / "val")
    ptq.quantize_after_training(
        model, str(folder / "int8"), ["onnx"], calibration=source, count=4, weight_levels=127, say=said.append
    )
    few, evaluation, vnni = said
    assert few.startswith("warning: only 4 calibration images")
    assert evaluation.startswith("warning: all calibration images are in the evaluation set")
    assert vnni == "note: this processor has no VNNI: here, 8-bit weights saturate or are slow"
    said.clear()
    monkeypatch.setattr(ptq, "machine", lambda: {"isa": ["avx2", "vnni"]})
    ptq.quantize_after_training(
        model, str(folder / "int8"), ["onnx"], calibration=source, count=4, weight_levels=127, say=said.append
    )
    assert said == [few, evaluation]


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--opset", "7"], "opset 7: the graph needs 11"),
        (["--size", "100", "96"], "multiple of the coarsest stride, 32"),
        (["--to", "onx"], "target 'onx' is not known; did you mean 'onnx'"),
    ],
)
def test_exports_that_can_t_be_made(refused, flags, words):
    argv = COMMANDS["export"]("good")
    place = argv.index("-o")
    to = [] if flags[0] == "--to" else ["--to", "onnx"]
    assert words in refused(*argv[:place], *to, *flags, *argv[place:])
