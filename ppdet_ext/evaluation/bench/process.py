"""The parent's end of a worker: starts the process, asks it, notices when it is gone."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKER = "ppdet_ext.evaluation.bench.worker"


class WorkerLost(Exception):
    """The process ended or hangs; the message says how."""


class Worker:
    """One worker process, as a context manager; it computes only while it is asked.

    Args:
        threads (int): CPU threads, for the engines that take the number from the environment.
        answer_limit (float): seconds after which a worker that does not answer counts as hung.
    """

    def __init__(self, threads, answer_limit):
        self.answer_limit = answer_limit
        self.said = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-m", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            encoding="utf-8",
            env=_environment(threads),
        )
        self.answers = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put(None)

    def ask(self, question):
        """One question and its answer, both as `worker` has them.

        Raises:
            WorkerLost: the process ended, or did not answer in time (it is ended then).
        """
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        except OSError:
            raise WorkerLost(self._ending()) from None
        try:
            line = self.answers.get(timeout=self.answer_limit)
        except queue.Empty:
            self.process.kill()
            raise WorkerLost(f"gave no answer within {self.answer_limit:g} s") from None
        if line is None:
            raise WorkerLost(self._ending())
        return json.loads(line)

    def close(self):
        """Ends the process and frees what it holds."""
        if self.process.poll() is None:
            self.process.kill()  # between two questions it has nothing to put in order
        self.process.wait()
        self.reader.join()
        try:
            self.process.stdin.close()
        except OSError:  # a question that the dead process never read
            pass
        self.process.stdout.close()
        self.said.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _ending(self):
        """How the process ended, and its last words."""
        status = self.process.wait()
        if status >= 0:
            text = f"its process ended with exit status {status}"
        else:
            name = signal.Signals(-status).name
            text = f"its process was ended by {name}"
            if name == "SIGKILL":
                text += " (out of memory?)"
        self.said.seek(0)
        lines = self.said.read().decode("utf-8", "replace").splitlines()
        words = [line.strip() for line in lines if line.strip()]
        return f"{text}: {words[-1][:200]}" if words else text


def _environment(threads):
    """The parent's environment, with this package on the path and the number of threads for OpenMP."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(threads)}


@contextlib.contextmanager
def silent_stdout():
    """Keeps what Paddle, PaddleDetection and converters print, also from C++, off a command's own output."""
    os.environ.setdefault(
        "GLOG_minloglevel", "1"
    )  # Paddle's remarks, before it is imported; not its warnings
    sys.stdout.flush()
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)
