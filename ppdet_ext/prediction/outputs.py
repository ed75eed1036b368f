"""Where `predict` puts what: never two things to one place, never onto an input."""

import re
from pathlib import Path


class Names:
    """Gives every input the name of its picture or video.

    Args:
        output (Path): folder of the pictures.
        inputs (list): files (Path) that stay as they are.
    """

    def __init__(self, output, inputs):
        self.output = output
        self.inputs = {file.resolve() for file in inputs}
        self.taken = set()

    def picture(self, name):
        """Path for the picture of an image of this relative name: PNG stays PNG, all else becomes JPEG."""
        return self._free(name, ".png" if name.suffix.lower() == ".png" else ".jpg")

    def video(self, name):
        """Path for the video of a video of this relative name."""
        return self._free(name, ".mp4")

    def camera(self, source):
        """Path for the video of a camera of this name."""
        return self._free(Path(re.sub(r"[^\w.]+", "-", source).strip("-.") + ".mp4"), ".mp4")

    def _free(self, name, suffix):
        path, number = self.output / name.with_suffix(suffix), 1
        while path in self.taken or path.resolve() in self.inputs:
            number += 1
            path = self.output / name.with_name(f"{name.stem}-{number}{suffix}")
        self.taken.add(path)
        return path

    def report(self, option, path):
        """Path of a file that an option names.

        Raises:
            ValueError: it is an input, a picture or another report, or a folder.
        """
        path = Path(path)
        if path.resolve() in self.inputs:
            raise ValueError(f"{path}: is an input, {option} would overwrite it; choose another file")
        if path.resolve() in {taken.resolve() for taken in self.taken}:
            raise ValueError(f"{path}: is written already, {option} needs a file of its own")
        if path.is_dir():
            raise ValueError(f"{path}: is a folder; name a file for {option}")
        self.taken.add(path)
        return path
