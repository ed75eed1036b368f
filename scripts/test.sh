#!/usr/bin/env bash
# Sets up .venv with every engine that it can have, checks the style, runs the tests:
# `scripts/test.sh -m "not slow" -k nms`. `--paddle 3` as the first argument does so in .venv-paddle3; with
# `-m smoke` after it, only the part that tells whether another Paddle works.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv paddle=2
if [ "${1:-}" = --paddle ]; then
  paddle=${2:-}
  [ "$paddle" != 3 ] || venv=.venv-paddle3
  shift 2
fi
scripts/setup.sh --paddle "$paddle"
# OpenVINO's list is for Python 3.10 and newer; Paddle Lite has wheels for 3.8 and 3.10, and takes Paddle 2's models.
case $paddle.$("$venv"/bin/python -c 'import sys; print(sys.version_info[1])') in
  2.10) extras=openvino,lite ;;
  2.8) extras=lite ;;
  *.9 | *.8) extras='' ;;
  *) extras=openvino ;;
esac
[ -z "$extras" ] || scripts/setup.sh --paddle "$paddle" --extras "$extras"
"$venv"/bin/python -m ruff check .
# Arguments go to pytest; a path among them takes the place of the whole suite.
for argument in "$@"; do
  [ ! -e "${argument%%::*}" ] || exec "$venv"/bin/python -m pytest -q "$@"
done
# The whole suite in three processes: of two, which left two cores idle for an eighth of the time, each had tests
# that wait. They share it as they go (`worksteal`), which goes on where one of them dies (`loadfile` waits for
# ever); what it died of has one more try, counted as a rerun.
OMP_NUM_THREADS=1 exec "$venv"/bin/python -m pytest -q -n 3 --dist worksteal \
  --reruns 1 --only-rerun "crashed while running" tests "$@"
