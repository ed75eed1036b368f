"""What benchmarks/reader.py reads: pictures that decode as photos do, boxes for them, a config on both."""

import json

from common import ROOT

# isort: split
import cv2
import numpy as np
from tqdm import tqdm

from ppdet_ext.config import load_config
from ppdet_ext.runtime.image import read_image

# PaddleDetection's Mosaic in place of ours: other draws, and other pictures, so that only times compare.
MOSAIC = {
    "Mosaic": {
        "input_dim": [640, 640],
        "degrees": [0.0, 0.0],
        "translate": [-0.1, 0.1],
        "scale": [0.5, 1.5],
        "shear": [0.0, 0.0],
        "enable_mixup": False,
    }
}
BATCH = 8


def draw_pictures(folder, count):
    """JPEG files that decode and compress about as photos do."""
    rng = np.random.RandomState(0)
    for number in tqdm(range(count), "pictures", disable=None, leave=False):
        picture = np.zeros([480, 640, 3], "float32")
        for scale in (1, 2, 4, 8, 16, 32, 64):
            noise = rng.randn(480 // scale + 2, 640 // scale + 2, 3).astype("float32")
            picture += scale**0.9 * cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC)
        picture = cv2.normalize(picture, None, 0, 255, cv2.NORM_MINMAX).astype("uint8")
        cv2.imwrite(str(folder / f"{number:04d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])


def make_annotations(path, files):
    """A COCO file with one to thirteen random boxes for each image."""
    rng = np.random.RandomState(1)
    images, annotations = [], []
    for number, file in enumerate(files):
        height, width = read_image(file).shape[:2]
        images.append({"id": number, "file_name": str(file), "height": height, "width": width})
        for _ in range(rng.randint(1, 14)):
            start, side = rng.uniform(0, 0.8, 2), rng.uniform(0.02, 0.35, 2)
            x, y = start * (width, height)
            w, h = np.minimum(side, 1 - start) * (width, height)
            box = {"bbox": [x, y, w, h], "area": w * h, "iscrowd": 0, "category_id": int(rng.randint(80))}
            annotations.append({"id": len(annotations) + 1, "image_id": number, **box})
    categories = [{"id": number, "name": f"class {number}"} for number in range(80)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def configure(path, annotations, upstream, cache_mb=0, **options):
    """A config on the benchmark's images, its reader PaddleDetection's or ours."""
    cfg = load_config(str(ROOT / path), options)
    cfg.update(num_classes=80, worker_num=0)
    cfg.TrainDataset.clear()
    cfg.TrainDataset.update(
        name="COCODataSet",
        image_dir="",
        anno_path=str(annotations),
        dataset_dir="/",
        data_fields=["image", "gt_bbox", "gt_class", "is_crowd"],
    )
    reader = cfg.TrainReader
    reader.update(fast=not upstream, cache_mb=cache_mb)
    reader.update(batch_size=BATCH, shuffle=False, use_shared_memory=True)
    steps = reader["sample_transforms"]
    if upstream and any("MosaicMixUp" in step for step in steps):
        reader["sample_transforms"] = [{"Decode": {}}, MOSAIC, *steps[2:]]
    return cfg
