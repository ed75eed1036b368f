"""What every converter makes: COCO instances, built up image by image."""

import math
import os
from typing import List, NamedTuple

from .pictures import picture_size

# So many names of files or classes are named in a line about many.
MOST_NAMES = 3


class Converted(NamedTuple):
    """A dataset read from another format.

    Args:
        dataset (dict): COCO instances ('images', 'annotations', 'categories'; boxes as x, y, width, height in
            pixels), ids from 1.
        image_dir (str): the folder that the names of the images count from.
        dropped (list[str]): a line about each box that was left out because it has no area.
        notes (list[str]): what else a user should know, a line each.
    """

    dataset: dict
    image_dir: str
    dropped: List[str]
    notes: List[str]


class CocoRecords:
    """Images and their boxes in the order they come.

    Args:
        image_dir (str): the folder that the names of the images count from.
        names (list[str] | None): classes; they get the category ids 1, 2, ... in this order. None: those that
            boxes have, sorted.
    """

    def __init__(self, image_dir, names=None):
        self.image_dir = image_dir
        self.names = names
        self.dropped = []
        self.notes = []
        self._images = {}
        self._annotations = []
        self._seen = set()

    def add_image(self, file_name):
        """Begins an image, whose size is read from the file.

        Args:
            file_name (str): relative to the image folder, with '/'.

        Returns:
            dict | None: its record; None where it was there before, and is not to be added again.

        Raises:
            ValueError: see :func:`ppdet_ext.data.pictures.picture_size`.
        """
        if file_name in self._images:
            return None
        width, height = picture_size(os.path.join(self.image_dir, file_name))
        image = {"id": len(self._images) + 1, "file_name": file_name, "width": width, "height": height}
        self._images[file_name] = image
        return image

    def has_image(self, file_name):
        """Whether the image has been added."""
        return file_name in self._images

    def add_box(self, name, corners, where):
        """Adds a box to the image begun last, or a line to `dropped` if it has no area.

        Args:
            name (str): class.
            corners (iterable[float]): x1, y1, x2, y2 in pixels.
            where (str): names file and place, for errors.

        Raises:
            ValueError: the class is not among the names; a number is not finite.
        """
        x1, y1, x2, y2 = corners = list(corners)
        said = f"box {x1:g} {y1:g} {x2:g} {y2:g}"
        if self.names is not None and name not in self.names:
            raise ValueError(
                f"{where} is of class '{name}'; the classes are {some(self.names, 10)}: add it "
                "to the list of labels, or correct the file"
            )
        if not all(map(math.isfinite, corners)):
            raise ValueError(f"{where} ({name}): {said} is not finite; correct it")
        self._seen.add(name)
        if x2 <= x1 or y2 <= y1:
            self.dropped.append(f"{where} ({name}): {said} has no area")
            return
        self._annotations.append(
            {
                "id": len(self._annotations) + 1,
                "image_id": len(self._images),
                "category_id": name,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }
        )

    def note(self, files, text):
        """Adds a note about files, some of them by name, if there are any: "2 {text}: a.jpg, b.jpg"."""
        if files:
            self.notes.append(f"{len(files)} {text}: {some(files)}")

    def done(self, where):
        """The dataset.

        Args:
            where (str): names the source, for errors.

        Raises:
            ValueError: there are no images; or classes are taken from boxes, and there are no boxes.
        """
        if not self._images:
            raise ValueError(f"{where}: lists no images")
        names = sorted(self._seen) if self.names is None else self.names
        if not names:
            raise ValueError(f"{where}: has no boxes to take the classes from; give a list of labels")
        numbers = {name: number for number, name in enumerate(names, 1)}
        annotations = [{**a, "category_id": numbers[a["category_id"]]} for a in self._annotations]
        categories = [{"id": number, "name": name} for name, number in numbers.items()]
        dataset = {
            "images": list(self._images.values()),
            "annotations": annotations,
            "categories": categories,
        }
        return Converted(dataset, self.image_dir, self.dropped, self.notes)


def some(names, most=MOST_NAMES):
    """The first of many names in words: "a, b, c and 4 more"."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more
