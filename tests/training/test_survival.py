"""A training that is killed, again and again, at random moments and in the middle of its saves.

Each child runs the real command from its arguments on (`ppdet-ext train ...`), forked from a process that has
imported everything; two of the kills hit `python tools/train.py` itself.
"""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ppdet_ext.nn.safe_pickle import read_pickle
from ppdet_ext.training.checkpoints.set_folder import CheckpointFolder
from tests.training.fork_server import ForkServer
from tests.training.tiny import ROOT, history, make_workplace

KILLS = 50
EPOCHS = 6
# One step an epoch of a network so small that a large part of the time goes into saving.
OPTIONS = [f"epoch={EPOCHS}", "TrainReader.batch_size=4", "width_mult=0.125", "EvalReader.batch_size=8"]
FLAGS = ["-c", "tiny.yml", "--eval", "--seed", "3"]


def train(save_dir, *flags):
    return ["train", *FLAGS, *flags, "-o", *OPTIONS, f"save_dir={save_dir}"]


def same(left, right):
    """Whether two objects of containers and arrays are equal to the last bit."""
    if isinstance(left, dict):
        left, right = (
            {k: v for k, v in d.items() if k != "StructuredToParameterName@@"} for d in (left, right)
        )
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    return left == right


def assert_same_course(folder, one, other):
    """Two runs left the same last set, to the last bit, and the same history."""
    sets = [CheckpointFolder(str(folder / name / "tiny")).last_good()[0] for name in (one, other)]
    assert sets[0].epoch == sets[1].epoch
    for file in ("model.pdparams", "model.pdema", "model.pdopt", "model.pdstate"):
        if sets[0].has(file):
            assert same(*(read_pickle(s.file(file)) for s in sets)), file
    facts = [{key: value for key, value in s.facts.items() if key != "files"} for s in sets]
    assert facts[0] == facts[1]
    assert history(folder / one) == history(folder / other)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with the uninterrupted run in `whole`, and a server that forks commands there."""
    folder = make_workplace(tmp_path_factory.mktemp("survival"), train=4)
    with ForkServer(folder) as server:
        run = server.run(*train("whole"))
        assert run.status == 0, run.log[-3000:]
        yield folder, server


class Moment:
    """A moment to kill: some seconds after the n-th event from the start, a set's begin or its end."""

    def __init__(self, output, rng):
        self._path = output / "tiny" / "checkpoints"
        self._event = rng.choice(["begin", "end"])
        self._left = rng.choice([1, 1, 1, 2])
        self._delay = rng.uniform(0, 0.15 if self._event == "begin" else 0.5)
        self._seen = self._names()
        self._time = None

    def _names(self):
        try:
            return {
                n
                for n in os.listdir(self._path)
                if n.startswith(".writing_" if self._event == "begin" else "epoch_")
            }
        except FileNotFoundError:
            return set()

    def __call__(self):
        names = self._names()
        if names - self._seen:
            self._left -= 1
            if self._left == 0:
                self._time = time.monotonic() + self._delay
        self._seen = names
        return self._time is not None and time.monotonic() >= self._time


def check_output(output, before):
    """The invariants after a kill; the epoch of the last good set."""
    one, refusals = CheckpointFolder(str(output / "tiny")).last_good()
    assert not refusals  # what stands in its place is whole, always
    if one is None:
        assert before == -1
        return -1
    assert one.epoch >= before
    for path in (output / "tiny").glob("*.pd*"):
        assert read_pickle(str(path)), path  # a published name is never half a file
    return one.epoch


@pytest.mark.slow
def test_a_run_killed_fifty_times_ends_as_if_it_had_never_been(workplace):
    folder, server = workplace
    rng = random.Random(0)
    kills, chain, torn = 0, 0, 0
    while kills < KILLS:
        chain += 1
        name, last = f"chain{chain}", -1
        output = folder / name
        while True:
            # The first moments of a child are its imports of data and model.
            early = rng.random() < 0.2
            when = rng.uniform(0, 1) if early else Moment(output, rng)
            run = server.kill(*train(name, "-r"), when=when)
            assert run.status in (-signal.SIGKILL, 0), run.log[-3000:]
            torn += bool(list((output / "tiny" / "checkpoints").glob(".writing_*")))
            epoch = check_output(output, last)
            if last >= 0 and not early:
                said = f"checkpoints/epoch_{last:04d}: {last + 1} of {EPOCHS} epochs are done"
                assert (said if last < EPOCHS - 1 else "its run is complete") in run.log
            last = epoch
            if run.status == 0:
                break
            kills += 1
        assert last == EPOCHS - 1
        assert_same_course(folder, "whole", name)
    assert torn >= KILLS / 10  # saves were cut short, not only steps


@pytest.mark.slow
def test_the_command_itself_is_killed_and_goes_on(workplace):
    folder, server = workplace
    command = [sys.executable, ROOT / "tools" / "train.py", *train("command", "-r")[1:]]
    rng = random.Random(1)
    for _ in range(2):
        with open(folder / "command.txt", "w", encoding="utf-8") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        moment, deadline = Moment(folder / "command", rng), time.monotonic() + 120
        while not moment() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -signal.SIGKILL, (folder / "command.txt").read_text()[-3000:]
    run = server.run(*train("command", "-r"))
    assert run.status == 0, run.log[-3000:]
    assert_same_course(folder, "whole", "command")
