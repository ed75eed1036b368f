#!/usr/bin/env bash
# From an empty machine to a trained detector, its COCO AP, an ONNX model and a picture: output/demo/.
# Arguments go to 'ppdet-ext demo', for example: bash scripts/demo.sh -o epoch=20
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh
exec .venv/bin/ppdet-ext demo "$@"
