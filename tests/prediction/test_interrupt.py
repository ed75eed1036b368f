import os
import signal
import threading
import time

import pytest

from ppdet_ext.prediction.interrupt import on_interrupt


@pytest.fixture(autouse=True)
def interrupts_arrive():
    """As in a terminal: a command in the background of a script is started with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_asks_the_second_breaks():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), on_interrupt() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(5)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    assert signal.getsignal(signal.SIGINT) is before
    with on_interrupt():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_hear_no_signals():
    heard = []

    def work():
        with on_interrupt() as stop:
            heard.append(stop.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [False]
