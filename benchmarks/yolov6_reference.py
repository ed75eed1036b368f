"""The other side of `yolov6_parity.py`: one network of a YOLOv6 checkout, with random weights.

    python yolov6_reference.py JOB        a JSON object, see `main`

It runs in a Python that has torch, and needs nothing of ppdet_ext. YOLOv6 is GPL-3.0: it is run where it
stands, and nothing of it is here but the names of what is called.
"""

import importlib
import importlib.abc
import importlib.machinery
import json
import math
import os
import runpy
import sys
import types

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks.random_reference import random_image, randomise  # noqa: E402

# What a network is scaled to, so that maps are of order one and scores neither all 0 nor all 1.
LOGIT_BIAS, DISTANCE_BIAS = -2.0, 2.0


class Section(dict):
    """A mapping of a config, with its keys as attributes."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def section(value):
    if isinstance(value, dict):
        return Section({key: section(entry) for key, entry in value.items()})
    return [section(entry) for entry in value] if isinstance(value, (list, tuple)) else value


class Absent(types.ModuleType):
    """Stands for a package that is imported but not needed to build a network; each name in it, too."""

    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(name)

    def __call__(self, *args, **kwargs):
        return self

    def __ge__(self, other):  # a version, which is at least another
        return True


class AbsentPackages(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The last finder: whatever no other finds, but for the reference's own modules, is Absent."""

    def find_spec(self, name, path=None, target=None):
        known = name.split(".")[0] in ("yolov6", "torch", "numpy")
        return None if known else importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec):
        return Absent(spec.name)

    def exec_module(self, module):
        pass


def build(checkout, config, classes=80, model=None, **branches):
    """A network of a checkout, in evaluation.

    Args:
        checkout (str): a folder of meituan/YOLOv6, release 0.2 or newer.
        config (str): of it, such as 'configs/yolov6n.py'.
        classes (int): of the head.
        model (dict | None): merged over the config's `model`.
        branches (bool): `fuse_ab` or `distill_ns`, for the head's branches of training only.
    """
    import torch
    import torch.onnx  # which looks for packages of its own

    sys.path.insert(0, checkout)
    if not any(isinstance(finder, AbsentPackages) for finder in sys.meta_path):
        sys.meta_path.append(AbsentPackages())
        for name in ("torch.utils.tensorboard", "pkg_resources"):  # there, perhaps, without what they import
            sys.modules[name] = Absent(name)
    torch.set_num_threads(2)
    settings = runpy.run_path(os.path.join(checkout, config))
    merged = {**settings["model"]}
    for key, value in (model or {}).items():
        merged[key] = {**merged[key], **value} if isinstance(value, dict) else value
    cfg = Section(model=section(merged), training_mode=settings.get("training_mode", "repvgg"))
    build_model = importlib.import_module("yolov6.models.yolo").build_model
    return build_model(cfg, classes, "cpu", **branches).eval()


def random_weights(shapes, seed):
    """Weights of a state dict but for BatchNorms' statistics; the same ones for ever (NumPy's RandomState).

    Args:
        shapes (dict): {name: shape} of a network in training form, in its order.
        seed (int): of the generator.

    Returns:
        dict[str, ndarray]: float32.
    """
    random = np.random.RandomState(seed)
    weights = {}
    for name, shape in shapes.items():
        if "num_batches" in name or "running" in name or ".proj" in name:
            continue
        if len(shape) == 4:
            # A transposed convolution of stride 2 sums over its inputs, [Cin, Cout, 2, 2], once.
            inputs = shape[0] if "transpose" in name else math.prod(shape[1:])
            value = random.standard_normal(shape) / math.sqrt(inputs)
        elif name.endswith("alpha"):
            value = random.uniform(0.5, 1.5, shape)
        elif name.endswith("weight"):
            # Of a BatchNorm: near zero an activation is nearly linear, and a deep random network not chaotic.
            value = random.uniform(0.3, 0.8, shape)
        else:
            start = LOGIT_BIAS if "cls_preds" in name else 0.0
            start = DISTANCE_BIAS if "reg_preds" in name and shape[0] == 4 else start
            value = start + random.standard_normal(shape) * 0.3
        weights[name] = value.astype("float32")
    return weights


def outputs(network, image):
    """Maps of backbone and neck, finest first, and the head's rows: 'backbone0', ..., 'neck0', ..., 'out'."""
    import torch

    found = {}

    def record(name):
        def hook(part, inputs, maps):
            found.update({f"{name}{i}": value.numpy() for i, value in enumerate(maps)})

        return hook

    hooks = [getattr(network, part).register_forward_hook(record(part)) for part in ("backbone", "neck")]
    with torch.no_grad():
        result = network(torch.from_numpy(image))
    for hook in hooks:
        hook.remove()
    found["out"] = (result[0] if isinstance(result, (list, tuple)) else result).numpy()
    return {name: value.copy() for name, value in found.items()}


def costs(network, size):
    """Parameters, and multiply-accumulates of (transposed) convolutions at a size."""
    import torch

    total = 0

    def count(part, inputs, output):
        nonlocal total
        transposed = isinstance(part, torch.nn.ConvTranspose2d)
        total += (inputs[0] if transposed else output).numel() * math.prod(part.weight.shape[1:])

    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    hooks = [part.register_forward_hook(count) for part in network.modules() if isinstance(part, kinds)]
    with torch.no_grad():
        network(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return {"parameters": sum(value.numel() for value in network.parameters()), "macs": total}


def deploy(network):
    """Fuses BatchNorms and branches in place, as the reference does before it infers."""
    import torch

    with torch.no_grad():
        network = importlib.import_module("yolov6.utils.torch_utils").fuse_model(network)
        for part in network.modules():
            if hasattr(part, "switch_to_deploy"):
                part.switch_to_deploy()
    return network


def main(job):
    """Writes training.pt, deployed.pt (state dicts), training.npz, deployed.npz (outputs), costs.json.

    Args:
        job (dict): 'checkout', 'config', 'folder' (exists), 'size' (of the image), 'seed', 'cost_size'.
    """
    import torch

    network = build(job["checkout"], job["config"])
    image = random_image(2, job["size"], job["seed"])
    randomise(network, random_weights, image, job["seed"])
    found = {}
    for form in ("training", "deployed"):
        if form == "deployed":
            network = deploy(network)
        torch.save(network.state_dict(), os.path.join(job["folder"], form + ".pt"))
        np.savez(os.path.join(job["folder"], form + ".npz"), image=image, **outputs(network, image))
        found[form] = costs(network, job["cost_size"])
    with open(os.path.join(job["folder"], "costs.json"), "w", encoding="utf-8") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
