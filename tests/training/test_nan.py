"""NaN and infinity in the middle of a run: told at once, and nothing of them in weights or checkpoints."""

import json
import re

import numpy as np
import pytest

from ppdet_ext.nn.safe_pickle import read_pickle
from ppdet_ext.training.checkpoints.set_folder import CheckpointFolder
from tests.training.fork_server import ForkServer
from tests.training.launcher import launch
from tests.training.tiny import ROOT, make_workplace

IMAGES, BATCH = 8, 4
# An operator that spoils a pixel of one image, in some epochs.
POISON = """
from ppdet.data import transform

class Poison(transform.BaseOperator):
    def __init__(self, image, first, last, images):
        super().__init__()
        self.image, self.epochs, self.images = image, range(first, last + 1), images

    def __call__(self, samples, context=None):
        for sample in samples:
            epoch = sample["curr_iter"] // self.images
            if int(sample["im_id"]) == self.image and epoch in self.epochs:
                sample["image"][0, 3, 3] = float("nan")
        return samples

transform.Poison = Poison
"""
CONFIG = """
_BASE_: [tiny.yml]
# ReLU makes 0 of NaN.
CSPRepResNet: {act: swish}
CSPRepPAN: {act: swish}
ETHead: {act: swish}
TrainReader:
  fast: false
  shuffle: false
  batch_size: 4
  sample_transforms: [Decode: {}]
  batch_transforms:
    - BatchRandomResize: {target_size: 96, random_size: false, random_interp: false, keep_ratio: false}
    - NormalizeImage: {mean: [0., 0., 0.], std: [1., 1., 1.], norm_type: none}
    - Permute: {}
    - Poison: {image: 6, first: %d, last: %d, images: 8}
    - PadGT: {}
"""
FLAGS = ["train", "-c", "poison.yml", "--seed", "3"]


def train(save_dir, policy="stop", options=()):
    return [*FLAGS, "-o", "epoch=3", f"save_dir={save_dir}", f"nan_policy={policy}", *options]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Runs commands in a folder whose image 6, of eight in two batches, is spoilt in the second epoch."""
    folder = make_workplace(tmp_path_factory.mktemp("nan"), train=IMAGES)
    (folder / "poison.yml").write_text(CONFIG % (1, 1))
    with ForkServer(folder) as server:
        yield server


def sets(folder, save_dir):
    found, refusals = CheckpointFolder(str(folder / save_dir / "poison")).sets()
    assert not refusals
    return found


def assert_finite(folder, save_dir):
    """Every array of every set, statistics and averages included."""

    def check(value, name):
        if isinstance(value, dict):
            for key in value:
                check(value[key], f"{name}/{key}")
        elif isinstance(value, np.ndarray) and value.dtype.kind == "f":
            assert np.isfinite(value).all(), name

    found = sets(folder, save_dir)
    for one in found:
        for file in ("model.pdparams", "model.pdema", "model.pdopt", "model.pdstate"):
            check(read_pickle(one.file(file)), one.file(file))
    return [one.epoch for one in found]


# The second batch holds images 5 to 8.
TOLD = re.compile(
    r"epoch 1, step 1 of 2: (loss_cls is nan, )?loss_\w+ is nan.*; "
    r"images 000005.jpg, 000006.jpg, 000007.jpg, 000008.jpg; "
)


def test_the_run_stops_and_tells_step_term_and_images(server):
    run = server.run(*train("stop"), setup=POISON)
    said = run.log.splitlines()[-1]
    assert run.status == 2 and TOLD.search(said), said
    assert "nothing of this step was applied" in said and "nan_policy: skip leaves such steps out" in said
    assert assert_finite(server.folder, "stop") == [0]
    assert [(r["epoch"], r["step"]) for r in records(server, "stop")] == [(0, 0), (0, 1), (1, 0)]


def records(server, save_dir):
    path = server.folder / save_dir / "poison" / "history.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_step_that_is_skipped_leaves_no_trace(server):
    run = server.run(*train("skip", "skip"), setup=POISON)
    assert run.status == 0, run.log[-3000:]
    (line,) = [line for line in run.log.splitlines() if "the step is skipped (1 of 10 in a row)" in line]
    assert TOLD.search(line)
    assert assert_finite(server.folder, "skip") == [0, 1, 2]
    assert [(r["epoch"], r["step"]) for r in records(server, "skip")] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (2, 0),
        (2, 1),
    ]
    # As if there had been no such batch: weights and statistics of the epoch are those after its first step.
    stopped = server.run(*train("first", options=["nan_check=off", "epoch=2"]), setup=POISON + ONE_STEP)
    assert stopped.status == 0, stopped.log[-3000:]
    ours, theirs = (
        read_pickle(sets(server.folder, name)[1].file("model.pdema")) for name in ("skip", "first")
    )
    for name in ours:
        if name != "StructuredToParameterName@@":
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


# The second epoch ends after its first step.
ONE_STEP = """
import itertools
from ppdet_ext.training import epoch_reader
batches = epoch_reader.EpochReader.batches
epoch_reader.EpochReader.batches = lambda self, epoch, attempt: itertools.islice(
    batches(self, epoch, attempt), 2 - epoch)
"""


def test_a_reload_goes_back_to_the_last_set_and_draws_other_numbers(server):
    # Spoilt by a random draw, so that another one may get through: half of the images in epoch 1.
    setup = POISON + (
        "import numpy\n"
        "call = Poison.__call__\n"
        "def at_random(self, samples, context=None):\n"
        "    return call(self, samples) if numpy.random.rand() < LIMIT else samples\n"
        "Poison.__call__ = at_random\n"
        "import ppdet_ext.training.seeds as seeds\n"
        "LIMIT = 1.0\n"
        "seed_epoch = seeds.seed_epoch\n"
        "def known(seed, epoch, attempt=0):\n"
        "    global LIMIT\n"
        "    LIMIT = 0.0 if attempt == 2 else 1.0\n"
        "    seed_epoch(seed, epoch, attempt)\n"
        "import ppdet_ext.training.epoch_reader as reader\n"
        "reader.seed_epoch = known\n"
    )
    run = server.run(*train("reload", "reload"), setup=setup)
    assert run.status == 0, run.log[-3000:]
    back = [line for line in run.log.splitlines() if "; back to reload/poison/checkpoints/epoch_0000" in line]
    assert [TOLD.search(line) is not None for line in back] == [True, True]
    assert "epoch 1 begins anew with other random numbers (return 2)" in back[1]
    assert assert_finite(server.folder, "reload") == [0, 1, 2]
    steps = [(r["epoch"], r["step"]) for r in records(server, "reload")]
    assert steps == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]  # what was left is not in the history
    assert [one.facts["attempt"] for one in sets(server.folder, "reload")] == [0, 2, 2]


def test_a_reload_has_its_limit(server):
    run = server.run(*train("limit", "reload", ["nan_reload_limit=2"]), setup=POISON)
    said = run.log.splitlines()[-1]
    assert run.status == 2 and TOLD.search(said)
    assert "the run went back 2 times before (nan_reload_limit)" in said
    assert run.log.count("; back to limit/poison/checkpoints/epoch_0000") == 2
    assert assert_finite(server.folder, "limit") == [0]


def test_a_reload_without_a_checkpoint_stops(server):
    (server.folder / "poison.yml").write_text(CONFIG % (0, 9))
    run = server.run(*train("none", "reload"), setup=POISON)
    (server.folder / "poison.yml").write_text(CONFIG % (1, 1))
    said = run.log.splitlines()[-1]
    assert run.status == 2 and "there is no checkpoint yet to go back to (nan_policy: reload)" in said


def test_skipping_has_its_limit(server):
    run = server.run(*train("often", "skip", ["nan_skip_limit=0"]), setup=POISON)
    said = run.log.splitlines()[-1]
    assert run.status == 2 and "the 0 steps before were skipped as well (nan_skip_limit)" in said
    assert assert_finite(server.folder, "often") == [0]


@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_a_network_that_explodes_is_told_though_its_loss_is_finite(server, policy):
    """Normalisation hides it: the loss stays finite, the statistics overflow."""
    options = ["LearningRate.base_lr=1e18", "nan_skip_limit=3"]
    run = server.run("train", "-c", "tiny.yml", *train(f"explode_{policy}", policy, options)[3:])
    said = run.log.splitlines()[-1]
    assert run.status == 2, run.log[-3000:]
    if policy == "stop":
        assert re.search(
            r"epoch \d, step \d of 1: the loss is finite, but .*(_variance|_mean).* is not; images", said
        )
    else:
        assert "every step was skipped (nan_policy: skip); the network has diverged" in said


def test_a_pixel_is_seen_in_gradients_that_relu_hides_from_the_loss(server):
    relu = [f"{part}.act=relu" for part in ("CSPRepResNet", "CSPRepPAN", "ETHead")]
    run = server.run(*train("pixel", options=relu), setup=POISON)
    said = run.log.splitlines()[-1]
    assert run.status == 2 and "epoch 1, step 1 of 2: " in said and "000006.jpg" in said
    assert "the loss is finite, but the gradient of backbone.stem.conv1.conv.weight" in said
    assert assert_finite(server.folder, "pixel") == [0]


def test_unwatched_weights_that_are_not_finite_make_no_checkpoint(server):
    """With the check off the run goes on, and ends where a set of NaN would be written."""
    run = server.run(*train("unwatched", options=["nan_check=off"]), setup=POISON)
    said = run.log.splitlines()[-1]
    assert run.status == 2 and re.search(
        r"epoch 1: \S+ holds NaN or infinity; no checkpoint is written", said
    )
    assert assert_finite(server.folder, "unwatched") == [0]


def test_a_gradient_alone_is_seen_and_named(server):
    """An infinite gradient below a finite loss; and 'nan_check: loss' does not look there."""
    setup = """
from ppdet_ext.training import step
init = step.TrainStep.__init__
def spoil(self, trainer):
    init(self, trainer)
    weight = dict(trainer.model.named_parameters())["neck.fpn_routes.0.conv.weight"]
    weight.register_hook(lambda gradient: gradient * float("inf"))
step.TrainStep.__init__ = spoil
"""
    run = server.run(*train("gradient"), setup=POISON + setup)
    said = run.log.splitlines()[-1]
    name = "neck.fpn_routes.0.conv.weight"
    assert run.status == 2 and f"the loss is finite, but the gradient of {name} is not; images" in said
    run = server.run(*train("loss", options=["nan_check=loss", "epoch=1"]), setup=POISON + setup)
    said = run.log.splitlines()[-1]
    assert run.status == 2 and "epoch 0, step 1 of 2: loss_cls is nan" in said  # a step late


@pytest.mark.parametrize(
    "option, words",
    [
        ("nan_policy=skpi", "nan_policy: 'skpi' does not exist; did you mean 'skip'?"),
        ("nan_check=sometimes", "nan_check: 'sometimes' does not exist; choose from gradients, loss, off"),
        ("nan_skip_limit=-1", "nan_skip_limit is -1; give a whole number"),
    ],
)
def test_bad_values_are_one_line(server, option, words):
    run = server.run(*train("bad", options=[option]), setup=POISON)
    assert run.status == 2 and run.log.splitlines()[-1] == f"ppdet-ext train: {words}"


TWO = """
import sys
sys.path.insert(0, r"%s")
%s
from ppdet_ext.cli import main
for policy in ("stop", "skip", "reload"):
    status = main(["train", "-c", "poison.yml", "--seed", "3", "-o", "epoch=3", "save_dir=two_" + policy,
                   "nan_policy=" + policy, "nan_reload_limit=1", "worker_num=0"])
    print("STATUS", policy, status, flush=True)
"""


@pytest.mark.slow
def test_two_processes_decide_alike_when_one_has_the_poison(tmp_path):
    """Only the second process has image 8; both stop, skip or go back at the same step, and both say why."""
    folder = make_workplace(tmp_path, train=IMAGES)
    config = (CONFIG % (1, 1)).replace("batch_size: 4", "batch_size: 2").replace("images: 8", "images: 4")
    config = config.replace("image: 6", "image: 8")
    (folder / "poison.yml").write_text(config)
    (folder / "two.py").write_text(TWO % (ROOT, "import ppdet_ext\n" + POISON))
    logs = launch("two.py", folder=folder)
    told = r"epoch 1, step 1 of 2: process 1: loss_\w+ is nan[^|]*; images 000007.jpg, 000008.jpg; "
    for log in logs:
        statuses = dict(re.findall(r"STATUS (\w+) (\d)", log))
        assert statuses == {"stop": "2", "skip": "0", "reload": "2"}, log[-3000:]
        assert re.search(told + "nothing of this step was applied", log)
        assert re.search(told + r"the step is skipped \(1 of 10 in a row\)", log)
        assert re.search(told + r"back to two_reload/poison/checkpoints/epoch_0000", log)
        assert re.search(told + r"the run went back 1 times before", log)
    assert assert_finite(folder, "two_stop") == [0]
    assert assert_finite(folder, "two_skip") == [0, 1, 2]
    assert assert_finite(folder, "two_reload") == [0]
