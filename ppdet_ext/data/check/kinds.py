"""What a check of a dataset can find, with the weight and the mend of each kind."""

from typing import NamedTuple

SEVERITIES = ("error", "warning", "note")


class Kind(NamedTuple):
    """A kind of finding.

    Args:
        severity (str): 'error', what is wrong; 'warning', what looks wrong and may be right; 'note', what is
            right and good to know.
        training (str): what the check before a training does about it: 'refuse', 'warn', or '' for nothing.
        title (str): of the group, before its number.
        mend (str): what to do.
        cleaned (str): what a cleaned copy does about it; '' where it can do nothing.
    """

    severity: str
    training: str
    title: str
    mend: str
    cleaned: str = ""


# In the order of a report. What PaddleDetection 2.6 makes of each is in data/source/coco.py of the package.
KINDS = {
    # The whole file
    "empty": Kind("error", "refuse", "files without a box", "give a file with images and boxes"),
    "num-classes": Kind("error", "refuse", "disagreements with num_classes", "set num_classes"),
    "boxes-corners": Kind(
        "error",
        "refuse",
        "files with boxes as x1, y1, x2, y2",
        "write boxes as x, y, width, height",
    ),
    "boxes-normalised": Kind(
        "error", "refuse", "files with boxes in shares of the picture", "write boxes in pixels"
    ),
    "json-nan": Kind(
        "warning",
        "",
        "files with NaN or Infinity, which are no JSON",
        "write null, or leave the value out",
        "writes null",
    ),
    # Categories
    "category-fields": Kind("error", "refuse", "categories without id or name", "add what is missing"),
    "category-id-twice": Kind(
        "error",
        "refuse",
        "ids that stand for two categories",
        "give each category an id of its own",
    ),
    "category-name-twice": Kind("warning", "warn", "names of two categories", "merge the two, or rename one"),
    "category-bare": Kind("warning", "", "categories without a box", "annotate some, or take it out"),
    "category-rare": Kind("warning", "", "categories with very few boxes", "annotate more"),
    "category-uneven": Kind(
        "note", "", "imbalances of categories", "add pictures of the rare ones, or show these more often"
    ),
    # Records
    "id-type": Kind(
        "error", "refuse", "ids that are no whole numbers", "write whole numbers", "numbers them anew"
    ),
    "image-fields": Kind(
        "error", "refuse", "images without id or file_name", "add what is missing", "leaves them out"
    ),
    "image-id-twice": Kind(
        "error",
        "refuse",
        "ids that stand for two images",
        "give each image an id of its own, and its boxes the same",
        "leaves out both images, as nobody knows whose the boxes are",
    ),
    "image-twice": Kind(
        "error",
        "refuse",
        "images whose file is listed twice, each time with a part of the boxes",
        "keep one record a file",
        "joins them",
    ),
    "size-absent": Kind(
        "error",
        "refuse",
        "images without width and height",
        "add the two, in pixels",
        "takes them from the picture",
    ),
    "annotation-fields": Kind(
        "error",
        "refuse",
        "annotations without id, image_id or category_id",
        "add what is missing",
        "numbers those without an id, and leaves out the others",
    ),
    "annotation-id-twice": Kind(
        "error",
        "refuse",
        "annotations with the id of another, which replaces them",
        "give each annotation an id of its own",
        "numbers them anew",
    ),
    "annotation-id-0": Kind(
        "warning",
        "",
        "annotations with the id 0, whose detection COCO's evaluation counts as false",
        "number from 1",
        "numbers it anew",
    ),
    "image-unknown": Kind(
        "error",
        "refuse",
        "annotations of images that are not there",
        "add the image, or take the annotation out",
        "leaves them out",
    ),
    "category-unknown": Kind(
        "error",
        "refuse",
        "annotations of categories that are not there",
        "add the category, or correct category_id",
        "leaves them out",
    ),
    "area-absent": Kind(
        "error", "refuse", "annotations without area", "add width x height", "sets width x height"
    ),
    "iscrowd-absent": Kind("error", "refuse", "annotations without iscrowd", "add iscrowd: 0", "sets 0"),
    "ids-sparse": Kind("note", "", "lists with gaps in their ids", "nothing: their order counts"),
    "image-bare": Kind(
        "note",
        "warn",
        "images without a box",
        "nothing, if nothing is on them; 'allow_empty: true' trains on them, else they are left out",
    ),
    "crowd": Kind("note", "", "crowds (iscrowd: 1)", "nothing: training leaves them out"),
    # Boxes
    "box-absent": Kind("error", "warn", "annotations without bbox", "add the box", "leaves them out"),
    "box-malformed": Kind(
        "error",
        "refuse",
        "boxes that are not four numbers",
        "write x, y, width and height",
        "leaves them out",
    ),
    "box-not-finite": Kind(
        "error", "refuse", "boxes with NaN or infinity", "correct or delete them", "leaves them out"
    ),
    "box-no-area": Kind("error", "warn", "boxes without area", "correct or delete them", "leaves them out"),
    "box-outside": Kind(
        "error",
        "refuse",
        "boxes that are outside their picture",
        "correct or delete them",
        "leaves them out",
    ),
    "box-beyond": Kind(
        "error", "warn", "boxes that reach out of their picture", "cut them at its edge", "cuts them"
    ),
    "area-zero": Kind(
        "error",
        "refuse",
        "boxes whose area says that there is none, so that training leaves them out",
        "set width x height",
        "sets width x height",
    ),
    "area-greater": Kind(
        "warning",
        "",
        "boxes whose area is greater than the box",
        "set width x height",
        "sets width x height",
    ),
    "box-twice": Kind(
        "warning",
        "warn",
        "boxes that lie on another of the same category",
        "delete one of the two",
        "keeps one of two that are equal",
    ),
    "box-two-categories": Kind(
        "warning", "", "boxes that lie on another of a different category", "decide for one"
    ),
    "box-tiny": Kind("warning", "", "boxes too small to be seen", "delete them, or train on larger pictures"),
    "box-whole": Kind("warning", "", "boxes of the whole picture", "look whether something is outlined"),
    "box-narrow": Kind("warning", "", "boxes of an extreme shape", "look whether something is outlined"),
    # Pictures
    "file-missing": Kind(
        "error",
        "refuse",
        "images whose file is missing",
        "add the file, or correct file_name or the folder",
        "takes the name that the folder has, or leaves the image out",
    ),
    "file-empty": Kind("error", "", "files of zero bytes", "copy the picture again", "leaves the image out"),
    "file-truncated": Kind(
        "error", "", "pictures whose end is missing", "copy the picture again", "leaves the image out"
    ),
    "file-no-picture": Kind(
        "error", "", "files that are no picture", "convert it to JPEG or PNG", "leaves the image out"
    ),
    "picture-turned": Kind(
        "error",
        "",
        "pictures that are annotated as stored, and turned by their EXIF orientation when read",
        "turn the boxes, or remove the orientation from the file",
        "turns the boxes",
    ),
    "picture-size": Kind(
        "error",
        "",
        "pictures of another size than annotated",
        "annotate the picture as it is, or bring back the one that was annotated",
        "takes the picture's size if the boxes fit it, scales them if the picture was, or leaves it out",
    ),
    "picture-exif": Kind(
        "warning",
        "",
        "pictures whose EXIF orientation turns them when read, which the annotated size can't tell",
        "look at one with its boxes",
    ),
    "picture-blank": Kind("warning", "", "pictures of one colour", "look at them, or take them out"),
    "picture-16-bit": Kind("note", "", "pictures of 16 bits", "nothing: their upper 8 bits are read"),
    "picture-cmyk": Kind("note", "", "pictures in CMYK", "convert them to RGB if the colours matter"),
    "picture-alpha": Kind("note", "", "pictures with transparency", "nothing: the alpha channel is left out"),
    "picture-grey": Kind("note", "", "greyscale pictures", "nothing: read as three equal channels"),
    "picture-suffix": Kind("note", "", "pictures in another format than named", "nothing, or rename them"),
    "picture-twice": Kind("warning", "", "pictures that are the same file as another", "keep one"),
    "picture-similar": Kind(
        "note", "", "pictures that look like another", "keep them in one split ('data split' does)"
    ),
    "not-compared": Kind(
        "note", "", "files with too many pictures to compare", "compare a part of it ('data split' makes one)"
    ),
    # Two splits
    "split-categories": Kind(
        "error",
        "refuse",
        "files with other categories",
        "write the same categories in the same order into both",
    ),
    "split-leak": Kind(
        "error",
        "warn",
        "pictures in two splits",
        "take them out of one",
        "leaves the image out",
    ),
    "split-similar": Kind(
        "warning",
        "",
        "pictures that look like one of the other split",
        "keep such pictures in one split ('data split' does)",
    ),
}
