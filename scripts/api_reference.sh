#!/usr/bin/env bash
# Builds the reference of every module out of its docstrings: build/api/index.html. `--list` names the modules.
# pdoc comes into build/pdoc, not into the environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PDOC=16.0.0
PYTHON=${PYTHON:-.venv/bin/python}

modules() { # every public one: a name that begins with _ is none
  find ppdet_ext -name '*.py' -not -path '*/_[!_]*' -not -name '_[!_]*' -not -name '__main__.py' |
    sed -e 's#/__init__\.py$##' -e 's#\.py$##' -e 's#/#.#g' | LC_ALL=C sort
}

case ${1:-} in
  '') ;;
  --list) modules && exit ;;
  *) echo "usage: scripts/api_reference.sh [--list]" >&2 && exit 2 ;;
esac

[ -x "$PYTHON" ] || { echo "api_reference.sh: no $PYTHON; run scripts/setup.sh, or set PYTHON" >&2 && exit 2; }
if [ ! -f "build/pdoc/pdoc-$PDOC.dist-info/METADATA" ]; then
  rm -rf build/pdoc
  "$PYTHON" -m pip install --quiet --target build/pdoc "pdoc==$PDOC"
fi
rm -rf build/api
# Imported here and in this order: ppdet_ext before Paddle, which would break zlib otherwise, and all before pdoc,
# which keeps modules from starting processes, as some of PaddleDetection's do.
GLOG_minloglevel=2 "$PYTHON" - $(modules) <<'END'
import importlib
import sys

import ppdet_ext  # noqa: F401

there, absent = [], []
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        there.append(name)
    except ModuleNotFoundError as error:
        if (error.name or "ppdet_ext").startswith("ppdet_ext"):
            raise
        absent.append(f"{name} (no {error.name})")
sys.path.append("build/pdoc")
from pdoc.__main__ import cli  # noqa: E402

cli(["--docformat", "google", "--no-show-source", "-o", "build/api", *there])
if absent:
    print("not in the reference, for want of a package:", ", ".join(absent))
print(f"build/api/index.html: {len(there)} modules")
END
