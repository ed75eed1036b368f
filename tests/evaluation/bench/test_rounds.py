"""Rows in turn, in real worker processes that do well, break, hang or die."""

import numpy as np
import pytest

from ppdet_ext.evaluation.bench import rounds as bench_rounds
from ppdet_ext.evaluation.bench.load import OthersLoad
from ppdet_ext.evaluation.bench.process import Worker, WorkerLost
from ppdet_ext.evaluation.bench.rounds import FAILED, MEASURED, NOT_MEASURED, Case, Plan, interleave

CASES = '''
import os, time

class Steady:
    """Writes down when it computes; prints where a careless engine would."""
    def __init__(self, name, log, batch=1):
        self.name, self.log = name, log
        print("engine banner")
    def step(self, number):
        start = time.monotonic()
        print("not JSON")
        time.sleep(0.002)
        with open(self.log, "a") as file:
            file.write(f"{self.name} {number} {start} {time.monotonic()}\\n")
        return {"pre": 0.25, "network": 0.5, "post": 0.25, "decode": 0.125}
    def info(self):
        return {"engine": "none"}

class Dies(Steady):
    def step(self, number):
        if number == 4:  # in its second turn
            os.write(2, b"kernel exploded\\n")
            os.abort()
        return super().step(number)

class Raises(Steady):
    def step(self, number):
        raise RuntimeError("no primitive\\nfor this")

class Refuses(Steady):
    def __init__(self, **arguments):
        raise ValueError("model.onnx: is missing")

class Hangs(Steady):
    def step(self, number):
        time.sleep(60 if number else 0)
        return {"network": 1.0}
'''
PLAN = Plan(threads=1, rounds=3, steps=1, warmup=1)


@pytest.fixture
def case(tmp_path):
    """Makes a Case of the classes above."""
    file = tmp_path / "cases.py"
    file.write_text(CASES)

    def make(kind, name=None):
        return Case(name or kind, f"{file}:{kind}", {"name": name or kind, "log": str(tmp_path / "log")})

    make.log = tmp_path / "log"
    return make


@pytest.mark.parametrize("name", ["threads", "rounds", "seconds", "steps", "warmup"])
def test_a_plan_needs_positive_numbers(name):
    with pytest.raises(ValueError, match=f"{name} is 0; give a number above 0"):
        Plan(**{"threads": 1, name: 0})


def test_rows_take_turns_and_one_that_dies_takes_none_with_it(case):
    results, others = interleave(
        [case("Steady", "a"), case("Dies"), case("Steady", "b")], PLAN, progress=False
    )
    assert [result.status for result in results] == [MEASURED, FAILED, MEASURED]
    assert results[1].reason == "its process was ended by SIGABRT: kernel exploded"
    assert results[1].rounds == []
    expected = {"pre": [0.25], "network": [0.5], "post": [0.25], "decode": [0.125]}
    assert results[0].rounds == results[2].rounds == [expected] * 3
    assert results[0].info == {"engine": "none"} and results[0].rests
    assert others is None or 0 <= others <= 1
    steps = [line.split() for line in case.log.read_text().splitlines()]
    turns = [name for name, number, *_ in steps if int(number) % 2 == 0 and int(number)]
    assert turns == ["a", "Dies", "b", "b", "a", "a", "b"]  # every other round backwards
    spans = [(float(start), float(end)) for _, _, start, end in steps]
    assert all(end <= start for (_, end), (start, _) in zip(spans, spans[1:])), "two computed at a time"


def test_what_cannot_run_and_what_breaks(case):
    results, _ = interleave([case("Refuses"), case("Raises")], PLAN, progress=False)
    found = [(result.status, result.reason) for result in results]
    assert found == [
        (NOT_MEASURED, "model.onnx: is missing"),
        (FAILED, "RuntimeError: no primitive for this"),
    ]


def test_a_worker_that_hangs_is_ended(case):
    hanging = case("Hangs")
    with Worker(1, answer_limit=300) as worker:
        worker.ask({"case": hanging.target, "arguments": hanging.arguments, "warmup": 1})
        worker.answer_limit = 0.2
        with pytest.raises(WorkerLost, match="gave no answer within 0.2 s"):
            worker.ask({"steps": 1})
        with pytest.raises(WorkerLost, match="ended by SIGKILL"):
            worker.ask({"steps": 1})


def test_memory_is_the_workers_own(case):
    ballast = np.ones(2**26, np.float64)  # 512 MiB in this process
    results, _ = interleave([case("Steady")], PLAN, progress=False)
    assert ballast.all() and 20 < results[0].peak_mib < 300


def test_no_row_is_begun_without_memory_for_it(case, monkeypatch):
    monkeypatch.setattr(bench_rounds, "_free_mib", lambda: 3.0)
    results, _ = interleave([case("Steady", "a"), case("Steady", "b")], PLAN, progress=False)
    assert [result.status for result in results] == [MEASURED, NOT_MEASURED]
    assert results[1].reason.startswith("only 3 MiB of memory are left")


def test_the_time_is_bounded(case):
    plan = Plan(threads=1, rounds=50, seconds=1e-6, steps=2, warmup=1)
    results, _ = interleave([case("Steady")], plan, progress=False)
    assert len(results[0].rounds) == 1 and len(results[0].rounds[0]["network"]) == 2


def test_load_of_others(monkeypatch):
    load = OthersLoad(own_s=5.0)
    if load.share(5.0) is None:
        pytest.skip("no /proc/stat")
    monkeypatch.setattr(OthersLoad, "_now", staticmethod(lambda own_s: (10.0, 8.0 * 4, own_s)))
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    load.start = (0.0, 0.0, 2.0)
    assert load.share(14.0) == pytest.approx((32 - 12) / 40)
    assert load.share(100.0) == 0
