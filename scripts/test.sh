#!/usr/bin/env bash
# Sets up .venv if need be, checks the style, runs the tests: `scripts/test.sh -m "not slow" -k nms`.
# `--paddle 3` as the first argument does so in .venv-paddle3, with Paddle 3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
if [ "${1:-}" = --paddle ]; then
  scripts/setup.sh --paddle "${2:-}"
  [ "$2" != 3 ] || venv=.venv-paddle3
  shift 2
else
  scripts/setup.sh
fi
"$venv"/bin/python -m ruff check .
# Arguments go to pytest; a path among them takes the place of the whole suite.
for argument in "$@"; do
  [ ! -e "${argument%%::*}" ] || exec "$venv"/bin/python -m pytest -q "$@"
done
exec "$venv"/bin/python -m pytest -q tests "$@"
