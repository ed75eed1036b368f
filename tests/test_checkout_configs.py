"""PaddleDetection's own detection configs, all of them, pass the checks of ours, with its own modules.

    PPDET_CHECKOUT=/path/to/PaddleDetection scripts/test.sh tests/test_checkout_configs.py

Those of develop need 'scripts/setup.sh --extras develop', too.
"""

import json
import os
import re
from pathlib import Path

import pytest

from tests.test_config import DEMO
from tests.training.tiny import ROOT, run_python

CHECKOUT = os.environ.get("PPDET_CHECKOUT", "")
CONFIGS = Path(CHECKOUT) / "configs"
# Tasks that are not detection; and files that other configs build on.
OTHER_TASKS = ("keypoint", "pose3d", "clrnet")
BASE = "'architecture' is missing"
# A dataset that looks into its folders as soon as a config names it.
NO_DATA = r"dataset/wider_face/\S+ not exist"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHECKOUT, reason="PPDET_CHECKOUT names no PaddleDetection checkout"),
    pytest.mark.skipif(
        bool(CHECKOUT) and not CONFIGS.is_dir(), reason=f"PPDET_CHECKOUT: no configs in {CHECKOUT}"
    ),
]

# What is wrong with each config, by file; a slim config is laid over the demo's.
CHECK = """
import json, sys
import ppdet_ext
from ppdet_ext.config import load_config, merge_file

demo, answers, *paths = sys.argv[1:]
found = {}
for path in paths:
    try:
        load_config(path if "/slim/" not in path else demo)
        if "/slim/" in path:
            merge_file(path, {})
        found[path] = None
    except Exception as error:
        found[path] = str(error)
with open(answers, "w") as file:
    json.dump(found, file)
"""


def test_every_config_loads(tmp_path):
    files = [
        str(file)
        for file in sorted(CONFIGS.rglob("*.yml"))
        if not set(file.relative_to(CONFIGS).parts) & set(OTHER_TASKS)
    ]
    paths = [CHECKOUT, str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    answers = tmp_path / "answers.json"
    env = {"PYTHONPATH": os.pathsep.join(paths)}
    run = run_python(["-c", CHECK, DEMO, answers, *files], tmp_path, timeout=600, env=env)
    missing = re.search(r"ModuleNotFoundError: No module named '(\w+)", run.err)
    if missing and missing.group(1) not in ("paddle", "ppdet", "ppdet_ext"):
        pytest.skip(f"this checkout needs {missing.group(1)}, which is not installed")
    assert run.status == 0, run.log[-3000:]
    found = json.loads(answers.read_text())
    assert len(found) == len(files) > 500
    refused = {file: why for file, why in found.items() if why and not re.search(f"{BASE}|{NO_DATA}", why)}
    assert not refused
    assert sum(why is None for why in found.values()) > 400
