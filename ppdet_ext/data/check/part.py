"""One annotation file and its pictures, checked."""

from dataclasses import dataclass, field
from typing import List, Optional

from .annotations import Annotations, read_annotations
from .boxes import check_boxes
from .files import Files, check_files
from .finding import Finding
from .fit import check_fit
from .records import check_records

# Correlation of thumbnails: two frames of one scene are above it, two scenes with one background seldom.
SIMILAR = 0.98


@dataclass
class Part:
    """A split of a dataset, read.

    Args:
        data (Annotations): the annotation file.
        files (Files): which of its images are there.
        pictures (list | None): a Picture for each image, None where there is no file; None for all where the
            pictures were not read.
        findings (list[Finding]): about this split alone.
    """

    data: Annotations
    files: Files
    pictures: Optional[list] = None
    findings: List[Finding] = field(default_factory=list)


def check_part(
    anno, images, num_classes=None, read_pictures=True, similar=SIMILAR, workers=None, progress=True
):
    """Checks an annotation file and its pictures.

    Args:
        anno (str): COCO instances.
        images (str): the folder that file names are relative to.
        num_classes (int | None): of the model that is to be trained.
        read_pictures (bool): False for the quick part: no picture is opened, nothing suspicious looked for.
        similar (float): correlation of thumbnails from which pictures look alike.
        workers (int | None): threads that read pictures.
        progress (bool): show a bar.

    Returns:
        Part.

    Raises:
        ValueError: the file is no COCO instances, or the folder does not exist.
    """
    data = read_annotations(anno)
    files = Files(images, [record.get("file_name") for record in data.images])
    part = Part(data, files)
    found = part.findings
    if num_classes is not None:
        found += check_fit(data, num_classes)
    found += check_records(data)
    found += check_files(data, files)
    sizes = data.sizes
    if read_pictures:
        from .picture import inspect_pictures
        from .pictures import check_pictures, check_twins, known_sizes

        part.pictures = inspect_pictures(files.paths, workers, progress)
        found += check_pictures(data, files.paths, part.pictures)
        found += check_twins(data, files.paths, part.pictures, similar, progress)
        sizes = known_sizes(data, part.pictures)
    found += check_boxes(data, sizes, files.paths, suspicious=read_pictures)
    return part
