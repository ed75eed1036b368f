"""Processes on this machine, started as PaddleDetection's users start them."""

import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from tests.training.tiny import run_python

TIMEOUT = 240
LAUNCH = ("-m", "paddle.distributed.launch")


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
