"""The models of configs/ by name, and what each of their files says of the network alone."""

import os
from pathlib import Path
from typing import List, NamedTuple

import yaml

from .config import BASE_KEY, check_tags
from .nearest import choice

# Files of models are named so: MODEL_coco.yml.
SUFFIX = "_coco"
AUTO = Path("_base_", "schedules", "auto.yml")
READERS = ("TrainReader", "EvalReader", "TestReader")
# What belongs to a training on COCO, not to the network.
OF_THE_RUN = (
    "weights",
    "log_iter",
    "snapshot_epoch",
    "epoch",
    "lr_reference",
    "LearningRate",
    "OptimizerBuilder",
)


class Model(NamedTuple):
    """
    Args:
        name (str)
        file (Path): its config for COCO.
        bases (list[Path]): files under _base_ that it builds on, without schedule and dataset.
        keys (dict): what it says beyond them, without what belongs to a training on COCO.
        readers (dict): its readers as they are with their bases, by READERS.
        stride (int): pixels; sides of its input are multiples of it.
    """

    name: str
    file: Path
    bases: List[Path]
    keys: dict
    readers: dict
    stride: int

    @property
    def size(self):
        """Side of its input, pixels."""
        return self.readers["TestReader"]["inputs_def"]["image_shape"][1]


def configs_folder():
    """configs/ of the current folder, or else of the checkout that this package lies in.

    Returns:
        Path

    Raises:
        ValueError: neither is there: an installed package comes without.
    """
    for folder in (Path("configs"), Path(__file__).resolve().parents[1] / "configs"):
        if (folder / AUTO).is_file():
            return folder
    raise ValueError(
        f"{AUTO.parts[0]}: no configs/ with such a folder here; run this from the root of the repository"
    )


def model_files(configs):
    """The models of configs/.

    Args:
        configs (Path)

    Returns:
        dict[str, Path]: file by name, sorted: 'ppyoloe_plus_s' is configs/ppyoloe/ppyoloe_plus_s_coco.yml.
    """
    files = {file.stem[: -len(SUFFIX)]: file for file in configs.glob(f"*/*{SUFFIX}.yml")}
    return dict(sorted(files.items()))


def find_model(name, configs):
    """Reads a model's file.

    Args:
        name (str): with or without '_coco'.
        configs (Path)

    Returns:
        Model

    Raises:
        ValueError: there is none of this name; the nearest is named.
    """
    files = model_files(configs)
    known = name[: -len(SUFFIX)] if name.endswith(SUFFIX) else name
    if known not in files:
        raise ValueError(f"--model {name}: no such model in {configs}; {choice(known, files)}")
    whole = check_tags(str(files[known]))
    bases, keys = _own(files[known])
    strides = [s["fpn_strides"] for s in whole.values() if isinstance(s, dict) and "fpn_strides" in s]
    readers = {reader: whole[reader] for reader in READERS}
    return Model(known, files[known], bases, keys, readers, max(map(max, strides)))


def _own(file):
    """(_base_ files, keys) of a model's file and of the models that it builds on."""
    from ppdet.core.workspace import dict_merge

    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    bases, keys = [], {}
    for name in content.pop(BASE_KEY):
        base = Path(os.path.normpath(file.parent / name))
        if "_base_" not in base.parts:
            below = _own(base)
            bases += below[0]
            dict_merge(keys, below[1])
        elif base.parent.name not in ("schedules", "datasets"):
            bases.append(base)
    dict_merge(keys, {key: value for key, value in content.items() if key not in OF_THE_RUN})
    return bases, keys
