"""Pascal VOC annotations, read as they are."""

import os
import xml.etree.ElementTree as ElementTree

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")


def read_voc(root, split, names):
    """Reads one split of a Pascal VOC folder into COCO's form.

    Args:
        root (str): folder with ``Annotations/``, ``JPEGImages/`` and ``ImageSets/Main/``.
        split (str): 'train' for ``ImageSets/Main/train.txt``, one image name a line.
        names (list[str]): classes; they get the category ids 1, 2, ... in this order.

    Returns:
        tuple(dict, list[str]): COCO instances ('images', 'annotations', 'categories'; boxes as x, y, width,
        height in pixels), and a line about each box that was left out because it has no area.

    Raises:
        ValueError: a list, image or annotation is missing; an XML file is malformed, defines entities, or
            holds a class that is not in ``names`` or a box that is no four numbers.
    """
    list_file = os.path.join(root, "ImageSets", "Main", f"{split}.txt")
    if not os.path.isfile(list_file):
        raise ValueError(f"{list_file}: no such list of images; give the root of a Pascal VOC folder")
    with open(list_file, encoding="utf-8") as file:
        stems = [line.split()[0] for line in file if line.strip()]
    if not stems:
        raise ValueError(f"{list_file}: the list is empty")
    category_ids = {name: number for number, name in enumerate(names, 1)}
    images, annotations, dropped = [], [], []
    for image_id, stem in enumerate(stems, 1):
        xml_file = os.path.join(root, "Annotations", stem + ".xml")
        tree = _parse(xml_file)
        images.append(
            {"id": image_id, "file_name": _image_name(root, stem, list_file), **_size(tree, xml_file)}
        )
        for number, record in enumerate(tree.iter("object"), 1):
            where = f"{xml_file}: object {number}"
            name = (record.findtext("name") or "").strip()
            if name not in category_ids:
                raise ValueError(
                    f"{where} is of class '{name}'; the classes are {', '.join(names)}: add it "
                    "to the list of labels, or correct the file"
                )
            x1, y1, x2, y2 = _box(record, where)
            if x2 <= x1 or y2 <= y1:
                dropped.append(f"{where} ({name}): box {x1:g} {y1:g} {x2:g} {y2:g} has no area")
                continue
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category_ids[name],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for name, number in category_ids.items()]
    return {"images": images, "annotations": annotations, "categories": categories}, dropped


def _parse(xml_file):
    if not os.path.isfile(xml_file):
        raise ValueError(f"{xml_file}: the annotation is missing")
    with open(xml_file, "rb") as file:
        content = file.read()
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ValueError(
            f"{xml_file}: defines entities, which annotations never need and which can expand "
            "without end; refused"
        )
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ValueError(f"{xml_file}: malformed XML ({error})") from None


def _image_name(root, stem, list_file):
    for suffix in IMAGE_SUFFIXES:
        for name in (stem + suffix, stem + suffix.upper()):
            if os.path.isfile(os.path.join(root, "JPEGImages", name)):
                return name
    raise ValueError(f"{list_file}: lists '{stem}', but JPEGImages has no such image")


def _size(tree, xml_file):
    try:
        return {side: int(tree.findtext(f"size/{side}")) for side in ("width", "height")}
    except (TypeError, ValueError):
        raise ValueError(f"{xml_file}: no size with width and height in pixels") from None


def _box(record, where):
    try:
        return [float(record.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")]
    except (TypeError, ValueError):
        raise ValueError(f"{where}: bndbox needs xmin, ymin, xmax and ymax, each a number") from None
