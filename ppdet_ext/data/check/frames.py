"""Annotations moved with their picture: turned by an EXIF orientation, or scaled."""

# Where a point (x, y) of a stored picture of width w and height h is seen. Source: EXIF 2.3, tag Orientation.
QUARTERS = {
    5: lambda x, y, w, h: (y, x),
    6: lambda x, y, w, h: (h - y, x),
    7: lambda x, y, w, h: (h - y, w - x),
    8: lambda x, y, w, h: (y, w - x),
}


def turned(record, orientation, size):
    """An annotation of a stored picture, as its orientation shows it.

    Args:
        record (dict): COCO annotation; box in pixels of the stored picture.
        orientation (int): of EXIF, 5 to 8.
        size (tuple): width and height of the stored picture.

    Returns:
        dict: a copy; see :func:`moved` for its outline.
    """
    return moved(record, lambda x, y: QUARTERS[orientation](x, y, *size))


def scaled(record, factors):
    """An annotation of a picture that was scaled since.

    Args:
        record (dict): COCO annotation.
        factors (tuple): of width and height.

    Returns:
        dict: a copy, with the area scaled too.
    """
    copy = moved(record, lambda x, y: (x * factors[0], y * factors[1]))
    if type(record.get("area")) in (int, float):
        copy["area"] = record["area"] * factors[0] * factors[1]
    return copy


def moved(record, function):
    """An annotation with every point sent through a function that keeps rectangles.

    Args:
        record (dict): COCO annotation with a readable box.
        function (callable): x, y -> x, y.

    Returns:
        dict: a copy. A polygon moves along; an outline in another form (RLE), which can't, is left out.
    """
    x, y, width, height = record["bbox"]
    (x1, y1), (x2, y2) = function(x, y), function(x + width, y + height)
    copy = {**record, "bbox": [min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1)]}
    outline = copy.pop("segmentation", None)
    if isinstance(outline, list):
        pairs = [list(zip(polygon[::2], polygon[1::2])) for polygon in outline]
        copy["segmentation"] = [[v for point in polygon for v in function(*point)] for polygon in pairs]
    return copy
