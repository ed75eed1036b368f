"""The completion script, as the shell itself answers it."""

import shutil
import subprocess

import pytest

from ppdet_ext import cli

pytest.importorskip("shtab")


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """A file with the script for bash."""
    from ppdet_ext.cli.completion import whole_parser

    file = tmp_path_factory.mktemp("completion") / "ppdet-ext.bash"
    import shtab

    file.write_text(shtab.complete(whole_parser(), "bash"), encoding="utf-8")
    return file


def complete(script, *words, cwd=None):
    """What bash offers for the last word."""
    program = (
        'source "$1"; shift; words=("$@"); COMP_WORDS=(ppdet-ext "${words[@]}"); '
        'COMP_CWORD=${#words[@]}; COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}; '
        "function=$(complete -p ppdet-ext | sed 's/.*-F \\([^ ]*\\).*/\\1/'); "
        '"$function" ppdet-ext "${words[-1]}" "${COMP_WORDS[COMP_CWORD-1]}"; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    run = subprocess.run(
        ["bash", "-c", program, "bash", str(script), *words],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=cwd,
    )
    assert run.returncode == 0, run.stderr
    return {line.strip() for line in run.stdout.splitlines() if line.strip()}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash(script, tmp_path):
    assert complete(script, "") >= set(cli.VERBS)
    assert complete(script, "ex") == {"export"}
    assert complete(script, "data", "") >= {"demo", "convert", "split", "show", "check"}
    assert "--calibration" in complete(script, "quantize", "ptq", "--cal")
    assert complete(script, "quantize", "ptq", "--method", "h") == {"hist"}
    assert complete(script, "export", "--to", "") >= {"onnx", "openvino", "lite"}
    assert "openvino" in complete(script, "predict", "--backend", "open")
    (tmp_path / "mine.yml").touch()
    assert complete(script, "eval", "-c", "mi", cwd=tmp_path) == {"mine.yml"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_verb_prints_a_script(shell, capsys):
    import shtab

    known = shell in shtab.SUPPORTED_SHELLS
    assert cli.main(["completion", shell]) == (0 if known else 2)
    said = capsys.readouterr()
    assert "quantize" in said.out if known else "pip install" in said.err
    if known and shutil.which(shell):
        check = subprocess.run([shell, "-n"], input=said.out, capture_output=True, text=True, timeout=30)
        assert check.returncode == 0, check.stderr
