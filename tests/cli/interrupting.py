"""Ctrl-C for a command in a process of its own."""

import signal
import subprocess
import sys
import time


def interrupt(verb, arguments, ready, patience=30):
    """Run a verb, press Ctrl-C once `ready()`: status, stdout, stderr.

    Args:
        patience (float): seconds until it is pressed anyway, and again until the process is to have ended.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "ppdet_ext.cli", verb, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + patience
        while not ready() and time.monotonic() < end and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=patience)
    finally:
        process.kill()
        process.wait()
    return process.returncode, out, error


def grows(path, size):
    """Whether a file has more than so many bytes, to be asked again and again."""
    return lambda: path.is_file() and path.stat().st_size > size
