"""What every operator that moves boxes shares: the fields of a sample that have an entry for each box."""

import numpy as np

# Besides gt_*, the fields of PaddleDetection's samples that have an entry for each box.
PER_BOX = ("is_crowd", "difficult")


def fields_of_boxes(sample):
    """list[str]: the fields with an entry for each box; those that hold None or one value are left out."""
    return [
        field
        for field, value in sample.items()
        if (field.startswith("gt_") or field in PER_BOX) and isinstance(value, (np.ndarray, list))
    ]


def keep_boxes(sample, kept):
    """Drops boxes with all that belongs to them, in place.

    Args:
        sample (dict): of PaddleDetection's readers.
        kept (ndarray): [N] bool.
    """
    for field in fields_of_boxes(sample):
        value = sample[field]
        if isinstance(value, np.ndarray):
            sample[field] = value[kept]
        else:  # polygons
            sample[field] = [entry for entry, keep in zip(value, kept) if keep]


def refuse_shapes(operator, samples):
    """Raises ValueError for samples whose polygons, masks or key points an operator would leave behind."""
    for sample in samples:
        for field in ("gt_poly", "gt_segm", "gt_keypoint"):
            if len(sample.get(field, ())):
                raise ValueError(
                    f"{operator}: moves boxes only; drop it, or drop {field} from the dataset's data_fields"
                )
