"""The tutorial is run as it is written: every block of commands, in order, in an empty folder."""

import os
import re
import sys
from pathlib import Path

import pytest

from ppdet_ext import compat
from tests.training.tiny import run_python

from .pages import ROOT

PAGE = ROOT / "docs" / "tutorial.md"
# A block stays out by a comment above it that says why.
BLOCK = re.compile(r"(?:^<!-- not run: ([^\n]+) -->\n)?^```bash\n(.*?)^```", re.M | re.S)
SHELL = "import os, sys; os.execvp('bash', ['bash', '-euo', 'pipefail', '-c', sys.argv[1]])"
# Of one block; on a free core the longest takes a quarter of it.
SECONDS = 500


def blocks():
    """(why it stays out, or '', the commands) of every block of the page."""
    return BLOCK.findall(PAGE.read_text(encoding="utf-8"))


def test_every_block_is_found_and_few_stay_out():
    found = blocks()
    assert len(found) == PAGE.read_text(encoding="utf-8").count("```bash") > 8
    assert sum(bool(reason) for reason, _ in found) <= 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not compat.quantizes(), reason="PaddleSlim quantises with Paddle 2.6 only")
def test_the_page_works_as_it_stands(tmp_path):
    pytest.importorskip("onnxruntime")
    here = Path(sys.executable).parent
    if not (here / "ppdet-ext").exists():
        pytest.skip("ppdet_ext is not installed here, so there is no command")
    env = {"PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}
    for reason, commands in blocks():
        if not reason:
            run = run_python(["-c", SHELL, commands], tmp_path, timeout=SECONDS, env=env)
            assert run.status == 0, f"{commands}\n{run.log[-3000:]}"
    assert re.search(r"val_\d+\.jpg: \d, 0\.\d+, \[", run.out), "the device sees nothing"
    made = (
        "output/device/predictions.json",
        "output/predict/val_000001.jpg",
        "output/show/contact_sheet.jpg",
        "output/own/report/report.html",
        "int8/model.onnx",
    )
    for file in made:
        assert (tmp_path / file).exists(), file
