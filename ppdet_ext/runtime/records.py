"""Files of detections: JSON, COCO results, CSV. Each takes one image after the other, so that there may be
any number, and is whole whenever the writing ends."""

import csv
import json
import os
from pathlib import Path

COLUMNS = ("file", "frame", "label", "name", "score", "x1", "y1", "x2", "y2")


class WholeFile:
    """A text file that grows under another name and takes its own when closed, with what it has.

    Args:
        path (str | Path): its folder is made.
    """

    def __init__(self, path):
        self.path = Path(path)
        self._partial = self.path.with_name(self.path.name + ".part")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # The same line ends on every system.
        self._file = open(self._partial, "w", encoding="utf-8", newline="")  # noqa: SIM115

    def close(self):
        """End the file; once closed, nothing more happens."""
        if self._file.closed:
            return
        self._end()
        self._file.close()
        os.replace(self._partial, self.path)

    def _end(self):
        """Write what belongs behind the last record."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class JsonWriter(WholeFile):
    """`{..., "images": [{"file", ..., "detections": [{"label", "name", "score", "box"}]}]}`.

    Args:
        path (str | Path): the file.
        head (dict): what stands before the images.
    """

    def __init__(self, path, head):
        super().__init__(path)
        text = json.dumps(head, indent=1, ensure_ascii=False)
        self._file.write(text[: text.rindex("\n")] + ',\n "images": [')
        self._between = "\n  "

    def write(self, about, detections):
        """Add an image: what is said about it (dict: file, frame, ...), and its Detections."""
        record = {**about, "detections": detections.to_records()}
        self._file.write(self._between + json.dumps(record, ensure_ascii=False))
        self._between = ",\n  "

    def _end(self):
        self._file.write("\n ]\n}\n")


class CocoWriter(WholeFile):
    """COCO's results: a list of `{"image_id", "category_id", "bbox": [x, y, width, height], "score"}`.

    Args:
        path (str | Path): the file.
        category_ids (list): COCO category id of each label.
    """

    def __init__(self, path, category_ids):
        super().__init__(path)
        self.category_ids = category_ids
        self._file.write("[")
        self._between = "\n"

    def write(self, image_id, detections):
        """Add the Detections of an image."""
        for result in detections.to_coco(image_id, self.category_ids):
            self._file.write(self._between + json.dumps(result))
            self._between = ",\n"

    def _end(self):
        self._file.write("\n]\n")


class CsvWriter(WholeFile):
    """A line a detection, with COLUMNS; the box in pixels of the image, `frame` empty for pictures.

    Args:
        path (str | Path): the file.
    """

    def __init__(self, path):
        super().__init__(path)
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def write(self, file, frame, detections):
        """Add the Detections of a file (str), in a video of its frame (int from 0, else None)."""
        for record in detections.to_records():
            self._rows.writerow(
                (file, frame, record["label"], record["name"], record["score"], *record["box"])
            )


def write_whole(path, text):
    """Writes a text file that is whole whenever it has its name; its folder is made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
