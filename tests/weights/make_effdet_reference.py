"""Makes what tests/weights/reference holds of effdet, in a Python that has torch, timm and effdet:

    python tests/weights/make_effdet_reference.py

What is kept is names, shapes and numbers: of narrow networks the BatchNorm statistics and outputs (their
weights come out of a generator, see `random_weights`), and the names of the published ones.
"""

import json
import lzma
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from benchmarks.efficientdet_reference import build, outputs, random_weights  # noqa: E402
from benchmarks.random_reference import random_image, randomise  # noqa: E402

FOLDER = HERE / "reference"
CLASSES, SEED = 3, 7
WIDTH, DEPTH = 0.25, 0.5
SMALL = {"fpn_channels": 12, "fpn_cell_repeats": 2, "box_class_repeats": 2, "num_scales": 1}
# name: whose narrow form it is, side of the image. 96 leaves coarse levels of odd sides.
NARROW = {"d0": ("tf_efficientdet_d0", 128), "d7x": ("tf_efficientdet_d7x", 96)}
# D7 has the names of D6.
SIZES = ("0", "1", "2", "3", "4", "5", "6", "7x")
LISTED = (*(f"tf_efficientdet_d{size}" for size in SIZES), "tf_efficientdet_lite0", "efficientdet_d0")


def shapes(network):
    return {key: list(value.shape) for key, value in network.state_dict().items()}


def make_narrow(name):
    whose, size = NARROW[name]
    changes = dict(SMALL)
    if name == "d7x":
        changes.update(max_level=8, num_levels=6)
    network = build(whose, size, CLASSES, changes, WIDTH, DEPTH)
    image = random_image(1, size, SEED)
    randomise(network, random_weights, image, SEED)
    statistics = [value.numpy().ravel() for key, value in network.state_dict().items() if "running" in key]
    np.savez_compressed(
        FOLDER / f"effdet_{name}.npz",
        shapes=json.dumps(shapes(network)),
        statistics=np.concatenate(statistics),
        **outputs(network, image),
    )


def main():
    for name in NARROW:
        make_narrow(name)
    listed = {name: shapes(build(name, 256)) for name in LISTED}
    text = json.dumps(listed)
    packed = lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)
    (FOLDER / "effdet_names.json.xz").write_bytes(packed)


if __name__ == "__main__":
    main()
