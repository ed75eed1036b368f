"""Going on with a training: to the last bit where nothing has changed, and said where something has."""

import json
import os
import shutil

import pytest

from tests.training.fork_server import ForkServer
from tests.training.test_survival import assert_same_course
from tests.training.tiny import PPYOLOE, SIZE, YOLOV6, history, make_workplace

FLAGS = ["train", "-c", "tiny.yml", "--seed", "5"]
OPTIONS = ["epoch=3", "TrainReader.batch_size=4"]
TRAIN = 8
# Everything in a reader that draws random numbers, in workers and for whole batches.
READER = f"""
TrainReader:
  sample_transforms:
    - Decode: {{}}
    - Mosaic: {{prob: 0.7, input_dim: [{SIZE}, {SIZE}], degrees: [-5, 5], mixup_prob: 0.3}}
    - RandomDistort: {{}}
    - RandomFlip: {{}}
  batch_transforms:
    - BatchRandomResize:
        {{target_size: [64, {SIZE}, 128], random_size: true, random_interp: true, keep_ratio: false}}
    - NormalizeImage: {{mean: [0., 0., 0.], std: [1., 1., 1.], norm_type: none}}
    - Permute: {{}}
    - PadGT: {{}}
  mosaic_epoch: 2
"""


def train(save_dir, *flags, options=()):
    return [*FLAGS, *flags, "-o", *OPTIONS, f"save_dir={save_dir}", *options]


def set_of(folder, save_dir, epoch):
    return folder / save_dir / "tiny" / "checkpoints" / f"epoch_{epoch:04d}"


@pytest.fixture(scope="module")
def server():
    with ForkServer(".") as server:
        yield server


@pytest.fixture(scope="module")
def workplace(server, tmp_path_factory):
    """A folder in which a run of three epochs has trained, in `whole`; the server runs commands there."""
    folder = make_workplace(tmp_path_factory.mktemp("resume"), train=TRAIN)
    server.folder = folder
    run = server.run(*train("whole"))
    assert run.status == 0, run.log[-3000:]
    return folder


@pytest.fixture
def copied(server, workplace):
    """A function that copies the first sets of the run to a new `save_dir`, as a kill leaves them."""
    server.folder = workplace

    def copy(save_dir, epochs):
        output = workplace / save_dir / "tiny"
        shutil.rmtree(workplace / save_dir, ignore_errors=True)
        output.mkdir(parents=True)
        for epoch in range(epochs):
            shutil.copytree(set_of(workplace, "whole", epoch), set_of(workplace, save_dir, epoch))
        shutil.copy(workplace / "whole" / "tiny" / "history.jsonl", output)
        return output

    return copy


FAMILIES = {
    "mosaic, two workers": (PPYOLOE, READER, ["worker_num=2"]),
    "mosaic, no workers": (PPYOLOE, READER, ["worker_num=0"]),
    "PaddleDetection's reader": (PPYOLOE, READER, ["worker_num=0", "TrainReader.fast=false"]),
    "PaddleDetection's, two workers": (PPYOLOE, READER, ["worker_num=2", "TrainReader.fast=false"]),
    "yolov6, no average": (YOLOV6, "", ["use_ema=false"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_resumed_run_is_the_uninterrupted_one(server, tmp_path, name):
    family, reader, options = FAMILIES[name]
    folder = make_workplace(tmp_path, train=TRAIN, family=family)
    with open(folder / "tiny.yml", "a", encoding="utf-8") as file:
        file.write(reader)
    server.folder = folder
    run = server.run(*train("whole", options=options))
    assert run.status == 0, run.log[-3000:]
    first = set_of(folder, "cut", 0) / "manifest.json"
    run = server.kill(*train("cut", options=options), when=first.exists)
    assert run.status == -9, run.log[-3000:]
    # Another seed is no matter where the flag is left out: the run's own is in its sets.
    flags = [flag for flag in train("cut", "-r", options=options) if flag not in ("--seed", "5")]
    run = server.run(*flags)
    assert run.status == 0, run.log[-3000:]
    assert "epochs are done" in run.log and " was " not in run.log
    assert_same_course(folder, "whole", "cut")
    losses = [record["loss"] for record in history(folder / "cut") if "loss" in record]
    assert len(losses) == 6 and len(set(losses)) == 6


def test_what_was_cut_short_is_said_and_its_records_are_dropped(server, copied, workplace):
    output = copied("said", 2)
    with open(output / "history.jsonl", "a", encoding="utf-8") as file:
        file.write('{"epoch": 2, "st')  # a kill in the middle of a line
    run = server.run(*train("said", "-r"))
    assert run.status == 0, run.log[-3000:]
    assert (
        "resuming from said/tiny/checkpoints/epoch_0001: 2 of 3 epochs are done; epoch 2 was left after "
        "step 1: epoch 2 begins anew" in run.log
    )
    assert_same_course(workplace, "whole", "said")


def test_a_torn_set_is_passed_over(server, copied, workplace):
    output = copied("torn", 2)
    os.truncate(output / "checkpoints" / "epoch_0001" / "model.pdopt", 1000)
    run = server.run(*train("torn", "--resume", "auto"))
    assert run.status == 0, run.log[-3000:]
    assert "epoch_0001/model.pdopt: 1000 bytes, its manifest says" in run.log
    assert "the last good set before it is taken" in run.log and "epoch_0000: 1 of 3 epochs" in run.log
    assert_same_course(workplace, "whole", "torn")


def test_every_name_of_a_set_leads_to_it(server, copied, workplace):
    copied("names", 2)
    for given in ("names/tiny/checkpoints/epoch_0001", "names/tiny/checkpoints", "names/tiny"):
        run = server.run(*train("names2", "-r", given))
        assert "resuming from names/tiny/checkpoints/epoch_0001: 2 of 3 epochs are done" in run.log, given
    for given in ("whole/tiny/0", "whole/tiny/0.pdparams"):
        run = server.run(*train("names2", "-r", given))
        assert "resuming from whole/tiny/checkpoints/epoch_0000: 1 of 3 epochs are done" in run.log, given


def test_a_named_set_that_is_torn_is_refused(server, copied, workplace):
    output = copied("refused", 2)
    shutil.copy(output / "checkpoints" / "epoch_0001" / "model.pdparams", output / "1.pdparams")
    os.remove(output / "checkpoints" / "epoch_0001" / "model.pdstate")
    for given in ("refused/tiny/1", "refused/tiny/checkpoints/epoch_0001"):
        run = server.run(*train("refused2", "-r", given))
        assert run.status == 2 and "model.pdstate: missing from its set" in run.log.splitlines()[-1]


def test_files_of_paddledetection_resume_as_there(server, workplace):
    """Without a set: the trained weights, the optimiser and the corrected average."""
    server.folder = workplace
    for extension in ("pdparams", "pdema", "pdopt"):
        (workplace / "plain").mkdir(exist_ok=True)
        shutil.copy(
            workplace / "whole" / "tiny" / f"1.{extension}", workplace / "plain" / f"model.{extension}"
        )
    run = server.run(*train("plain2", "-r", "plain/model"))
    assert run.status == 0, run.log[-3000:]
    assert "resuming from plain/model: 2 of 3 epochs are done" in run.log
    steps = [record for record in history(workplace / "whole") if record["epoch"] == 2]
    found = history(workplace / "plain2")
    assert [step["lr"] for step in found] == [step["lr"] for step in steps]
    # The random numbers are others, the course is the same.
    assert found[0]["loss"] == pytest.approx(steps[0]["loss"], rel=0.3)


def test_nothing_to_resume_from_starts_at_the_beginning(server, workplace):
    server.folder = workplace
    run = server.run(*train("fresh", "-r", options=["epoch=1"]))
    assert run.status == 0, run.log[-3000:]
    assert "fresh/tiny: no checkpoint set to resume from; the training starts from the beginning" in run.log
    run = server.run(*train("fresh", "-r", "whole/nowhere"))
    assert run.status == 2 and "whole/nowhere.pdparams: no such checkpoint" in run.log
    run = server.run(*train("fresh", "-r", "demo"))
    assert run.status == 2 and "demo: holds no checkpoint set that is whole" in run.log


def test_a_run_that_begins_anew_moves_the_sets_of_the_one_before_away(server, copied):
    output = copied("anew", 2)
    run = server.run(*train("anew", options=["epoch=1"]))
    assert run.status == 0, run.log[-3000:]
    assert "2 checkpoint sets of an earlier run are in anew/tiny/checkpoints.previous now" in run.log
    assert sorted(os.listdir(output / "checkpoints")) == ["epoch_0000"]
    assert sorted(os.listdir(output / "checkpoints.previous")) == ["epoch_0000", "epoch_0001"]


CHANGES = {
    "LearningRate.base_lr=0.001": "LearningRate.base_lr was 0.003, is now 0.001: the new schedule holds",
    "TrainReader.batch_size=8": "batch_size was 4, is now 8: the schedule goes on at the step",
    "use_ema=false": "use_ema was True, is now False: the average starts afresh, or is dropped",
    "epoch=4": "epoch was 3, is now 4",
    "worker_num=2": "worker_num was 0, is now 2: the reader draws other random numbers",
}


def test_what_has_changed_since_is_said_line_by_line(server, copied, workplace):
    copied("changed", 2)
    run = server.run(*train("changed", "-r", options=CHANGES))
    assert run.status == 0, run.log[-3000:]
    for words in CHANGES.values():
        assert f"changed/tiny/checkpoints/epoch_0001: {words}" in run.log
    assert "seed was" not in run.log and "world_size" not in run.log
    steps = [record for record in history(workplace / "changed") if record["epoch"] >= 2]
    assert [(step["epoch"], step["step"], step["steps_per_epoch"]) for step in steps] == [
        (2, 0, 1),
        (3, 0, 1),
    ]
    # Warm-up over 50 steps from a tenth of the new rate: the third and the fourth step of one an epoch.
    assert [step["lr"] for step in steps] == pytest.approx([0.001 * (0.1 + 0.9 * n / 50) for n in (2, 3)])
    assert not (workplace / "changed" / "tiny" / "model_final.pdema").exists()


def test_an_average_that_begins_at_a_resumption_starts_afresh(server, workplace):
    server.folder = workplace
    for options in (["use_ema=false", "epoch=2"], []):
        run = server.run(*train("average", *(["-r"] if not options else []), options=options))
        assert run.status == 0, run.log[-3000:]
    assert "use_ema was False, is now True: the average starts afresh" in run.log
    facts = json.loads((set_of(workplace, "average", 2) / "manifest.json").read_text())
    assert facts["ema"] == {"step": 2, "epoch": 1}


def test_another_world_size_is_said(server, copied):
    """One process now, two then: as their manifest says."""
    output = copied("world", 2)
    manifest = output / "checkpoints" / "epoch_0001" / "manifest.json"
    facts = json.loads(manifest.read_text())
    facts["run"]["world_size"] = 2
    manifest.write_text(json.dumps(facts))
    run = server.run(*train("world", "-r"))
    assert run.status == 0, run.log[-3000:]
    assert "world_size was 2, is now 1: the images are dealt out anew" in run.log


@pytest.mark.parametrize(
    "options, words",
    [
        (["width_mult=0.125"], "have another shape"),
        (["num_classes=12", "data_check=off"], "6 have another shape: yolo_head.pred_cls.0.weight"),
        (["depth_mult=1.0"], "of the model's parameters are not in it"),
    ],
)
def test_a_set_of_another_network_is_refused(server, copied, options, words):
    copied("network", 2)
    run = server.run(*train("network", "-r", options=options))
    said = run.log.splitlines()[-1]
    assert run.status == 2 and said.startswith("ppdet-ext train: network/tiny/checkpoints/epoch_0001/model: ")
    assert words in said and "Resume with the config of that run" in said


def test_old_sets_are_deleted_when_a_newer_one_is_whole(server, workplace):
    server.folder = workplace
    run = server.run(*train("kept", options=["epoch=4", "keep_checkpoints=2"]))
    assert run.status == 0, run.log[-3000:]
    output = workplace / "kept" / "tiny"
    assert sorted(os.listdir(output / "checkpoints")) == ["epoch_0002", "epoch_0003"]
    assert {path.name for path in output.glob("*.pdparams")} == {"2.pdparams", "model_final.pdparams"}
    run = server.run(*train("kept2", options=["keep_checkpoints=-1"]))
    assert run.status == 2 and "keep_checkpoints is -1; give a number of checkpoints" in run.log


FULL = """
import errno, os
from ppdet_ext.training.checkpoints import set_folder
write = set_folder.CheckpointFolder.write
def full(self, epoch, files, facts):
    if epoch in %s:
        files = {**files, "model.pdopt": lambda path: os.write(os.open("/dev/full", os.O_WRONLY), b"0")}
    return write(self, epoch, files, facts)
set_folder.CheckpointFolder.write = full
"""


def test_a_full_disk_is_said_at_once_and_training_goes_on(server, workplace):
    server.folder = workplace
    run = server.run(*train("full", options=["snapshot_epoch=1"]), setup=FULL % "(1,)")
    assert run.status == 0, run.log[-3000:]
    assert (
        "checkpoint not written: full/tiny: No space left on device; the last good one is "
        "full/tiny/checkpoints/epoch_0000. The training goes on and tries again" in run.log
    )
    assert sorted(os.listdir(workplace / "full" / "tiny" / "checkpoints")) == ["epoch_0000", "epoch_0002"]
    assert_same_course(workplace, "whole", "full")


def test_a_training_whose_last_set_is_not_written_has_failed(server, workplace):
    server.folder = workplace
    run = server.run(*train("failed"), setup=FULL % "(1, 2)")
    said = run.log.splitlines()[-1]
    assert run.status == 2 and "the last checkpoint is missing: failed/tiny: No space left on device" in said
    assert said.endswith("the last good one is failed/tiny/checkpoints/epoch_0000")
    run = server.run(*train("failed", "-r"))
    assert run.status == 0, run.log[-3000:]
    assert_same_course(workplace, "whole", "failed")
