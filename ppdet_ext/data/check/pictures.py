"""Pictures that can't be read, that are not what the annotations say, or that are there twice."""

import os

import numpy as np

from ..similarity import similar_pairs
from .picture import QUARTER_TURNS, SUFFIXES, readable, thumbnails_of

# Fewer shades than this are one colour and its noise.
BLANK = 8
# All pictures are compared with all, in a table that grows with the square.
MOST_COMPARED = 20_000


def check_pictures(data, paths, pictures):
    """Compares pictures with what is annotated.

    Args:
        data (Annotations)
        paths (list): of each image, or None.
        pictures (list): of each image, a Picture or None.

    Returns:
        list[Finding].
    """
    found = []
    for row, (path, picture) in enumerate(zip(paths, pictures)):
        if picture is not None:
            about = _faults(data.sizes[row], path, picture)
            found += [data.about_image(kind, row, said, file=path, image=path) for kind, said in about]
    return found


def _faults(annotated, path, picture):
    if picture.fault:
        yield picture.fault
        return
    yield from _size(annotated, picture)
    if picture.spread < BLANK:
        bits = f"; its {picture.bits} bits become 8, stretch the values" if picture.bits > 8 else ""
        yield "picture-blank", f"has one colour (shades {picture.spread + 1} of 256){bits}"
    if picture.bits > 8:
        yield "picture-16-bit", f"has {picture.bits} bits a channel"
    if picture.mode == "CMYK":
        yield "picture-cmyk", "is in CMYK"
    elif picture.mode in ("RGBA", "LA", "PA"):
        yield "picture-alpha", f"has an alpha channel ({picture.mode})"
    if picture.mode in ("L", "1", "LA") or picture.mode.startswith("I;16"):
        yield "picture-grey", f"is greyscale ({picture.mode})"
    suffix = os.path.splitext(path)[1].lower()
    if picture.format in SUFFIXES and suffix not in SUFFIXES[picture.format]:
        yield "picture-suffix", f"is {picture.format}"


def _size(annotated, picture):
    """Is the annotated size the one that training sees?"""
    if np.isnan(annotated).any():
        return
    width, height = picture.size
    turned = picture.orientation in QUARTER_TURNS
    said = f"is annotated as {annotated[0]:g} x {annotated[1]:g}, and read as {width} x {height}"
    if tuple(annotated) == (width, height):
        if picture.orientation != 1 and not (turned and width != height):
            said = f"has the EXIF orientation {picture.orientation}, and a size that does not tell which way"
            yield "picture-exif", f"{said} it was annotated"
    elif turned and tuple(annotated) == (height, width):
        yield "picture-turned", f"{said}: EXIF orientation {picture.orientation}"
    else:
        yield "picture-size", said


def known_sizes(data, pictures):
    """Sizes to judge boxes by: that of the picture, unless the boxes were drawn on another one.

    Args:
        data (Annotations)
        pictures (list): of each image, a Picture or None.

    Returns:
        ndarray: [M, 2] width and height, pixels; NaN where the size itself is the finding.
    """
    sizes = data.sizes.copy()
    for row, picture in enumerate(pictures):
        if picture is None or picture.fault:
            continue
        if np.isnan(sizes[row]).any():
            sizes[row] = picture.size
        elif tuple(sizes[row]) != picture.size:
            sizes[row] = np.nan
    return sizes


def check_twins(data, paths, pictures, similar, progress=True):
    """Pictures of one dataset that are there twice, or look as if.

    Args:
        data (Annotations)
        paths, pictures (list): of each image; None where there is none.
        similar (float): correlation of thumbnails from which pictures look alike.
        progress (bool): show a bar, where it takes long.

    Returns:
        list[Finding].
    """
    found, first, twins = [], {}, set()
    rows = readable(pictures)
    for row in rows:
        original = first.setdefault(pictures[row].digest, row)
        # A file that two records name is a finding about the records.
        if original != row and paths[original] != paths[row]:
            said = f"is the same file as {data.image_label(original)}"
            found.append(_twin("picture-twice", data, paths, row, original, said))
        if original != row:
            twins.add(row)
    rows = [row for row in rows if row not in twins]
    if len(rows) > MOST_COMPARED:
        said = f"has {len(rows)} pictures, too many to compare each with each; only equal files were found"
        found.append(data.about_file("not-compared", said))
    elif len(rows) > 1:
        seen = set()
        for one, other, value in similar_pairs(thumbnails_of(pictures, rows), similar, progress):
            if other not in seen:
                seen.add(other)
                one, other = rows[one], rows[other]
                said = f"looks like {data.image_label(one)} (correlation {value:.3f})"
                found.append(_twin("picture-similar", data, paths, other, one, said))
    return found


def _twin(kind, data, paths, row, twin, said):
    return data.about_image(kind, row, said, file=paths[row], image=paths[row], twin=paths[twin])
