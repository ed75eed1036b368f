import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "setup.sh"
STAMP = ROOT / ".venv" / ".ppdet-ext-setup"
LISTS = sorted((ROOT / "scripts" / "requirements").glob("*.txt"))

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def bash(*command, env=None, cwd=None):
    return subprocess.run(
        ["bash", *map(str, command)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )


def fake_python(path, version=None):
    """A stand-in for an interpreter: prints a version, or fails as a pyenv shim without its version does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\necho {version}\n" if version else "#!/bin/bash\nexit 127\n")
    path.chmod(0o755)
    return path


def find_python(versions, path, pyenv):
    run = bash(
        "-c",
        f'source "{SCRIPT}"; PATH="{path}:/usr/bin:/bin"; find_python {versions}',
        env={"PYENV_ROOT": str(pyenv), "HOME": str(pyenv)},
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def copy_of_the_scripts(folder):
    """The script beside its lists in a folder of its own, where it may fail without harm."""
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    shutil.copy(ROOT / "setup.py", folder)
    return folder / "scripts" / "setup.sh"


@pytest.mark.parametrize("file", LISTS, ids=lambda path: path.name)
def test_every_requirement_is_pinned(file):
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*(; python_version .+)?", line), line


def test_no_package_is_pinned_twice_for_one_python():
    from packaging.requirements import Requirement

    for second in ("paddle2", "paddle2-gpu", "paddle3"):
        for python in ("3.8", "3.9", "3.10", "3.11", "3.12"):
            seen = set()
            for name in ("base", second, "no-deps", "dev"):
                for line in (ROOT / "scripts" / "requirements" / f"{name}.txt").read_text().splitlines():
                    if not line or line.startswith("#"):
                        continue
                    wanted = Requirement(line)
                    if wanted.marker is None or wanted.marker.evaluate({"python_version": python}):
                        assert wanted.name.lower() not in seen, (second, python, line)
                        seen.add(wanted.name.lower())


def test_help():
    run = bash(SCRIPT, "--help")
    assert run.returncode == 0
    for option in ("--paddle", "--gpu", "--extras", "--python"):
        assert option in run.stdout


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--paddel", "3"], "unknown option '--paddel'"),
        (["--paddle", "4"], "--paddle takes 2 or 3"),
        (["--paddle"], "--paddle needs a value"),
        (["--extras", "caffe"], "unknown extra 'caffe'"),
        (["--paddle=3", "--gpu"], "not on the package registry"),
        (["--python", "/no/such/python"], "does not run"),
    ],
)
def test_a_wrong_option_is_one_line_and_exits_2(arguments, words, tmp_path):
    run = bash(copy_of_the_scripts(tmp_path), *arguments)
    assert run.returncode == 2
    assert words in run.stderr and run.stderr.count("\n") == 1
    assert not list(tmp_path.glob(".venv*"))


def test_a_python_that_is_too_old_or_new_is_refused(tmp_path):
    python = fake_python(tmp_path / "bin" / "python", "3.6")
    run = bash(copy_of_the_scripts(tmp_path), "--python", python)
    assert run.returncode == 2 and "Python 3.6; Paddle 2 needs one of 3.10, 3.11" in run.stderr


def test_no_python_at_all_is_one_line_and_exits_2(tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("dirname", "grep", "head", "cat", "cksum"):
        (tools / tool).symlink_to(shutil.which(tool))
    bash_here = shutil.which("bash")
    run = subprocess.run(
        [bash_here, str(copy_of_the_scripts(tmp_path))],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": str(tools), "HOME": str(tmp_path)},
    )
    assert run.returncode == 2
    assert "no usable Python" in run.stderr and run.stderr.count("\n") == 1


def test_a_shim_that_does_not_run_is_passed_over(tmp_path):
    fake_python(tmp_path / "bin" / "python3.10")
    fake_python(tmp_path / "bin" / "python3.11", "3.11")
    mine = fake_python(tmp_path / "pyenv" / "versions" / "3.10.13" / "bin" / "python", "3.10")
    assert find_python("3.10 3.11", tmp_path / "bin", tmp_path / "pyenv") == str(mine)
    mine.unlink()
    assert find_python("3.10 3.11", tmp_path / "bin", tmp_path / "pyenv") == str(
        tmp_path / "bin" / "python3.11"
    )


def test_path_comes_before_pyenv_and_python3_counts_too(tmp_path):
    plain = fake_python(tmp_path / "bin" / "python3", "3.10")
    fake_python(tmp_path / "pyenv" / "versions" / "3.10.13" / "bin" / "python", "3.10")
    assert find_python("3.10 3.11", tmp_path / "bin", tmp_path / "pyenv") == str(plain)


def test_python_version_is_that_of_the_interpreter():
    run = bash("-c", f'source "{SCRIPT}"; python_version "{sys.executable}"')
    assert run.stdout.strip() == "{}.{}".format(*sys.version_info[:2])


def test_torn_packages_are_dropped(tmp_path):
    site = tmp_path / "lib" / "python3.10" / "site-packages"
    for name, whole in (("good-1.0.dist-info", True), ("torn-1.0.dist-info", False), ("~orn", False)):
        (site / name).mkdir(parents=True)
        if whole:
            (site / name / "RECORD").touch()
    run = bash("-c", f'source "{SCRIPT}"; venv="{tmp_path}"; drop_torn_packages')
    assert run.returncode == 0, run.stderr
    assert [path.name for path in site.iterdir()] == ["good-1.0.dist-info"]


@pytest.mark.parametrize(
    "extra, python, said",
    [
        ("lite", "3.11", "Paddle Lite has wheels for Python 3.8 and 3.10 only"),
        ("openvino", "3.9", "the extra 'openvino' is for Python 3.10 and newer, .venv has 3.9"),
        ("develop", "3.8", "the extra 'develop' is for Python 3.10 and newer, .venv has 3.8"),
    ],
)
def test_an_extra_that_this_python_cannot_have(extra, python, said):
    run = bash("-c", f'source "{SCRIPT}"; venv=.venv version={python} extras={extra}; install_extras')
    assert run.returncode == 2 and said in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_an_environment_behind_a_link_is_left_alone(tmp_path):
    script = copy_of_the_scripts(tmp_path / "repository")
    other = tmp_path / "other"
    (other / "bin").mkdir(parents=True)
    (tmp_path / "repository" / ".venv").symlink_to(other)
    run = bash(script)
    assert run.returncode == 2 and ".venv is a link to another folder" in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert (other / "bin").is_dir()


@pytest.mark.skipif(not STAMP.exists(), reason="needs the .venv that scripts/setup.sh makes")
def test_a_second_run_does_nothing(tmp_path):
    before = STAMP.stat().st_mtime_ns
    # An index that can't answer: anything it tried to install would fail.
    run = bash(SCRIPT, env={"PIP_NO_INDEX": "1"}, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "up to date" in run.stdout and "[1/5]" not in run.stdout
    assert STAMP.stat().st_mtime_ns == before


def test_the_version_is_read_without_importing():
    run = subprocess.run(
        [sys.executable, "setup.py", "--version"], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert run.stdout.split()[-1] == re.search(
        r'__version__ = "(.+)"', (ROOT / "ppdet_ext" / "__init__.py").read_text()
    ).group(1)
