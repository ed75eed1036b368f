"""A small dataset in which a check finds nothing, and what can go wrong with one."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np

from ppdet_ext.cli import main

WIDTH, HEIGHT, IMAGES, BOXES = 64, 48, 8, 3
NAMES = ("cat", "dog")


def picture(seed):
    """[48, 64, 3] uint8: blocks that no other seed has."""
    blocks = np.random.RandomState(seed).randint(0, 256, [6, 8, 3], np.uint8)
    return cv2.resize(blocks, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)


def make_set(folder, name="train", seed=0):
    """Writes `{name}.json` and `images/{name}_*.jpg`; returns the content of the file."""
    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(1, IMAGES + 1):
        file_name = f"{name}_{number}.jpg"
        cv2.imwrite(str(folder / "images" / file_name), picture(100 * seed + number))
        images.append({"id": number, "file_name": file_name, "width": WIDTH, "height": HEIGHT})
        for box in range(BOXES):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1 + len(annotations) % 2,
                    "bbox": [4 + 18 * box, 5 + box, 12, 10 + box],
                    "area": 12 * (10 + box),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES, 1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    write(folder, content, name)
    return content


def write(folder, content, name="train"):
    (Path(folder) / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def fingerprints(folder):
    """What every file of a folder holds."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def check(folder, *options, anno="train.json"):
    """Runs `ppdet-ext data check` on a set: the exit status, and its report as JSON."""
    folder, reports = Path(folder), Path(folder).parent / "reports"
    target = reports / f"{len(list(reports.glob('*'))) if reports.exists() else 0}.json"
    arguments = ["--anno", str(folder / anno), "--images", str(folder / "images"), "--json", str(target)]
    status = main(["data", "check", *arguments, *map(str, options)])
    return status, json.loads(target.read_text()) if target.exists() else None


def found(report, kind):
    """The findings of a kind."""
    return [finding for finding in report["findings"] if finding["kind"] == kind]


def image_path(folder, number):
    return Path(folder) / "images" / f"train_{number}.jpg"
