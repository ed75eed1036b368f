"""One process of a run dies: the others learn of it at once, and say which and why."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.training.tiny import ROOT

# Processes without Paddle: rank 0 tells the others by a file where it listens. A collective operation that
# notices a lost connection fails as Paddle's does, one that does not (NCCL's) waits for ever.
SCRIPT = f"""
import os, sys, time
sys.path.insert(0, r"{ROOT}")
from ppdet_ext.training import peers

rank, processes, does = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
peers.GRACE = float(sys.argv[4])

def share(value):
    if rank == 0:
        with open("part", "w") as file:
            file.write(repr(value))
        os.rename("part", "address")
    while not os.path.exists("address"):
        time.sleep(0.01)
    return [eval(open("address").read())]

with peers.Peers(rank, processes, share):
    open(f"in.{{rank}}", "w").close()
    while not all(os.path.exists(f"in.{{other}}") for other in range(processes)):
        time.sleep(0.01)
    time.sleep(0.3)
    if does == "ends":
        pass
    elif does == "fails":
        raise ValueError("train.json: no boxes")
    elif does == "breaks":
        raise KeyError("lost")
    elif does == "dies":
        os.kill(os.getpid(), 9)
    elif does == "notices":
        time.sleep(0.5)
        raise RuntimeError("[/gloo/transport/tcp/pair.cc:576] Read error: Connection reset by peer")
    elif does == "hangs":
        time.sleep(600)
print("through")
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)

    def start(*what, grace=0.5):
        """Exit status and output of processes that each do something, and how long they took."""
        begun = time.monotonic()
        processes = [
            subprocess.Popen(
                [sys.executable, "script.py", str(rank), str(len(what)), does, str(grace)],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for rank, does in enumerate(what)
        ]
        outputs = [process.communicate(timeout=30)[0] for process in processes]
        return [process.returncode for process in processes], outputs, time.monotonic() - begun

    return start


@pytest.mark.parametrize("others", ["notices", "hangs"])
@pytest.mark.parametrize("does, reason", [("fails", "train.json: no boxes"), ("breaks", "KeyError: 'lost'")])
@pytest.mark.parametrize("culprit", [0, 2])
def test_the_reason_reaches_everyone(run, does, reason, others, culprit):
    what = [others] * 3
    what[culprit] = does
    status, outputs, seconds = run(*what)
    assert all(status) and seconds < 15
    for rank, output in enumerate(outputs):
        assert "through" not in output
        said = f"process {culprit} of 0..2 ended the run: {reason}; its own log says more"
        assert (said in output) == (rank != culprit), output
    assert reason in outputs[culprit]


@pytest.mark.parametrize("others", ["notices", "hangs"])
@pytest.mark.parametrize("culprit", [0, 1])
def test_a_killed_process_is_named(run, others, culprit):
    what = [others] * 3
    what[culprit] = "dies"
    status, outputs, seconds = run(*what)
    assert status[culprit] == -9 and all(status) and seconds < 15
    for rank, output in enumerate(outputs):
        if rank != culprit:
            assert f"process {culprit} of 0..2 ended the run: it ended without a word" in output


def test_whoever_is_ready_first_may_leave(run):
    status, outputs, _ = run("ends", "ends", "ends")
    assert status == [0, 0, 0] and all(output == "through\n" for output in outputs)


def test_a_failure_of_ones_own_stays_what_it_is(run):
    """Where all processes find the same fault, each says it."""
    status, outputs, _ = run("fails", "fails")
    assert status == [1, 1]
    assert all(output.endswith("ValueError: train.json: no boxes\n") for output in outputs)


def test_one_process_has_no_peers(run):
    assert run("ends")[:2] == ([0], ["through\n"])


def test_strangers_are_turned_away(tmp_path, run):
    """Who connects without the key is no process of the run."""
    import socket
    import threading

    stop = threading.Event()

    def knock():
        while not stop.is_set():
            try:
                host, port = eval((tmp_path / "address").read_text())[0]
                with socket.create_connection((host, port), timeout=1) as stranger:
                    stranger.sendall(b"lost 1 nonsense\n")
            except (OSError, SyntaxError):
                time.sleep(0.01)

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        status, outputs, _ = run("ends", "ends", "ends")
    finally:
        stop.set()
        thread.join()
    assert status == [0, 0, 0], outputs


# A command that starts a process as --processes does, and says its number.
PARENT = """
import multiprocessing, time
from ppdet_ext.training.peers import end_with_parent

def child():
    end_with_parent()
    print("ready", flush=True)
    time.sleep(60)

if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=child)
    process.start()
    print(process.pid, flush=True)
    process.join()
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_the_command_that_started_them(tmp_path, how):
    (tmp_path / "parent.py").write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "parent.py"], cwd=tmp_path, env=environment, stdout=-1, stderr=-1, text=True
    ) as parent:
        assert parent.stdout.readline().strip().isdigit()
        assert parent.stdout.readline() == "ready\n"
        parent.send_signal(how)
        # Both ends of the pipes are closed when the child is gone, too.
        _, said = parent.communicate(timeout=30)
    assert parent.returncode == -how and "the command that started it is gone, and it ends" in said
