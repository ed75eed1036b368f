"""A set of files that is whole or not there: a folder, whose manifest vouches for each by its SHA-256."""

import hashlib
import json
import os

MANIFEST = "manifest.json"
FORMAT = 1
CHUNK = 2**22


def sync(path):
    """Brings a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def entry(path):
    """What a manifest says of a file."""
    return {"bytes": os.path.getsize(path), "sha256": _sha256(path)}


def write_json(path, value):
    """Writes a JSON file in one piece: whoever reads it sees the old one or the new one."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
    sync(os.path.dirname(path))


class CheckpointSet:
    """One set on the disk.

    Args:
        path (str): its folder.

    Attributes:
        facts (dict): what the manifest says.

    Raises:
        ValueError: one line: no manifest, or one that can't be read.
    """

    def __init__(self, path):
        self.path = path
        manifest = os.path.join(path, MANIFEST)
        try:
            with open(manifest, encoding="utf-8") as file:
                self.facts = json.load(file)
            files = self.facts["files"]
            self._files = {name: (int(about["bytes"]), about["sha256"]) for name, about in files.items()}
            self.epoch = int(self.facts["epoch"])
            if any(os.path.basename(name) != name for name in [*self.facts["names"], *files]):
                raise ValueError("a name that leads elsewhere")
        except OSError:
            raise ValueError(f"{path}: no checkpoint set (no {MANIFEST})") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(f"{manifest}: not a readable manifest; the set is torn") from None
        if self.facts.get("format") != FORMAT:
            raise ValueError(
                f"{manifest}: format {self.facts.get('format')!r}, but this ppdet_ext knows {FORMAT}; "
                "take the one that wrote it"
            )

    def file(self, name):
        return os.path.join(self.path, name)

    def has(self, name):
        return name in self._files

    def verify(self):
        """Reads every file; ValueError, one line, for the first that is not what the manifest vouches for."""
        for name, (size, digest) in self._files.items():
            path = self.file(name)
            if not os.path.isfile(path):
                raise ValueError(f"{path}: missing from its set")
            found = os.path.getsize(path)
            if found != size:
                raise ValueError(
                    f"{path}: {found} bytes, its manifest says {size}; it was cut short or changed"
                )
            if _sha256(path) != digest:
                raise ValueError(f"{path}: its content is not what its manifest says; it was changed")
        return self

    def vouches_for(self, path):
        """Whether a file is this set's ``model.pdparams``, by link or by content."""
        name = "model.pdparams"
        if name not in self._files or not os.path.isfile(path):
            return False
        if os.path.exists(self.file(name)) and os.path.samefile(path, self.file(name)):
            return True
        size, digest = self._files[name]
        return os.path.getsize(path) == size and _sha256(path) == digest

    def update(self, **facts):
        """Changes facts of the manifest, in one piece."""
        self.facts.update(facts)
        write_json(os.path.join(self.path, MANIFEST), self.facts)
