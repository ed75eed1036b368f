#!/usr/bin/env bash
# Builds the working environment in the repository root from pinned lists. `scripts/setup.sh --help` says how.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
LISTS=$ROOT/scripts/requirements
PYTHONS_2="3.10 3.11 3.12 3.9 3.8" # best first; NumPy 1 has no wheels for 3.13
PYTHONS_3="3.10 3.11 3.12 3.9"
IMPORTS="ppdet_ext, paddle, ppdet, paddleslim, paddle2onnx, onnxruntime" # what "ready" means
STAGE=

usage() {
  cat <<'EOF'
usage: scripts/setup.sh [options]

Builds .venv in the repository root: PaddlePaddle, ppdet, PaddleSlim, ONNX Runtime, the tests' tools and
this project (editable), every version pinned. Run it again at any time: it repairs what was interrupted
and does nothing when all is in place.

  --paddle 2|3     2 (default): PaddlePaddle 2.6.2 in .venv; 3: PaddlePaddle 3.3.1 in .venv-paddle3
  --gpu            PaddlePaddle for CUDA 11.8 instead of the CPU build (Paddle 2 only)
  --cpu            back to the CPU build (default: what the environment has, CPU in a new one)
  --extras LIST    more, separated by commas: the runtimes openvino and lite; develop, for a checkout of
                   PaddleDetection newer than 2.6
  --python PATH    the Python to build with (default: 3.10 if there is one, on PATH or from pyenv)
  --help           this text
EOF
}

fail() { # message, exit status
  echo "setup.sh: $1" >&2
  exit "${2:-2}"
}

# Prints '3.10' for a Python that really runs (a pyenv shim may not) and can make environments, else nothing.
python_version() {
  "$1" -c 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])' 2>/dev/null </dev/null || true
}

# Prints the path of the first usable Python among the given versions: PATH first, then pyenv's own folders.
find_python() {
  local version candidate
  for version in "$@"; do
    for candidate in $(type -aP "python$version" python3 python || true) \
      "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$version"*/bin/python; do
      if [ -x "$candidate" ] && [ "$(python_version "$candidate")" = "$version" ]; then
        echo "$candidate"
        return
      fi
    done
  done
}

main() {
  local paddle=2 device='' extras='' python=''
  while [ $# -gt 0 ]; do
    case $1 in
      --paddle | --extras | --python)
        [ $# -gt 1 ] || fail "$1 needs a value; see --help"
        printf -v "${1#--}" %s "$2"
        shift
        ;;
      --paddle=* | --extras=* | --python=*)
        set -- "${1%%=*}" "${1#*=}" "${@:2}"
        continue
        ;;
      --gpu | --cpu) device=${1#--} ;;
      -h | --help) usage && exit 0 ;;
      *) fail "unknown option '$1'; see --help" ;;
    esac
    shift
  done

  local venv versions
  case $paddle in
    2) venv=$ROOT/.venv versions=$PYTHONS_2 ;;
    3) venv=$ROOT/.venv-paddle3 versions=$PYTHONS_3 ;;
    *) fail "--paddle takes 2 or 3, not '$paddle'" ;;
  esac
  [ "$paddle$device" != 3gpu ] || fail "GPU builds of PaddlePaddle 3 are not on the package registry; use --paddle 2 --gpu"

  local extra lists=(base "paddle$paddle" dev)
  for extra in ${extras//,/ }; do
    [ -f "$LISTS/extra-$extra.txt" ] || fail "unknown extra '$extra'; there are: openvino, lite, develop"
  done
  if [ "$paddle" = 2 ]; then
    if [ -z "$device" ] && compgen -G "$venv/lib/python3.*/site-packages/paddlepaddle_gpu-*.dist-info" >/dev/null; then
      device=gpu
    fi
    [ "$device" != gpu ] || lists=(base paddle2-gpu dev)
  fi

  # An environment that runs, and was not moved here from another folder, keeps its Python.
  local version='' wanted=''
  if [ -n "$python" ]; then
    wanted=$(python_version "$python")
    [ -n "$wanted" ] || fail "$python does not run, or lacks the venv module"
  fi
  if grep -qsF "$venv/bin/" "$venv/bin/pip" && "$venv/bin/python" -c 'import pip._internal' 2>/dev/null; then
    version=$(python_version "$venv/bin/python")
  fi
  [ -z "$wanted" ] || [ "$wanted" = "$version" ] || version=''
  if [[ " $versions " != *" ${version:-none} "* ]]; then
    version=''
    [ ! -L "$venv" ] || fail "$venv is a link to another folder, which would be emptied; remove the link"
    # shellcheck disable=SC2086  # a list of words
    [ -n "$python" ] || python=$(find_python $versions)
    [ -n "$python" ] || fail "no usable Python: Paddle $paddle needs one of ${versions// /, } with its venv module, on PATH or under pyenv"
    wanted=$(python_version "$python")
    [[ " $versions " == *" $wanted "* ]] || fail "$python is Python $wanted; Paddle $paddle needs one of ${versions// /, }"
  fi

  local stamp=$venv/.ppdet-ext-setup state
  state="python ${version:-$wanted} ${lists[*]} $(cd "$LISTS" && cat "${lists[@]/%/.txt}" no-deps.txt ../../setup.py | cksum)"
  if [ -n "$version" ] && [ -x "$venv/bin/ppdet-ext" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then
    [ -z "$extras" ] || install_extras
    echo "setup.sh: ${venv##*/} is up to date (Python $version, ${lists[1]})"
    return
  fi

  trap '[ $? = 0 ] || echo "setup.sh: stopped while $STAGE; run it again to go on from there" >&2' EXIT
  if command -v flock >/dev/null; then # two at once would tear the environment
    exec 9>"$venv.lock"
    flock 9
  fi

  if [ "${version:-$wanted}" != 3.10 ]; then
    echo "setup.sh: Python ${version:-$wanted}, not 3.10: all but Paddle Lite, which has wheels for 3.8 and 3.10 only"
  fi
  if [ -z "$version" ]; then
    STAGE="making ${venv##*/}"
    step 1 "$STAGE with $python (Python $wanted)"
    "$python" -m venv --clear "$venv"
    version=$wanted
  else
    step 1 "keeping ${venv##*/} (Python $version)"
    rm -f "$stamp"
    drop_torn_packages
  fi

  STAGE="installing PaddlePaddle and what goes with it"
  step 2 "$STAGE (1.5 GB on disk, some minutes the first time)"
  drop_other_paddle
  local list requirements=()
  for list in "${lists[@]}"; do requirements+=(-r "$LISTS/$list.txt"); done
  pip_install "${requirements[@]}"
  STAGE="installing ppdet and PaddleSlim"
  step 3 "$STAGE"
  pip_install --no-deps -r "$LISTS/no-deps.txt"
  STAGE="installing this project"
  step 4 "$STAGE"
  pip_install --no-deps --no-build-isolation -e "$ROOT"
  STAGE="importing what was installed"
  step 5 "$STAGE"
  try_imports
  [ -z "$extras" ] || install_extras
  echo "$state" >"$stamp"
  trap - EXIT
  echo "setup.sh: ready. Use ${venv##*/}/bin/ppdet-ext, or: source ${venv##*/}/bin/activate"
}

step() { echo "[$1/5] $2"; }

# On a terminal pip shows its own progress bars; in a log only what goes wrong.
pip_install() {
  local quiet=-qq
  [ ! -t 1 ] || quiet=--no-input
  "$venv/bin/python" -m pip --disable-pip-version-check install --no-warn-conflicts "$quiet" "$@"
}

# An install that was cut off leaves metadata without a RECORD, which pip takes for an installed package.
drop_torn_packages() {
  local info
  for info in "$venv"/lib/python3.*/site-packages/*.dist-info; do
    [ -f "$info/RECORD" ] || rm -rf "$info"
  done
  rm -rf "$venv"/lib/python3.*/site-packages/~*
}

# The CPU and the GPU build put their files in the same folder: one must leave before the other comes.
drop_other_paddle() {
  local other=paddlepaddle-gpu
  [ "${lists[1]}" != paddle2-gpu ] || other=paddlepaddle
  if compgen -G "$venv/lib/python3.*/site-packages/${other//-/_}-[0-9]*.dist-info" >/dev/null; then
    "$venv/bin/python" -m pip --disable-pip-version-check uninstall -q -y paddlepaddle paddlepaddle-gpu
  fi
}

install_extras() {
  local extra
  for extra in ${extras//,/ }; do
    STAGE="installing the extra '$extra'"
    [ "$extra" != lite ] || [[ "$version" =~ ^3\.(8|10)$ ]] ||
      fail "Paddle Lite has wheels for Python 3.8 and 3.10 only, ${venv##*/} has $version; add --python with one of those"
    [ "$extra" = lite ] || [[ ! "$version" =~ ^3\.[89]$ ]] ||
      fail "the extra '$extra' is for Python 3.10 and newer, ${venv##*/} has $version; add --python with one of those"
    echo "setup.sh: $STAGE"
    local deps=''
    [ "$extra" != develop ] || deps=--no-deps # imgaug asks for a second OpenCV
    # shellcheck disable=SC2086  # an option or nothing
    pip_install $deps -r "$LISTS/extra-$extra.txt"
  done
}

try_imports() {
  local log
  if ! log=$(cd "$venv" && bin/python -c "import $IMPORTS" 2>&1); then
    tail -n 15 <<<"$log" >&2
    return 1
  fi
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then # sourced, it only lends its functions
  main "$@"
fi
