import subprocess
import sys
import types

import pytest

from ppdet_ext import __version__, cli


@pytest.fixture
def verb(monkeypatch):
    """Adds a verb `probe` whose run is the given function."""

    def add(run):
        module = types.ModuleType("probe_verb")
        module.add_arguments = lambda parser: parser.add_argument("--size", type=int, default=3)
        module.run = run
        monkeypatch.setitem(sys.modules, "probe_verb", module)
        monkeypatch.setitem(cli.VERBS, "probe", ("probe_verb", "a verb for the test"))

    return add


def fails_with(error):
    def run(args):
        raise error

    return run


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_help_lists_every_verb(argv, capsys):
    assert cli.main(argv) == 0
    out = capsys.readouterr().out
    for name, (_, summary) in cli.VERBS.items():
        assert name in out and summary in out


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"ppdet-ext {__version__}\n"


@pytest.mark.parametrize(
    "typed, answer",
    [
        ("exprot", "did you mean 'export'?"),
        ("docter", "did you mean 'doctor'?"),
        ("zzz", "choose from demo, data"),
    ],
)
def test_unknown_verb_gets_the_nearest_name(typed, answer, capsys):
    assert cli.main([typed]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and typed in err and answer in err


def test_a_verb_gets_its_arguments_and_gives_the_status(verb):
    verb(lambda args: args.size)
    assert cli.main(["probe"]) == 3
    assert cli.main(["probe", "--size", "5"]) == 5


def test_a_wrong_option_of_a_verb_exits_2(verb, capsys):
    verb(lambda args: 0)
    with pytest.raises(SystemExit) as stop:
        cli.main(["probe", "--size", "large"])
    assert stop.value.code == 2
    assert "ppdet-ext probe" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error, line",
    [
        (ValueError("train.json: annotation 812\n has width -3"), "train.json: annotation 812 has width -3"),
        (FileNotFoundError(2, "No such file or directory", "a.jpg"), "a.jpg: No such file or directory"),
        (ModuleNotFoundError("No module named 'onnx'", name="onnx"), "needs onnx, which is not installed"),
    ],
)
def test_bad_input_is_one_line_and_status_2(verb, capsys, monkeypatch, error, line):
    monkeypatch.delenv("PPDET_EXT_DEBUG", raising=False)
    verb(fails_with(error))
    assert cli.main(["probe"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"ppdet-ext probe: {line}") and err.count("\n") == 1


def test_interrupt_is_130(verb, capsys):
    verb(fails_with(KeyboardInterrupt()))
    assert cli.main(["probe"]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("ours"),
        ValueError("C++ Traceback\nError Message Summary:\nInvalidArgumentError"),
        ModuleNotFoundError("No module named 'ppdet_ext.gone'", name="ppdet_ext.gone"),
    ],
)
def test_our_bugs_keep_their_traceback(verb, error):
    verb(fails_with(error))
    with pytest.raises(type(error)):
        cli.main(["probe"])


def test_debug_keeps_the_traceback_of_bad_input(verb, monkeypatch):
    monkeypatch.setenv("PPDET_EXT_DEBUG", "1")
    verb(fails_with(ValueError("bad")))
    with pytest.raises(ValueError, match="bad"):
        cli.main(["probe"])


def test_help_imports_no_verb():
    code = (
        "import sys\nfrom ppdet_ext.cli import main\nmain([])\n"
        "print([m for m in sys.modules if m.startswith('ppdet_ext.cli.')], 'paddle' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.stdout.splitlines()[-1] == "[] False", run.stderr


def test_a_closed_pipe_is_no_error():
    code = "import sys; from ppdet_ext.cli import main; sys.exit(main(['doctor', '--json']))"
    run = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" | true; exit "${PIPESTATUS[0]}"', sys.executable, code],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode in (0, 1) and "Traceback" not in run.stderr
