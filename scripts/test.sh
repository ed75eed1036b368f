#!/usr/bin/env bash
# Sets up .venv if need be, checks the style, runs the tests: `scripts/test.sh -m "not slow" -k nms`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
.venv/bin/python -m ruff check .
# Arguments go to pytest; a path among them takes the place of the whole suite.
for argument in "$@"; do
  [ ! -e "${argument%%::*}" ] || exec .venv/bin/python -m pytest -q "$@"
done
exec .venv/bin/python -m pytest -q tests "$@"
