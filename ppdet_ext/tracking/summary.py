"""What a stream held: a record a track, and counts by class."""

from collections import Counter


class Summary:
    """Counts the objects of one stream.

    Args:
        names (list): the class names.

    Attributes:
        frames (int): taken so far.
        now (Counter): objects in the last frame by label.
        total (Counter): objects so far by label.
    """

    def __init__(self, names):
        self.names = names
        self.frames = 0
        self.now, self.total, self._most = Counter(), Counter(), Counter()
        self._tracks = {}

    def add(self, seconds, tracked):
        """Take the next frame: its time in the stream, and its Tracked."""
        self.frames += 1
        labels = tracked.detections.labels.tolist()
        for number, label, score in zip(tracked.ids.tolist(), labels, tracked.detections.scores.tolist()):
            track = self._tracks.get(number)
            if track is None:
                track = self._tracks[number] = {
                    "first": self.frames,
                    "begin": seconds,
                    "seen": 0,
                    "score": 0.0,
                }
                self.total[label] += 1
            elif track["label"] != label:  # outvoted
                self.total[track["label"]] -= 1
                self.total[label] += 1
            track.update(label=label, last=self.frames, end=seconds, seen=track["seen"] + 1)
            track["score"] += score
        self.now = Counter(labels)
        self._most |= self.now

    def objects(self):
        """{class name: {'total', 'most_at_once', 'now'}}, classes without a track left out."""
        return {
            self.names[label]: {
                "total": self.total[label],
                "most_at_once": self._most[label],
                "now": self.now[label],
            }
            for label in sorted(label for label, count in self.total.items() if count)
        }

    def tracks(self, fps):
        """A record a track.

        Args:
            fps (float): frames a second: a track lasts one frame longer than from its first to its last.

        Returns:
            list: of {'id', 'label', 'name', 'first_frame', 'last_frame', 'frames', 'seconds',
            'score'}: frames count from 1, 'frames' is in how many it was seen, 'score' the mean of these.
        """
        return [
            {
                "id": number,
                "label": track["label"],
                "name": self.names[track["label"]],
                "first_frame": track["first"],
                "last_frame": track["last"],
                "frames": track["seen"],
                "seconds": round(track["end"] - track["begin"] + 1 / fps, 3),
                "score": round(track["score"] / track["seen"], 4),
            }
            for number, track in self._tracks.items()
        ]
