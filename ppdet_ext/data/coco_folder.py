"""COCO datasets as folders: which file is which part, and where its pictures are."""

import os
import re
from pathlib import Path

from .coco_records import some
from .pictures import files_below

# Words in the names of files and folders that say which part they are.
WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
# A file of COCO instances has one of its lists near its beginning.
LISTS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')
BEGINNING = 1 << 16
# So many names of pictures are looked up to find their folder.
TRIED = 50


def part_of(name):
    """The part that a name says: 'train' of instances_train2017, 'val' of valid; None of trainval."""
    words = re.findall("[a-z]+", name.lower())
    return next((part for part, known in WORDS.items() if any(word in known for word in words)), None)


def coco_files(folder):
    """Annotation files in the places where COCO datasets have them, by the part that they are.

    The places: the folder, its ``annotations/``, and its folders of parts (Roboflow's
    ``train/_annotations.coco.json``). Of files named ``instances_*`` and others only the first count.

    Args:
        folder (str | Path)

    Returns:
        dict[str, list[Path]]: 'train', 'val', 'test', and 'all' for files that say nothing of a part; {}
        where there is none.
    """
    folder = Path(folder)
    places = [folder, *(path for path in sorted(folder.iterdir()) if path.is_dir() and _may_hold(path.name))]
    files = [file for place in places for file in sorted(place.glob("*.json")) if _is_instances(file)]
    official = [file for file in files if file.stem.lower().startswith("instances")]
    found = {}
    for file in official or files:
        above = None if file.parent == folder else part_of(file.parent.name)
        found.setdefault(part_of(file.stem) or above or "all", []).append(file)
    return found


def _may_hold(name):
    return name.lower() == "annotations" or part_of(name) is not None


def _is_instances(path):
    if path.name.startswith("."):
        return False
    with open(path, "rb") as file:
        return LISTS.search(file.read(BEGINNING)) is not None


def coco_parts(folder):
    """The annotation files to train and to evaluate on.

    Args:
        folder (str | Path)

    Returns:
        tuple(Path, Path | None): without a validation part, None; a file that is no part stands for the
        training part then.

    Raises:
        ValueError: several files could be a part, or there is none to train on.
    """
    found = coco_files(folder)
    train = found.get("train") or ([] if "val" in found else found.get("all", []))
    for part, files in (("train", train), ("val", found.get("val", []))):
        if len(files) > 1:
            names = (os.path.relpath(file, folder) for file in files)
            raise ValueError(
                f"{folder}: several COCO files could be the part '{part}': {some(names)}; keep one in the "
                "folder, or name them in a config's anno_path"
            )
    if not train:
        names = [os.path.relpath(file, folder) for files in found.values() for file in files]
        raise ValueError(
            f"{folder}: no COCO file to train on, only {some(names)}; name one train.json or "
            "instances_train.json"
        )
    return train[0], next(iter(found.get("val", [])), None)


def find_images(dataset, anno, folder):
    """The folder that the names of a COCO file's pictures count from.

    Args:
        dataset (dict): COCO instances.
        anno (Path): their file; a folder named like its part is preferred.
        folder (str | Path): root of the dataset.

    Returns:
        Path: the root, or a folder below it.

    Raises:
        ValueError: the file names no picture, or none that is below the root.
    """
    names = [os.path.normpath(str(image["file_name"])) for image in dataset["images"]]
    if not names:
        raise ValueError(f"{anno}: lists no images")
    names = names[:: -(-len(names) // TRIED)]
    folder = Path(folder)
    if any(map(os.path.isabs, names)):
        return folder
    ends = tuple(f"/{Path(name).as_posix()}" for name in names)
    below = [f"/{file}" for file in files_below(folder)]
    places = {
        file[: -len(end)] for file in below if file.endswith(ends) for end in ends if file.endswith(end)
    }
    if not places:
        raise ValueError(
            f"{anno}: names the picture {names[0]}, which is nowhere in {folder}; put the pictures there, as "
            "in images/"
        )
    part, present = part_of(anno.stem) or part_of(anno.parent.name), set(below)

    def fits(place):
        said = part is not None and part in map(part_of, place.split("/"))
        return sum(place + end in present for end in ends), said, -place.count("/")

    return folder / max(sorted(places), key=fits).lstrip("/")
