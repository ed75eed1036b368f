"""Small datasets on disk, for tests."""

import cv2
import numpy as np


def write_picture(path, width, height, seed=None):
    """A picture of this size, black, or of random blocks if there is a seed; folders are made."""
    picture = np.zeros([height, width, 3], np.uint8)
    if seed is not None:
        blocks = np.random.RandomState(seed).randint(0, 255, (6, 6, 3)).astype(np.uint8)
        picture = cv2.resize(blocks, (width, height), interpolation=cv2.INTER_NEAREST)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix.lower(), picture)[1].tobytes())
    return path


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


VOC_BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
VOC_OBJECT = f"<object><name>%s</name>{VOC_BOX}</object>"


def write_roboflow_voc(root, parts):
    """Roboflow's VOC export of parts, each given with a class a picture: `PART/1.jpg`, `PART/1.xml`, ..."""
    for part, names in parts.items():
        for number, name in enumerate(names, 1):
            write_picture(root / part / f"{number}.jpg", 20, 16, seed=ord(part[0]) + number)
            boxes = VOC_OBJECT % name if name else ""
            write_text(root / part / f"{number}.xml", f"<annotation>{boxes}</annotation>")
    write_text(root / "README.dataset.txt", "a set > 2023-01-01 1:00pm\n")
    return root


def instances(boxes, names=("cat", "dog"), size=(100, 80)):
    """COCO instances: a list an image of (label, x, y, width, height)."""
    images = [
        {"id": n, "file_name": f"{n:03d}.png", "width": size[0], "height": size[1]}
        for n in range(1, len(boxes) + 1)
    ]
    annotations = [
        {"image_id": n, "category_id": label + 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for n, of_image in enumerate(boxes, 1)
        for label, *box in of_image
    ]
    return {
        "images": images,
        "annotations": [{"id": n, **a} for n, a in enumerate(annotations, 1)],
        "categories": [{"id": n, "name": name} for n, name in enumerate(names, 1)],
    }
