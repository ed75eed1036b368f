#!/usr/bin/env bash
# Every figure of README and docs, measured again: `scripts/benchmarks.sh --list` says what there is,
# `scripts/benchmarks.sh train_step tta` runs these, without names all of them. Results: docs/benchmarks.json.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -x .venv/bin/ppdet-ext ] || bash scripts/setup.sh
exec .venv/bin/python benchmarks/run_suite.py "$@"
