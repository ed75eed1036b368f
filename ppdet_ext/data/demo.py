"""The demo set: a small COCO dataset of handwritten digits, made on the spot, without a download.

dataset/demo/
  demo.json                 parameters it was made with; its presence says the set is complete
  annotations/train.json    COCO instances, ten categories '0'..'9' with ids 1..10
  annotations/val.json
  images/train/000001.jpg   ...
  images/val/000001.jpg     ...
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from .digit_scenes import draw_scene, split_digits

MANIFEST = "demo.json"
# Raised whenever the same parameters would give other bytes.
VERSION = 2
SPLITS = ("train", "val")
# The scans have 8 rows: below this a small digit has fewer pixels than its scan.
MIN_SIZE = 64
JPEG_QUALITY = 95


def make_demo(root, size=128, train=1500, val=200, seed=0, progress=True):
    """Make the demo set, or keep the one that is already there.

    The images of both splits are composed from disjoint sets of real handwritten digits, so that the score on
    `val` is one on unseen handwriting. The same parameters give the same bytes. The set is written beside
    `root` and renamed at the end: a folder that carries the manifest is complete.

    Args:
        root (str | Path): folder of the dataset.
        size (int): side of the square scenes, pixels.
        train (int): images for training.
        val (int): images for validation.
        seed (int): 0 or more.
        progress (bool): show a bar.

    Returns:
        bool: True when the set was made, False when an identical one was kept.

    Raises:
        ValueError: a parameter is out of range, or `root` holds something else.
    """
    for name, value, least in (
        ("size", size, MIN_SIZE),
        ("train", train, 1),
        ("val", val, 1),
        ("seed", seed, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"demo data: {name} is {value!r}; give a whole number from {least} up")
    root = Path(root)
    manifest = {
        "dataset": "ppdet_ext demo digits",
        "version": VERSION,
        "size": int(size),
        "train": int(train),
        "val": int(val),
        "seed": int(seed),
    }
    if _is_kept(root, manifest):
        return False
    root.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        pools = split_digits(seed=seed)
        with tqdm(
            total=train + val, desc="demo scenes", unit="img", disable=None if progress else True
        ) as bar:
            for number, (split, count) in enumerate(zip(SPLITS, (train, val))):
                _write_split(folder, split, count, pools[split], size, [seed, number + 1], bar)
        _write_json(folder / MANIFEST, manifest)
        folder.chmod(0o755)  # mkdtemp makes private folders
        if root.exists():
            root.rmdir()  # _is_kept let it pass: it is empty
        os.replace(folder, root)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return True


def _is_kept(root, manifest):
    """True when `root` is the very set, False when the place is free; ValueError for anything else."""
    if not root.exists():
        return False
    if not root.is_dir():
        raise ValueError(f"{root}: is a file; choose another folder for the demo data")
    if not any(root.iterdir()):
        return False
    try:
        found = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("dataset") != manifest["dataset"]:
        raise ValueError(f"{root}: holds files that are not the demo data; choose another folder")
    different = [
        f"{key} {found.get(key)} instead of {value}"
        for key, value in manifest.items()
        if found.get(key) != value
    ]
    if different:
        raise ValueError(
            f"{root}: holds a demo set with {', '.join(different)}; remove it or choose another folder"
        )
    for split in SPLITS:
        images = len(list((root / "images" / split).glob("*.jpg")))
        if images != manifest[split] or not (root / "annotations" / f"{split}.json").is_file():
            raise ValueError(
                f"{root}: the demo set has lost files of its {split} split; remove it and make it again"
            )
    return True


def _write_split(folder, split, count, pool, size, seed, bar):
    """Write the pictures and the annotations of one split."""
    image_dir = folder / "images" / split
    image_dir.mkdir(parents=True)
    images, annotations = [], []
    for image_id in range(1, count + 1):
        # A generator for each scene: scene 7 is the same in a set of 10 and of 1500.
        image, boxes, labels = draw_scene(np.random.default_rng([*seed, image_id]), pool, size)
        file_name = f"{image_id:06d}.jpg"
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        (image_dir / file_name).write_bytes(data.tobytes())
        images.append({"id": image_id, "file_name": file_name, "width": size, "height": size, "license": 1})
        for (x0, y0, x1, y1), label in zip(boxes.tolist(), labels.tolist()):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": label + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                    "segmentation": [],
                }
            )
        bar.update()
    (folder / "annotations").mkdir(exist_ok=True)
    _write_json(
        folder / "annotations" / f"{split}.json",
        {
            "info": {
                "description": f"handwritten digits in synthetic scenes, {split}",
                "version": str(VERSION),
            },
            "licenses": [
                {
                    "id": 1,
                    "name": "CC BY 4.0 (digit scans: UCI optdigits)",
                    "url": "https://creativecommons.org/licenses/by/4.0/",
                }
            ],
            "images": images,
            "annotations": annotations,
            "categories": [
                {"id": label + 1, "name": str(label), "supercategory": "digit"} for label in range(10)
            ],
        },
    )


def _write_json(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
