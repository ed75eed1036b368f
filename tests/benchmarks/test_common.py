import json
import sys

import common
import pytest


def test_turns_alternate_and_forget_the_warmup():
    order = []

    def function(name):
        return lambda: order.append(name) or len(order)

    found = common.turns({"a": function("a"), "b": function("b")}, rounds=2, warmup=1)
    assert order == ["a", "b"] * 3
    assert found == {"a": [3, 5], "b": [4, 6]}


def test_timed_gives_seconds():
    ran = []
    assert 0 <= common.timed(lambda: ran.append(1))() < 60
    assert ran == [1]


def test_a_command_that_fails_gives_its_last_line():
    with pytest.raises(RuntimeError, match="^no such weights$"):
        common.run([sys.executable, "-c", "import sys; print('begun'); sys.exit('no such weights')"])


def test_a_log_takes_what_a_command_says(tmp_path):
    log = tmp_path / "logs" / "x.log"
    command = [sys.executable, "-c", "import os, sys; print(os.environ['OMP_NUM_THREADS']); sys.exit(1)"]
    assert common.run(command, log=log, statuses=(0, 1), threads=3) == ""
    assert log.read_text().strip() == "3"
    with pytest.raises(RuntimeError, match="x.log: 3$"):
        common.run(command, log=log, threads=3)


def test_stdout_is_returned_without_stderr():
    command = [sys.executable, "-c", "import sys; print('warning', file=sys.stderr); print(7)"]
    assert common.run(command).strip() == "7"


def test_a_report_has_its_figures(tmp_path):
    path = tmp_path / "new" / "report.json"
    common.write_report(path, {"rows": [1]}, {"s": {"ratio": 1.5, "seeds": [1, 2]}})
    assert json.loads(path.read_text()) == {"rows": [1], "figures": {"s": {"ratio": 1.5, "seeds": [1, 2]}}}
    assert [p.name for p in path.parent.iterdir()] == ["report.json"]


@pytest.mark.parametrize(
    "figures", [{"s": {"ratio": {"median": 1}}}, {"s/m": {"ratio": 1}}, {"s": {"a/b": 1}}]
)
def test_figures_are_plain_and_can_be_named(figures):
    with pytest.raises(ValueError):
        common.write_report(None, {}, figures)
