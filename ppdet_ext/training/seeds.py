"""Random numbers of a training: those of an epoch follow from the run's seed and the epoch's number alone.

So a run that resumes at an epoch draws what the uninterrupted one does, in every process and every reader
worker (Paddle seeds its workers from NumPy's generator), and an evaluation in between changes nothing.
"""

import os
import random

import numpy as np
import paddle
import paddle.distributed as dist


def run_seed(given=None):
    """The seed of a run: the one given, or a fresh one, the same in all processes."""
    seed = int.from_bytes(os.urandom(4), "little") >> 1 if given is None else given
    if dist.get_world_size() > 1:
        shared = paddle.to_tensor([seed], dtype="int64")
        dist.broadcast(shared, src=0)
        seed = int(shared)
    return seed


def derived_seed(*numbers):
    """One number of 31 bits out of some."""
    return int(np.random.SeedSequence([abs(number) for number in numbers]).generate_state(1)[0]) >> 1


def seed_epoch(seed, epoch, attempt=0):
    """Seeds Python, NumPy and Paddle for an epoch.

    Args:
        seed (int): of the run.
        epoch (int): from 0.
        attempt (int): how often the run has gone back to a checkpoint: other numbers each time.
    """
    states = np.random.SeedSequence([abs(seed), epoch, attempt, dist.get_rank()]).generate_state(6)
    random.seed(int(states[4]))
    np.random.seed(states[:4])
    paddle.seed(int(states[5]))
