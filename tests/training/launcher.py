"""Processes on this machine, started as PaddleDetection's users start them."""

import shutil
import socket
import textwrap
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from tests.training.tiny import ROOT, run_python

TIMEOUT = 240
LAUNCH = ("-m", "paddle.distributed.launch")

# tools/train.py, with something else done before each step of its trainer and after its training.
WATCHED = f"""
import os, signal, sys, time
sys.path.insert(0, r"{ROOT}")
from ppdet_ext import cli

import numpy as np
import paddle.distributed as dist
from ppdet_ext.training import trainer

class Watched(trainer.Trainer):
    def train(self, validate=False):
        seen, forward = [], self.model.get_loss

        def get_loss():
%(before_step)s
            return forward()

        self.model.get_loss = get_loss
        super().train(validate)
%(after_training)s

trainer.Trainer = Watched
if __name__ == "__main__":
    sys.exit(cli.main(["train", *sys.argv[1:]]))
"""


def watched(before_step, after_training="pass"):
    """The text of a script that trains as tools/train.py does, and runs code of its own.

    Args:
        before_step, after_training (str): Python; they share the list `seen`, empty at the start, and find
            the trainer as `self`.
    """
    parts = {"before_step": (before_step, 12), "after_training": (after_training, 8)}
    return WATCHED % {name: textwrap.indent(code.strip(), " " * by) for name, (code, by) in parts.items()}


# Writes down what each process trained on and ended with.
WITNESS = watched(
    'seen.append(int(self.model.inputs["pad_gt_mask"].numpy().sum()))',
    """
state = {name: value.numpy() for name, value in self.model.named_parameters()}
np.savez(f"rank{dist.get_rank()}.npz", boxes=seen, **state)
""",
)


def launch(script, *arguments, folder):
    """Runs a script in two processes; returns the log of each."""
    shutil.rmtree(folder / "logs", ignore_errors=True)  # the launcher would write on at their end
    options = ["--nproc_per_node", "2", "--log_dir", folder / "logs"]
    run = run_python([*LAUNCH, *options, script, *arguments], folder, timeout=TIMEOUT)
    logs = [(folder / "logs" / f"workerlog.{rank}").read_text() for rank in (0, 1)]
    # Not the launcher's own output: it prints the whole environment.
    assert run.status == 0, "\n".join(log[-2000:] for log in logs)
    return logs


def launch_nodes(script, *arguments, folder):
    """Runs a script on two "nodes" of one process each: the status of each launcher and its process's log."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        master = f"127.0.0.1:{found.getsockname()[1]}"

    def node(rank):
        logs = folder / f"logs.{rank}"
        shutil.rmtree(logs, ignore_errors=True)
        options = ["--master", master, "--nnodes", 2, "--rank", rank, "--nproc_per_node", 1]
        options += ["--log_dir", logs]
        run = run_python([*LAUNCH, *options, script, *arguments], folder, timeout=TIMEOUT)
        (log,) = (path.read_text() for path in logs.glob("workerlog.*"))
        return SimpleNamespace(status=run.status, log=log)

    with ThreadPoolExecutor(2) as nodes:
        return list(nodes.map(node, (0, 1)))
