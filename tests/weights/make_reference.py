"""Makes what tests/weights/reference holds, in a Python that has torch:

    python tests/weights/make_reference.py 0.4=YOLOv6 0.3=YOLOv6-0.3 0.2=YOLOv6-0.2

Checkouts of meituan/YOLOv6 (GPL-3.0), by the release whose names they write. What is kept is names, shapes
and numbers: of narrow networks the BatchNorm statistics and outputs (their weights come out of a generator,
see `random_weights`), and the names of the published ones. Each network has a process of its own.
"""

import json
import lzma
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from benchmarks.random_reference import random_image, randomise  # noqa: E402
from benchmarks.yolov6_reference import build, deploy, outputs, random_weights  # noqa: E402

FOLDER = HERE / "reference"
CLASSES, SEED = 3, 7
DISTILLED = {"distill_ns": True}
# name: release, config, branches of training only, side of the image, width and depth.
NARROW = {
    "n": ("0.4", "configs/yolov6n.py", {}, 64, 0.0625, 0.33),
    "m": ("0.4", "configs/yolov6m.py", {}, 64, 0.125, 0.2),
    "l": ("0.4", "configs/yolov6l.py", {}, 64, 0.0625, 0.2),
    "n6": ("0.4", "configs/yolov6n6.py", {}, 128, 0.0625, 0.2),
    "l_0.3": ("0.3", "configs/yolov6l.py", {}, 64, 0.0625, 0.2),
    "v2_n": ("0.2", "configs/yolov6n.py", {}, 64, 0.0625, 0.33),
    "n_distilled": ("0.4", "configs/yolov6n.py", DISTILLED, 64, 0.0625, 0.2),
    "n_distilled_0.3": ("0.3", "configs/yolov6n.py", DISTILLED, 64, 0.0625, 0.2),
}
# name: release, config, branches of training only. Where it has no such branches, the names of the deployed
# network are listed, too.
LISTED = {
    **{f"{size} 0.4": ("0.4", f"configs/yolov6{size}.py", {}) for size in ("n", "m", "l", "n6", "m6", "l6")},
    **{f"{size} 0.3": ("0.3", f"configs/yolov6{size}.py", {}) for size in ("n", "m", "l", "n6", "m6", "l6")},
    **{f"v2_{size} 0.2": ("0.2", f"configs/yolov6{size}.py", {}) for size in ("n", "s", "m", "l")},
    "n 0.4 anchor-aided": ("0.4", "configs/yolov6n.py", {"fuse_ab": True}),
    "m 0.4 anchor-aided": ("0.4", "configs/yolov6m.py", {"fuse_ab": True}),
    "n 0.4 distilled": ("0.4", "configs/yolov6n.py", DISTILLED),
    "n 0.3 distilled": ("0.3", "configs/yolov6n.py", DISTILLED),
}


def with_branches(checkout, config, branches, classes=80, **scale):
    """A network; a distilled head predicts distributions, too."""
    head = {"use_dfl": True, "reg_max": 16} if branches == DISTILLED else {}
    return build(checkout, config, classes, {**scale, "head": head}, **branches)


def make_narrow(checkout, name):
    _, config, branches, size, width, depth = NARROW[name]
    network = with_branches(checkout, config, branches, CLASSES, width_multiple=width, depth_multiple=depth)
    image = random_image(1, size, SEED)
    randomise(network, random_weights, image, SEED)
    state = network.state_dict()
    statistics = [value.numpy().ravel() for key, value in state.items() if "running" in key]
    np.savez_compressed(
        FOLDER / f"narrow_{name}.npz",
        shapes=json.dumps(shapes(network)),
        statistics=np.concatenate(statistics),
        **outputs(network, image),
    )


def list_names(checkout, name):
    """The names and shapes of a network, as it learns and deployed."""
    _, config, branches = LISTED[name]
    network = with_branches(checkout, config, branches)
    listed = {name: shapes(network)}
    if not branches:
        listed[f"{name} deployed"] = shapes(deploy(network))
    return listed


def shapes(network):
    return {key: list(value.shape) for key, value in network.state_dict().items()}


def make_torch_files():
    """State dicts as torch itself writes them, and a module that it pickles."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    shared = {
        "half": torch.tensor([0.5, -2.0, 65504.0]).half(),
        "double": torch.tensor([[1.0], [1e-300]], dtype=torch.float64),
        "transposed": base.t(),
        "part": base[1:3, 2:5],
        "parameter": torch.nn.Parameter(torch.ones(2, 1, 1, 1)),
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }
    torch.save(shared, FOLDER / "tensors.pt")
    layer = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
    torch.save(layer.state_dict(), FOLDER / "layers.pt")
    torch.save({"bfloat": torch.ones(2).bfloat16()}, FOLDER / "bfloat16.pt")
    torch.save({"epoch": 3, "model": layer.half()}, FOLDER / "module.pt")


def main():
    checkouts = dict(entry.split("=", 1) for entry in sys.argv[1:])
    FOLDER.mkdir(exist_ok=True)
    make_torch_files()
    listed = {}
    for name, (release, *_) in {**NARROW, **LISTED}.items():
        command = [sys.executable, __file__, "--one", name, checkouts[release]]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        if name in LISTED:
            listed.update(json.loads(done.stdout.splitlines()[-1]))
        print(name, flush=True)
    text = json.dumps(listed)
    (FOLDER / "names.json.xz").write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        _, _, name, checkout = sys.argv
        if name in NARROW:
            make_narrow(checkout, name)
        else:
            print(json.dumps(list_names(checkout, name)))
    else:
        main()
