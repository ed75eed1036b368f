"""The ids of images and categories in a COCO annotation file, for results that are to be scored with it."""

import json
from pathlib import Path


class CocoIds:
    """Ids by file name, from an annotation file; its list of annotations may be missing, as in test sets.

    Args:
        path (str | Path): COCO instances JSON.
        names (list): class names of the model, in the order of its labels.

    Attributes:
        categories (list): category id of each label: labels stand for categories in the order of their ids.

    Raises:
        ValueError: the file cannot be read or is no such JSON, or its categories are not the model's classes.
    """

    def __init__(self, path, names):
        self.path = path
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            self._images = {str(image["file_name"]): image["id"] for image in content["images"]}
            categories = sorted((entry["id"], str(entry["name"])) for entry in content["categories"])
        except OSError as error:
            raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from None
        except (ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ValueError(
                f"{path}: is not COCO instances ({reason}); give another file to --anno"
            ) from None
        self.categories = [number for number, _ in categories]
        known = [name for _, name in categories]
        if known != names:
            raise ValueError(
                f"{path}: its {len(known)} categories ({', '.join(known[:3])}, ...) are not the model's "
                f"{len(names)} classes ({', '.join(names[:3])}, ...); give the file of the model's dataset"
            )

    def image_id(self, file, name):
        """Id of an image.

        Args:
            file (Path): the image.
            name (Path): its name relative to the folder given.

        Raises:
            ValueError: the annotation file has no image of this name, or of the end of this path.
        """
        for parts in (name.parts, *(file.parts[first:] for first in range(len(file.parts)))):
            if "/".join(parts) in self._images:
                return self._images["/".join(parts)]
        raise ValueError(f"{file}: {self.path} has no image of this name; leave the image or --anno out")
