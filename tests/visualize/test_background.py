import threading

import pytest

from ppdet_ext.visualize.background import Background


def test_one_thread_keeps_the_order():
    done = []
    with Background(1, waiting=3) as background:
        for number in range(50):
            background.do(done.append, number)
    assert done == list(range(50))


def test_no_more_jobs_wait_than_told():
    gate, begun, asked = threading.Event(), [], []

    def job(number):
        begun.append(number)
        assert gate.wait(20)

    def ask(background):
        for number in range(10):
            background.do(job, number)
            asked.append(number)

    with Background(2, waiting=4) as background:
        asker = threading.Thread(target=ask, args=(background,))
        asker.start()
        asker.join(0.3)
        assert asker.is_alive() and asked == [0, 1, 2, 3] and sorted(begun) == [0, 1]
        gate.set()
        asker.join(20)
    assert sorted(begun) == list(range(10))


def test_an_exception_comes_with_the_next_job_or_the_end():
    def fail():
        raise OSError("disk full")

    background = Background(1, waiting=1)
    background.do(fail)
    with pytest.raises(OSError, match="disk full"):
        background.do(print)
    background.close()
    with pytest.raises(OSError, match="disk full"), Background() as background:
        background.do(fail)
