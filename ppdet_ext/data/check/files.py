"""Which images of an annotation file are there, asked with one listing a folder."""

import os
import unicodedata


class Files:
    """The files of a dataset.

    Args:
        folder (str): what the names in the annotation file are relative to.
        names (list): file_name of each image; what is no text has no file.

    Attributes:
        paths (list): of each image, str, or None where the file is missing.
        renamed (list): of each image, the name that the folder has where only letter case, the form of
            accents or the kind of slashes differ, or None.

    Raises:
        ValueError: the folder does not exist.
    """

    def __init__(self, folder, names):
        self.folder = os.fspath(folder)
        if not os.path.isdir(self.folder):
            raise ValueError(f"{self.folder}: no such folder of images; check the path")
        self._listings = {}
        self._alike = {}
        self.paths, self.renamed = [], []
        for name in names:
            path = name if isinstance(name, str) and name and "\0" not in name else None
            there = path is not None and self._exists(path)
            self.paths.append(os.path.join(self.folder, path) if there else None)
            self.renamed.append(None if there or path is None else self._nearly(path))

    def _listing(self, folder):
        """Names in a folder, relative to that of the dataset."""
        if folder not in self._listings:
            try:
                with os.scandir(os.path.join(self.folder, folder)) as entries:
                    # A link may lead nowhere.
                    names = {e.name for e in entries if not e.is_symlink() or os.path.exists(e.path)}
            except OSError:
                names = set()
            self._listings[folder] = names
        return self._listings[folder]

    def _exists(self, name):
        folder, last = os.path.split(name)
        return last in self._listing(folder)

    def _nearly(self, name):
        slashed = name.replace("\\", "/")
        if slashed != name and self._exists(slashed):
            return slashed
        folder, last = os.path.split(slashed)
        if folder not in self._alike:
            alike = {}
            for there in self._listing(folder):
                alike.setdefault(_folded(there), []).append(there)
            self._alike[folder] = alike
        candidates = self._alike[folder].get(_folded(last), [])
        # Two that differ in nothing but case: nobody knows which one is meant.
        return os.path.join(folder, candidates[0]) if len(candidates) == 1 else None


def _folded(name):
    return unicodedata.normalize("NFC", name).casefold()


def check_files(data, files):
    """Images whose file is missing.

    Args:
        data (Annotations)
        files (Files): of its images.

    Returns:
        list[Finding].
    """
    found = []
    for row, path in enumerate(files.paths):
        name = data.images[row].get("file_name")
        if path is not None or not isinstance(name, str) or not name:
            continue
        there = files.renamed[row]
        mend = f"the folder has '{there}': write that as file_name" if there else ""
        found.append(data.about_image("file-missing", row, f"is missing in {files.folder}", mend=mend))
    return found
