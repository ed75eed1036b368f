"""Which images of a dataset must stay together when it is split."""

import os
import re
from collections import Counter
from typing import List, NamedTuple

from .coco_records import some
from .similarity import connected_groups, similar_pairs, thumbnails


class Groups(NamedTuple):
    """
    Args:
        keys (list[int]): for each image; equal keys stay together.
        similar (int): images that look like another one.
        unmatched (list[str]): names that the pattern does not fit.
    """

    keys: List[int]
    similar: int
    unmatched: List[str]

    @property
    def sizes(self):
        """Sizes of the groups of more than one image, the largest first."""
        return sorted((n for n in Counter(self.keys).values() if n > 1), reverse=True)


def group_images(dataset, image_dir=None, threshold=None, pattern=None, progress=True):
    """Groups the images of a dataset: those of one file, those that look alike, those whose names say so.

    Args:
        dataset (dict): COCO instances.
        image_dir (str | None): the folder that the names count from; needed for a threshold.
        threshold (float | None): pictures that correlate by this or more stay together; see
            :func:`ppdet_ext.data.similarity.similar_pairs`. None: pictures are not looked at.
        pattern (str | None): regular expression, found in a name; images with the same text in its first
            pair of parentheses stay together.
        progress (bool): show a bar.

    Returns:
        Groups

    Raises:
        ValueError: pictures are missing or unreadable, the threshold is not in (0, 1], or the pattern is no
            regular expression with a pair of parentheses.
    """
    names = [str(image["file_name"]) for image in dataset["images"]]
    pairs = _same(names)
    unmatched = []
    if pattern is not None:
        keys = _keys(names, pattern)
        unmatched = [name for name, key in zip(names, keys) if key is None]
        pairs += _same(keys)
    similar = []
    if threshold is not None:
        if not 0 < threshold <= 1:
            raise ValueError(f"a similarity of {threshold:g}: give a correlation above 0, at most 1")
        paths = [os.path.join(image_dir, name) for name in names]
        missing = [name for name, path in zip(names, paths) if not os.path.isfile(path)]
        if missing:
            raise ValueError(
                f"{image_dir}: lacks {len(missing)} of {len(names)} images ({some(missing)}); give the "
                "folder that their names count from"
            )
        similar = similar_pairs(thumbnails(paths, progress), threshold, progress)
    keys = connected_groups(len(names), [*pairs, *similar])
    return Groups(keys, len({number for pair in similar for number in pair[:2]}), unmatched)


def _same(keys):
    """Pairs that chain up the places of equal keys; None is equal to nothing."""
    last, pairs = {}, []
    for place, key in enumerate(keys):
        if key is not None:
            if key in last:
                pairs.append((last[key], place))
            last[key] = place
    return pairs


def _keys(names, pattern):
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern '{pattern}' is no regular expression ({error})") from None
    if expression.groups < 1:
        raise ValueError(
            f"the pattern '{pattern}' has no parentheses around what names a group, as in '(.*)_\\d+'"
        )
    found = (expression.search(name) for name in names)
    keys = [match and match.group(1) for match in found]
    if not any(keys):
        raise ValueError(f"the pattern '{pattern}' fits none of the names (the first is '{names[0]}')")
    return keys
