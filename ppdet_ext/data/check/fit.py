"""Does an annotation file fit the model that is to be trained?"""


def check_fit(data, num_classes):
    """Compares the categories with a config's ``num_classes``.

    Args:
        data (Annotations)
        num_classes (int)

    Returns:
        list[Finding]: at most one.
    """
    count = len(data.category_row)
    if count == num_classes or not count:
        return []
    said = f"has {count} classes, but num_classes is {num_classes}"
    if count < num_classes:
        said += "; evaluation dies when it meets one without a category"
    return [data.about_file("num-classes", said, mend=f"set num_classes: {count}")]
