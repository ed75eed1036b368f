"""What a YOLO dataset says of itself: data.yaml, classes.txt and the like."""

from pathlib import Path
from typing import Dict, List, NamedTuple

import yaml

from .labels import checked_names, read_labels, read_text

YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
TEXT_NAMES = ("classes.txt", "labels/classes.txt", "obj.names")


class Settings(NamedTuple):
    """
    Args:
        names (list[str]): classes, in the order of their numbers.
        source (str): where they are named.
        splits (dict[str, list[Path]]): folders and lists of pictures, by split.
        keypoints (int): columns of keypoints behind a box.
    """

    names: List[str]
    source: str
    splits: Dict[str, List[Path]]
    keypoints: int


def read_settings(root, names=None):
    """Reads what describes the dataset in a folder.

    Args:
        root (Path): the folder.
        names (list[str] | None): classes, if not to be taken from the dataset.

    Returns:
        Settings

    Raises:
        ValueError: no file names the classes; the file is no YAML, its 'nc' and 'names' disagree, or a split
            is no path.
    """
    content, splits, keypoints = {}, {}, 0
    path = find_yaml(root)
    if path:
        content = _load(path)
        base = root / content["path"] if isinstance(content.get("path"), str) else root
        for split in ("train", "val", "test"):
            entries = content.get(split)
            if entries:
                entries = entries if isinstance(entries, list) else [entries]
                splits[split] = [_locate(entry, (base, root), path, split) for entry in entries]
        if "kpt_shape" in content:
            keypoints = _keypoints(content["kpt_shape"], path)
    if names is not None:
        return Settings(names, "the list of labels", splits, keypoints)
    if "names" in content:
        return Settings(_names(content, path), str(path), splits, keypoints)
    text = next((root / name for name in TEXT_NAMES if (root / name).is_file()), None)
    if text is None:
        raise ValueError(
            f"{root}: no {', '.join(('data.yaml', *TEXT_NAMES))} names the classes; give a list of labels"
        )
    return Settings(read_labels(text), str(text), splits, keypoints)


def find_yaml(root):
    """data.yaml or another YAML file in the folder that names classes, or None."""
    usual = [root / name for name in YAML_NAMES if (root / name).is_file()]
    others = (file for file in sorted(root.glob("*.y*ml")) if "names" in _load(file))
    return next(iter(usual), None) or next(others, None)


def _load(path):
    """The YAML with every value as text: a class may be called 'no' or '007'."""
    try:
        content = yaml.load(read_text(path), Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: is no YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: has no keys; it needs 'names' at least")
    return content


def _names(content, path):
    """The classes in the order of their numbers; YOLO writes a list, or a table from number to name."""
    names = content["names"]
    if isinstance(names, dict):
        try:
            numbered = {int(number): name for number, name in names.items()}
            names = [numbered[number] for number in range(len(names))]
        except (KeyError, ValueError):
            raise ValueError(f"{path}: 'names' must number the classes 0, 1, 2, ... without a gap") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{path}: 'names' must list the classes")
    if content.get("nc", str(len(names))) != str(len(names)):
        raise ValueError(f"{path}: nc is {content['nc']}, but names has {len(names)} classes; correct one")
    return checked_names([name.strip() for name in names], path)


def _keypoints(shape, path):
    try:
        points, columns = map(int, shape if isinstance(shape, list) else [])
        return points * columns
    except (TypeError, ValueError):
        raise ValueError(f"{path}: kpt_shape is {shape}; it must be [points, 2 or 3]") from None


def _locate(entry, bases, path, split):
    """A folder or list of a split; some exporters write '../train/images' where 'train/images' is meant."""
    if isinstance(entry, str):
        here = entry.replace("\\", "/")
        while here.startswith("../"):
            here = here[3:]
        for candidate in (*(base / entry for base in bases), *(base / here for base in bases)):
            if candidate.exists():
                return candidate
    # Said only when it is asked for: a set often comes without the pictures of another split.
    return Path(path.parent / str(entry))
