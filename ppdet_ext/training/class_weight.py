"""How often an object of each class counts in the losses."""

import numpy as np

from ppdet_ext.nearest import choice

# A class of a handful of objects does not take over the loss.
LARGEST = 10.0


def _names(dataset):
    """Names of a dataset's classes, by label."""
    labels = dataset.cname2cid
    return sorted(labels, key=labels.get)


def count_objects(records, num_classes):
    """Objects of each class [C] int, in PaddleDetection's records of a training set."""
    counts = np.zeros(num_classes, int)
    for record in records:
        labels = np.asarray(record.get("gt_class", [])).astype(int).flatten()
        counts += np.bincount(labels, minlength=num_classes)[:num_classes]
    return counts


def balanced(counts):
    """Weights by the inverse square root of the classes' frequency, of mean 1 over the objects, up to 10.

    Args:
        counts (ndarray): [C] objects of each class; one without has weight 1.

    Returns:
        list[float]: w_c = n_c^-1/2 * sum(n) / sum(n^1/2).

    Source: Mahajan et al., arXiv:1805.00932, section 2.2, where it is how often an image is shown.
    """
    counts = np.asarray(counts, float)
    seen = counts > 0
    if not seen.any():
        return [1.0] * len(counts)
    root = np.sqrt(np.where(seen, counts, 1))
    weights = np.minimum(counts.sum() / root[seen].sum() / root, LARGEST)
    return np.where(seen, weights, 1.0).tolist()


def class_weights(given, dataset, num_classes):
    """The config's ``class_weight`` as a weight for each class, for :meth:`DenseHead.set_class_weight`.

    Args:
        given (dict | list | str): ``{person: 2.0}`` (the others 1), one number for each class, or 'auto',
            which is :func:`balanced`.
        dataset: of PaddleDetection, read: ``cname2cid`` and ``roidbs``.
        num_classes (int): C, of the model.

    Returns:
        list[float]: [C].

    Raises:
        ValueError: an unknown class (the nearest is named), a weight that is no number above 0, or not as
            many as there are classes.
    """
    if given == "auto":
        return balanced(count_objects(dataset.roidbs, num_classes))
    if isinstance(given, dict):
        names = _names(dataset)
        for name in given:
            if name not in names:
                raise ValueError(
                    f"class_weight: {dataset.get_anno()} has no class '{name}'; {choice(name, names)}"
                )
        weights = [1.0] * num_classes
        for name, weight in given.items():
            weights[names.index(name)] = weight
    elif isinstance(given, (list, tuple)):
        weights = list(given)
    else:
        raise ValueError(
            f"class_weight is {given!r}; give {{person: 2.0}}, one number for each class, or auto"
        )
    if len(weights) != num_classes:
        raise ValueError(f"class_weight: {len(weights)} numbers for {num_classes} classes")
    for weight in weights:
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not weight > 0:
            raise ValueError(f"class_weight: {weight!r} is no weight; give numbers above 0")
    return [float(weight) for weight in weights]
