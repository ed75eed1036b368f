"""The files of detections that `predict` writes."""

from ..runtime.records import CocoWriter, CsvWriter, JsonWriter


class Reports:
    """JSON and, where asked for, COCO results and CSV; begun with the first image, whole when closed.

    Args:
        files (dict): {'json': Path, 'coco': Path, 'csv': Path}, the last two where they are wanted.
        head (dict): what stands first in the JSON.
        category_ids (list): COCO category id of each label.
    """

    def __init__(self, files, head, category_ids):
        makers = {
            "json": lambda path: JsonWriter(path, head),
            "coco": lambda path: CocoWriter(path, category_ids),
            "csv": CsvWriter,
        }
        self._makers = {kind: (makers[kind], path) for kind, path in files.items()}
        self._writers = {}

    def add(self, image_id, about, detections):
        """Add one image.

        Args:
            image_id (int): its id in the COCO results.
            about (dict): its record in the JSON: 'file', in a video 'frame', ...
            detections (Detections): found in it.
        """
        if not self._writers:
            self._writers = {kind: make(path) for kind, (make, path) in self._makers.items()}
        if "coco" in self._writers:
            about = {"id": image_id, **about}
            self._writers["coco"].write(image_id, detections)
        if "csv" in self._writers:
            self._writers["csv"].write(about["file"], about.get("frame"), detections)
        self._writers["json"].write(about, detections)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for writer in self._writers.values():
            writer.close()
