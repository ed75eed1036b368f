import re
import subprocess
import sys

import common
import pytest
import run_suite
import suite
import tables
from trained_models import MODELS

HERE = {"machine": {"gpus": [], "isa": ["avx2"]}, "versions": {}, "date": "2026-01-01"}


def test_every_benchmark_has_a_script_that_takes_json():
    for name, benchmark in suite.SUITE.items():
        path = common.ROOT / benchmark.command[0]
        assert path.is_file(), name
        assert "add_json_argument(parser)" in path.read_text(encoding="utf-8"), name


def test_every_script_that_measures_is_in_the_suite():
    scripts = {
        f"benchmarks/{path.name}"
        for path in (common.ROOT / "benchmarks").glob("*.py")
        if "write_report(" in path.read_text(encoding="utf-8") and path.name != "common.py"
    }
    assert scripts == {benchmark.command[0] for benchmark in suite.SUITE.values()}


def test_options_of_the_suite_exist():
    """Each `--option` of a command stands in its script, or in what that takes its arguments from."""
    everywhere = "--data --json -c -o "
    for name, benchmark in suite.SUITE.items():
        text = (common.ROOT / benchmark.command[0]).read_text(encoding="utf-8") + everywhere
        for part in (*benchmark.command, *(benchmark.quick or ()), *benchmark.optional):
            assert not part.startswith("--") or f'"{part}"' in text or f"{part} " in everywhere, (name, part)


def test_names_of_models_tables_and_data():
    for benchmark in suite.SUITE.values():
        assert set(benchmark.models) <= set(MODELS)
        assert set(benchmark.tables) <= set(tables.TABLES)
        assert set(re.findall(r"{(\w+)}", " ".join(benchmark.command + benchmark.optional))) <= set(
            suite.DATA
        )
    for model in MODELS.values():
        assert (common.ROOT / model.config).is_file()
        assert model.slim is None or (common.ROOT / model.slim).is_file()
        assert model.floats is None or model.floats in MODELS


@pytest.mark.parametrize(
    ("benchmark", "reason"),
    [
        (suite.SUITE["yolov6_parity"], "needs --data yolov6=YOLOV6"),
        (suite.SUITE["recompute_gpu"], "no GPU"),
        (suite.SUITE["int8_speed"], "no VNNI"),
        (suite.SUITE["tta"]._replace(models=("demo, swish",)), "run the benchmark 'trainings'"),
    ],
)
def test_what_cannot_run_says_why(benchmark, reason, monkeypatch, tmp_path):
    monkeypatch.setattr(run_suite, "ROOT", tmp_path)
    assert reason in run_suite.obstacle(benchmark, {}, HERE["machine"])


def test_paths_that_are_given_stand_in_the_command(tmp_path, monkeypatch):
    monkeypatch.delenv("PPDET_CHECKOUT", raising=False)
    given = suite.paths([f"checkout={tmp_path}"])
    assert run_suite.command_of(suite.SUITE["deployment"], given, False)[-2:] == ["--checkout", str(tmp_path)]
    assert "--checkout" not in run_suite.command_of(suite.SUITE["deployment"], {}, False)
    assert suite.shown(suite.SUITE["deployment"]).endswith("--checkout CHECKOUT")
    for entry in ("checkout", "nothing=here", f"checkout={tmp_path}/absent"):
        with pytest.raises(ValueError, match="--data"):
            suite.paths([entry])


SCRIPT = """
import json, sys
print('at work')
figures = {{'s': {{'ratio': 2.5}}}}
if {report}:
    open(sys.argv[sys.argv.index('--json') + 1], 'w').write(json.dumps({{'figures': figures}}))
sys.exit({status})
"""


@pytest.mark.parametrize(
    ("report", "status", "expected"),
    [(True, 0, "measured"), (True, 1, "measured"), (False, 1, "failed"), (True, 3, "failed")],
)
def test_a_run_becomes_an_entry(report, status, expected, monkeypatch, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(report=report, status=status))
    monkeypatch.setattr(run_suite, "OUTPUT", tmp_path)
    monkeypatch.setitem(suite.SUITE, "recompute", suite.Benchmark((str(script),), 1, "a try"))
    entry = run_suite.measure("recompute", {}, HERE)
    assert entry["status"] == expected
    assert entry["figures"] == ({"s": {"ratio": 2.5}} if expected == "measured" else {})
    assert ("reason" in entry) == (status != 0)
    assert (tmp_path / "recompute.log").read_text() == "at work\n"


def test_a_run_replaces_its_own_entry_alone():
    results = {"benchmarks": {"tta": {"status": "measured", "figures": {"plain": {"ap": 1}}}}}
    assert run_suite.merge(results, "fusion", {"status": "measured", "figures": {"fast": {"ms": 2}}})
    assert list(results["benchmarks"]) == ["fusion", "tta"]
    assert not run_suite.merge(results, "tta", {"status": "not measured", "reason": "no", "figures": {}})
    assert results["benchmarks"]["tta"]["figures"] == {"plain": {"ap": 1}}
    assert run_suite.merge(results, "tta", {"status": "failed", "reason": "no", "figures": {}})
    assert results["benchmarks"]["tta"]["status"] == "failed"
    assert run_suite.merge(results, "scaling", {"status": "not measured", "reason": "no", "figures": {}})


def test_the_command_refuses_what_it_does_not_know():
    command = [sys.executable, str(common.ROOT / "benchmarks" / "run_suite.py"), "nothing"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("benchmarks.sh: there is no benchmark 'nothing'")
