"""Datasets in YOLO's format: a text file a picture, a line a box, read as they are."""

import os
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from .coco_records import CocoRecords, some
from .labels import read_text
from .pictures import files_below, find_pictures, is_picture
from .yolo_settings import read_settings

# Shares of a side are written with some digits, and boxes may reach over the border a little.
TOLERANCE = 0.01
# Pixels; PaddleDetection rounds boxes so, too.
DIGITS = 3
COLUMNS = "class, x, y, width, height"


def read_yolo(root, split=None, names=None, unlabelled="negative", progress=False):
    """Reads a YOLO dataset.

    The labels of ``.../images/.../a.jpg`` are in ``.../labels/.../a.txt``, else beside the picture. A line
    is the class, and the box's centre and size as shares of the picture's sides; or an outline, which becomes
    the box around it; or, where data.yaml has a kpt_shape, a box with keypoints, which are left out.

    Args:
        root (str): folder of the dataset. data.yaml, classes.txt or obj.names in it names the classes.
        split (str | None): as in data.yaml; or the name of a folder that the pictures lie in ('train' for
            ``images/train/`` and ``train/images/``). None: all pictures.
        names (list[str] | None): classes, in the order of their numbers, instead of the dataset's own.
        unlabelled (str): 'negative': a picture without a label file is one without objects; 'skip': it is
            left out.
        progress (bool): show a bar.

    Returns:
        Converted

    Raises:
        ValueError: there are no pictures, or none with a label file; a line has other columns, a number that
            is no share of a side, or a class that has no name.
    """
    root = Path(root)
    settings = read_settings(root, names)
    files = files_below(root)
    everything = _all_pictures(files, root)
    pictures = _of_split(everything, root, split, settings)
    labels = {picture: _label_file(root, picture) for picture in pictures}
    missing = [picture for picture in pictures if not labels[picture].is_file()]
    if len(missing) == len(pictures):
        raise ValueError(
            f"{root}: none of {len(pictures)} pictures has a label file; that of {missing[0]} should be "
            f"{labels[missing[0]]}"
        )
    inside = all(picture.startswith("images/") for picture in everything + pictures)
    image_dir = root / "images" if inside else root
    records = CocoRecords(str(image_dir), settings.names)
    outlines = 0
    for picture in tqdm(pictures, desc="reading labels", unit="img", disable=None if progress else True):
        has_labels = labels[picture].is_file()
        if not has_labels and unlabelled == "skip":
            continue
        image = records.add_image(picture[len("images/") :] if inside else picture)
        lines = read_text(labels[picture]).splitlines() if has_labels else []
        for number, line in enumerate(lines, 1):
            if line.strip():
                where = f"{labels[picture]}:{number}"
                label, box, is_outline = _parse(line.split(), settings, where)
                records.add_box(settings.names[label], _pixels(box, image), where)
                outlines += is_outline
    if outlines:
        records.notes.append(f"{outlines} outlines became the boxes around them")
    said = "count as images without boxes" if unlabelled == "negative" else "are left out"
    records.note(missing, f"pictures have no label file and {said}")
    if split is None:
        used = {file.relative_to(root).as_posix() for file in labels.values()}
        records.note(_orphans(files, used), "label files have no picture")
    return records.done(str(root))


def _all_pictures(files, root):
    """Those in folders named 'images' and below them, if there are such folders."""
    found = [name for name in files if is_picture(name)]
    if not found:
        raise ValueError(f"{root}: holds no pictures; give the folder with images/ and labels/")
    return [name for name in found if "images" in _folders(name)] or found


def _of_split(pictures, root, split, settings):
    if split is None:
        return pictures
    if split in settings.splits:
        return sorted({name for entry in settings.splits[split] for name in _entry(root, entry, split)})
    folders = sorted({folder for name in pictures for folder in _folders(name)} - {"images"})
    if split not in folders:
        raise ValueError(f"{root}: no split '{split}'; its folders are {some(folders, 10) or 'none'}")
    return [name for name in pictures if split in _folders(name)]


def _folders(name):
    return PurePosixPath(name).parts[:-1]


def _entry(root, entry, split):
    """Pictures, relative to the root, of a folder or list that data.yaml gives for a split."""
    if entry.is_dir():
        files = [entry / picture for picture in find_pictures(entry)]
    elif entry.is_file():
        lines = [line.strip() for line in read_text(entry).splitlines() if line.strip()]
        # As YOLO's programs do: './' counts from the list, anything else from the dataset.
        files = [(entry.parent if line.startswith("./") else root) / line for line in lines]
    else:
        raise ValueError(f"{entry}: data.yaml names this for the split '{split}', but it does not exist")
    if not files:
        raise ValueError(f"{entry}: data.yaml names this for the split '{split}', but it has no pictures")
    names = []
    for file in files:
        if not file.is_file():
            raise ValueError(f"{entry}: lists the image '{file}', which does not exist")
        name = Path(os.path.relpath(file, root)).as_posix()
        if name.startswith("../"):
            raise ValueError(f"{file}: is outside {root}; give the folder that holds all of the dataset")
        names.append(name)
    return names


def _label_file(root, picture):
    beside = PurePosixPath(picture).with_suffix(".txt")
    parts = list(beside.parts)
    if "images" in parts[:-1]:
        last = len(parts) - 2 - parts[-2::-1].index("images")
        parts[last] = "labels"
    apart = root.joinpath(*parts)
    return root / beside if not apart.is_file() and (root / beside).is_file() else apart


def _orphans(files, used):
    """Label files without a picture, in folders named 'labels' and below them."""
    return [
        name
        for name in files
        if name.endswith(".txt") and "labels" in _folders(name)
        if name not in used and PurePosixPath(name).name != "classes.txt"
    ]


def _parse(fields, settings, where):
    """(label, (x1, y1, x2, y2) as shares of the sides, whether it was an outline)."""
    try:
        label, *shares = map(float, fields)
    except ValueError:
        raise ValueError(f"{where}: '{' '.join(fields[:6])}' are not all numbers ({COLUMNS})") from None
    count = len(settings.names)
    if label not in range(count):
        raise ValueError(
            f"{where}: class {label:g}, but {settings.source} names {count}, from 0 to {count - 1}; "
            "correct the line or name the class"
        )
    if settings.keypoints and len(shares) == 4 + settings.keypoints:
        shares = shares[:4]
    is_outline = len(shares) >= 6 and len(shares) % 2 == 0 and not settings.keypoints
    if len(shares) != 4 and not is_outline:
        raise ValueError(
            f"{where}: {len(fields)} columns; a box has 5 ({COLUMNS}), "
            + (
                f"{5 + settings.keypoints} with keypoints"
                if settings.keypoints
                else "an outline 7, 9, 11, ... (class and points)"
            )
        )
    for share in shares:
        if not -TOLERANCE <= share <= 1 + TOLERANCE:
            raise ValueError(
                f"{where}: {share:g} is no share of the picture's side, from 0 to 1; divide pixels by its "
                "width and height"
            )
    if is_outline:
        xs, ys = shares[::2], shares[1::2]
        return int(label), (min(xs), min(ys), max(xs), max(ys)), True
    x, y, width, height = shares
    return int(label), (x - width / 2, y - height / 2, x + width / 2, y + height / 2), False


def _pixels(box, image):
    """Corners in pixels; one that is off the picture by less than a pixel is so from rounding."""
    corners = []
    for share, side in zip(box, (image["width"], image["height"]) * 2):
        at = round(share * side, DIGITS)
        corners.append(min(max(at, 0.0), float(side)) if -1 < at < side + 1 else at)
    return corners
