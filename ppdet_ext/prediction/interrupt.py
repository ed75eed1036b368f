"""Ctrl-C that lets work end in order."""

import contextlib
import signal
import threading


@contextlib.contextmanager
def on_interrupt():
    """Within it, the first Ctrl-C sets the Event it gives; the second one is a KeyboardInterrupt as ever.

    Outside the main thread, which alone hears signals, the Event is never set.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number, frame):
        stop.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
