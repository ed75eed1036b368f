"""Two splits of a dataset: the same categories, and no picture in both."""

import os

from ..similarity import most_similar
from .picture import readable, thumbnails_of


def check_categories(data, other):
    """Class numbers follow the order of the categories in a file, so two files must agree on it.

    Args:
        data, other (Annotations)

    Returns:
        list[Finding]: about ``other``, at most one.
    """
    here = [(record.get("id"), record.get("name")) for record in data.categories]
    there = [(record.get("id"), record.get("name")) for record in other.categories]
    if here == there:
        return []
    if sorted(here, key=str) == sorted(there, key=str):
        said = f"has the categories of {data.path} in another order, which numbers the classes differently"
    else:
        only_here = [f"{name} ({number})" for number, name in here if (number, name) not in there]
        only_there = [f"{name} ({number})" for number, name in there if (number, name) not in here]
        said = f"has other categories than {data.path}: " + " and ".join(
            f"{who} has {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
            for who, names in (("it alone", only_there), ("only the other", only_here))
            if names
        )
    return [other.about_file("split-categories", said)]


def check_leaks(part, other, similar, progress=True):
    """Pictures of one split that are in the other: the same file, the same bytes or nearly the same picture.

    Args:
        part, other (Part): see :mod:`ppdet_ext.data.check.part`.
        similar (float): correlation of thumbnails from which pictures look alike.
        progress (bool): show a bar, where it takes long.

    Returns:
        list[Finding]: about pictures of ``part``.
    """
    found, leaked = [], set()

    def add(kind, row, twin, how, more=""):
        leaked.add(row)
        path = part.files.paths[row]
        said = f"{how} {other.data.image_label(twin)} of {other.data.path}{more}"
        found.append(
            part.data.about_image(kind, row, said, file=path, image=path, twin=other.files.paths[twin])
        )

    place, by_path, by_bytes = _Places(), {}, {}
    for row, path in enumerate(other.files.paths):
        if path is not None:
            by_path.setdefault(place.of(path), row)
            picture = other.pictures[row] if other.pictures else None
            if picture is not None and not picture.fault:
                by_bytes.setdefault(picture.digest, row)
    for row, path in enumerate(part.files.paths):
        if path is None:
            continue
        picture = part.pictures[row] if part.pictures else None
        if place.of(path) in by_path:
            add("split-leak", row, by_path[place.of(path)], "is the file of")
        elif picture is not None and picture.digest in by_bytes:
            add("split-leak", row, by_bytes[picture.digest], "is, byte for byte,")
    if part.pictures and other.pictures:
        rows = [row for row in readable(part.pictures) if row not in leaked]
        there = readable(other.pictures)
        if rows and there:
            vectors, others = thumbnails_of(part.pictures, rows), thumbnails_of(other.pictures, there)
            for row, twin, value in zip(rows, *most_similar(vectors, others, progress)):
                if value >= similar:
                    add("split-similar", row, there[twin], "looks like", f" (correlation {value:.3f})")
    return found


class _Places:
    """Where files are, asked once a folder."""

    def __init__(self):
        self._folders = {}

    def of(self, path):
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return self._folders[folder], name
