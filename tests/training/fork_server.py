"""Real commands in seconds: a process that has imported everything forks a child for each.

Run as a script it serves: a line of JSON in, the command's arguments and its folder; a line with the child's
pid out, and one with its exit status when it has ended, -9 for a SIGKILL. A fork has no thread of its parent,
so the parent computes nothing.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]


class ForkServer:
    """Commands of ``ppdet-ext`` in forked processes, each on one core.

    Args:
        folder (Path): where they run.
    """

    def __init__(self, folder):
        self.folder = Path(folder)

    def __enter__(self):
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        )
        return self

    def __exit__(self, *_):
        self._server.stdin.close()
        self._server.wait(timeout=60)

    def start(self, *arguments, setup=""):
        """Starts a command; ``setup`` is Python that runs in the child before. Returns its pid."""
        request = {"argv": list(map(str, arguments)), "folder": str(self.folder), "setup": setup}
        self._log = self.folder / "log.txt"
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def wait(self):
        """The exit status and the log of the command, when it has ended."""
        status = json.loads(self._server.stdout.readline())
        return SimpleNamespace(status=status, log=self._log.read_text())

    def run(self, *arguments, setup=""):
        self.start(*arguments, setup=setup)
        return self.wait()

    def kill(self, *arguments, when, setup=""):
        """Runs a command and kills it: after ``when`` seconds, or as soon as ``when()`` is true."""
        pid = self.start(*arguments, setup=setup)
        begun = time.monotonic()
        while running(pid):
            if when() if callable(when) else time.monotonic() - begun >= when:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.002)
        return self.wait()


def running(pid):
    """Whether a process is there and has not ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _child(request):
    os.chdir(request["folder"])
    log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    exec(request["setup"], {})
    from ppdet_ext.cli import main

    status = main(request["argv"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _serve():
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what imports have to say is no reply
    import ppdet_ext

    assert ppdet_ext  # before Paddle
    import ppdet_ext.cli.train
    import ppdet_ext.config
    import ppdet_ext.training.trainer

    ppdet_ext.config.setup()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                _child(json.loads(line))
            except BaseException:
                import traceback

                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
        print(pid, file=replies, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=replies, flush=True)


if __name__ == "__main__":
    _serve()
