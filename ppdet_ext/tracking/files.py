"""Files of tracks: MOTChallenge's text and JSON lines; whole whenever the writing ends."""

import json

from ..runtime.records import WholeFile


class MotWriter(WholeFile):
    """MOTChallenge's lines, `frame,id,left,top,width,height,score,-1,-1,-1`, and the label as an 11th number.

    Args:
        path (str | Path): the file.
    """

    def write(self, frame, tracked):
        """Add a frame: its number from 1, and its Tracked."""
        found = tracked.detections
        for number, (x0, y0, x1, y1), score, label in zip(
            tracked.ids.tolist(), found.boxes.tolist(), found.scores.tolist(), found.labels.tolist()
        ):
            self._file.write(
                f"{frame},{number},{x0:.2f},{y0:.2f},{x1 - x0:.2f},{y1 - y0:.2f},"
                f"{score:.4f},-1,-1,-1,{label}\n"
            )


class LinesWriter(WholeFile):
    """A JSON object a frame: `{"frame", "seconds", "tracks": [{"id", "label", "name", "score", "box"}]}`.

    Args:
        path (str | Path): the file.
    """

    def write(self, frame, seconds, tracked):
        """Add a frame: its number from 1, its time in the stream, and its Tracked."""
        records = [
            {"id": number, **record}
            for number, record in zip(tracked.ids.tolist(), tracked.detections.to_records())
        ]
        record = {"frame": frame, "seconds": round(seconds, 3), "tracks": records}
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
