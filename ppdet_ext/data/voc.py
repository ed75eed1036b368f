"""Pascal VOC annotations, read as they are."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from xml.parsers import expat

from tqdm import tqdm

from ppdet_ext.nearest import choice

from .coco_folder import part_of
from .coco_records import CocoRecords
from .labels import read_text
from .pictures import pictures_by_stem, stem_key

SIDES = ("xmin", "ymin", "xmax", "ymax")


def read_voc(root, split=None, names=None, progress=False):
    """Reads a Pascal VOC folder, or one split of it.

    Sizes are those of the pictures, whatever the annotations say of them. An object marked 'difficult' counts
    like any other, and boxes stay as they stand (first pixel 1 or 0, as the annotator had it): both as in
    PaddleDetection's VOCDataSet.

    Args:
        root (str): folder with ``Annotations/`` and ``JPEGImages/`` ('images' will do); or one with pictures
            and their XML files side by side, as LabelImg leaves it; or with such folders of parts, ``train/``
            and ``valid/``, as Roboflow exports them.
        split (str | None): 'train' for ``ImageSets/Main/train.txt``, one image name a line; where there is
            none, for ``train.txt``, an image and an XML file a line, both relative to ``root``
            (PaddleDetection's lists); or for the folder ``train/``. None: all annotations there are.
        names (list[str] | None): classes; their ids are 1, 2, ... in this order. None: those found.
        progress (bool): show a bar.

    Returns:
        Converted

    Raises:
        ValueError: a list, image or annotation is missing; an XML file is malformed, defines entities, or
            holds a class that is not in ``names`` or a box that is no four numbers.
    """
    root = Path(root)
    where, image_dir, pairs, left_out = _pairs(root, split)
    records = CocoRecords(str(image_dir), names)
    other_size, difficult = [], 0
    for image_name, xml_file in tqdm(
        pairs, desc="reading annotations", unit="img", disable=None if progress else True
    ):
        tree = _parse(xml_file)
        image = records.add_image(image_name)
        if image is None:
            continue
        said = _said_size(tree)
        if said not in (None, (image["width"], image["height"])):
            other_size.append(f"{xml_file} {said[0]}x{said[1]}, not {image['width']}x{image['height']}")
        for number, record in enumerate(tree.iter("object"), 1):
            place = f"{xml_file}: object {number}"
            name = (record.findtext("name") or "").strip()
            records.add_box(name, _box(record, place), place)
            difficult += (record.findtext("difficult") or "").strip() == "1"
    if difficult:
        records.notes.append(f"{difficult} objects are marked 'difficult'; they count like the others")
    records.note(other_size, "annotations give another size than the picture has, check their boxes")
    records.note(left_out, "pictures have no annotation and are left out")
    return records.done(where)


def part_folders(root):
    """Folders of parts, with pictures and their XML files side by side: Roboflow's ``train/``, ``valid/``.

    Args:
        root (Path)

    Returns:
        dict[str, Path]: by their names, sorted; {} where the root's own annotations are the dataset.
    """
    if _xml_files(_annotations(root)):
        return {}
    folders = (path for path in sorted(root.iterdir()) if part_of(path.name) and path.is_dir())
    return {path.name: path for path in folders if _xml_files(path)}


def _pairs(root, split):
    """What names the images, their folder, pairs of an image's name in it and its XML file, and pictures that
    have none."""
    annotations = _annotations(root)
    image_dir = _folder(root, ("JPEGImages", "images"), Path.is_dir)
    parts = part_folders(root) if root.is_dir() else {}
    if split is None and parts:
        found = [_annotated(folder, folder, f"{name}/") for name, folder in parts.items()]
        return str(root), root, *(sum(lists, []) for lists in zip(*found))
    if split is None:
        if not _xml_files(annotations):
            raise ValueError(f"{annotations}: holds no XML files; give the root of a Pascal VOC folder")
        return str(annotations), image_dir, *_annotated(annotations, image_dir)
    list_file, pair_list = root / "ImageSets" / "Main" / f"{split}.txt", root / f"{split}.txt"
    if list_file.is_file():
        pictures = pictures_by_stem(image_dir)
        pairs = []
        for line in _lines(list_file):
            # Lists of one class have a second column, and a name may have blanks.
            stem = line if stem_key(line) in pictures else re.sub(r"\s+(-1|0|1)$", "", line)
            pairs.append((_picture(pictures, stem, image_dir, list_file), annotations / f"{stem}.xml"))
        return str(list_file), image_dir, pairs, []
    if pair_list.is_file():
        return str(pair_list), root, [_listed(root, line, pair_list) for line in _lines(pair_list)], []
    if split in parts:
        return str(parts[split]), root, *_annotated(parts[split], parts[split], f"{split}/")
    if parts:
        raise ValueError(f"{root}: has no part '{split}'; {choice(split, parts)}")
    raise ValueError(f"{list_file}: no such list of images; give the root of a Pascal VOC folder")


def _annotated(annotations, image_dir, prefix=""):
    """Pairs of a folder's XML files and their images, and the images that have none; names with a prefix."""
    pictures = pictures_by_stem(image_dir)
    files = _xml_files(annotations)
    pairs = [(prefix + _picture(pictures, file.stem, image_dir, file), file) for file in files]
    left_out = {prefix + name for name in pictures.values()} - {name for name, _ in pairs}
    return pairs, sorted(left_out)


def _annotations(root):
    return _folder(root, ("Annotations", "annotations"), _xml_files)


def _folder(root, names, fits):
    return next((root / name for name in names if fits(root / name)), root)


def _xml_files(folder):
    return sorted(file for file in folder.glob("*.xml") if not file.name.startswith("."))


def _lines(list_file):
    lines = [line.strip() for line in read_text(list_file).splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"{list_file}: the list is empty")
    return lines


def _picture(pictures, stem, image_dir, lister):
    name = pictures.get(stem_key(stem))
    if name is None:
        raise ValueError(f"{lister}: lists '{stem}', but {image_dir.name} has no such image")
    return name


def _listed(root, line, list_file):
    """An image's name and its XML file from a line that names both."""
    image, _, annotation = line.rpartition(" ")
    if not image or not annotation.endswith(".xml"):
        raise ValueError(f"{list_file}: '{line}' does not name an image and an XML file")
    if not (root / image.strip()).is_file():
        raise ValueError(f"{list_file}: lists the image '{image.strip()}', which does not exist")
    return Path(image.strip()).as_posix(), root / annotation


def _parse(xml_file):
    if not xml_file.is_file():
        raise ValueError(f"{xml_file}: the annotation is missing")
    content = xml_file.read_bytes()
    guard = expat.ParserCreate()
    guard.StartDoctypeDeclHandler = _refuse
    try:
        guard.Parse(content, True)
        return ElementTree.fromstring(content)
    except _Doctype:
        raise ValueError(
            f"{xml_file}: defines entities, which annotations never need and which can expand "
            "without end; refused"
        ) from None
    except (expat.ExpatError, ElementTree.ParseError, LookupError, ValueError) as error:
        raise ValueError(f"{xml_file}: malformed XML ({error})") from None


class _Doctype(Exception):
    """A document type, the only place where entities are defined."""


def _refuse(*_):
    raise _Doctype


def _said_size(tree):
    """(width, height) as the annotation has it, or None; some tools write 0."""
    try:
        width, height = (int(tree.findtext(f"size/{side}")) for side in ("width", "height"))
    except (TypeError, ValueError):
        return None
    return (width, height) if width and height else None


def _box(record, where):
    try:
        return [float(record.findtext(f"bndbox/{side}")) for side in SIDES]
    except (TypeError, ValueError):
        raise ValueError(f"{where}: bndbox needs xmin, ymin, xmax and ymax, each a number") from None
