"""Which pictures of a dataset show the same."""

import cv2
import numpy as np
from tqdm import tqdm

# Gray thumbnails of this side say enough to tell two pictures apart, and are cheap to compare.
SIDE = 48
# Rows of the table of correlations that are computed at a time.
BLOCK = 1024


def thumbnails(paths, progress=True):
    """Gray thumbnails as unit vectors around their mean, so that a product of two is their correlation.

    Args:
        paths (list[str]): of pictures.
        progress (bool): show a bar.

    Returns:
        ndarray: [N, SIDE * SIDE] float32; zeros for a picture of one colour.

    Raises:
        ValueError: a file is no picture.
    """
    rows = np.zeros([len(paths), SIDE * SIDE], "float32")
    bar = tqdm(paths, desc="comparing pictures", unit="img", disable=None if progress else True)
    for row, path in zip(rows, bar):
        picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if picture is None:
            raise ValueError(f"{path}: not a picture that OpenCV can read; 'ppdet-ext data check' lists all")
        row[:] = thumbnail(picture)
    return rows


def thumbnail(picture):
    """The thumbnail of one picture, as :func:`thumbnails`.

    Args:
        picture (ndarray): [H, W] uint8, gray.

    Returns:
        ndarray: [SIDE * SIDE] float32.
    """
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype("float32").ravel()
    small -= small.mean()
    length = np.linalg.norm(small)
    return small / length if length > 1 else np.zeros_like(small)  # a gray level's rounding is no content


def similar_pairs(vectors, threshold, progress=False):
    """Pairs of pictures whose thumbnails correlate by ``threshold`` or more.

    Args:
        vectors (ndarray): [N, D] float32, of :func:`thumbnails`.
        threshold (float): 1 is the same picture, up to its brightness and contrast.
        progress (bool): show a bar, where it takes long.

    Returns:
        list[tuple(int, int, float)]: first, second (greater) and their correlation, in the order of the rows.
    """
    pairs = []
    for start in _blocks(len(vectors), progress):
        table = vectors[start : start + BLOCK] @ vectors.T
        for row, column in np.argwhere(table >= threshold):
            if start + row < column:
                pairs.append((int(start + row), int(column), float(table[row, column])))
    return pairs


def most_similar(vectors, others, progress=False):
    """For each picture the one of some other pictures that is most like it.

    Args:
        vectors, others (ndarray): [N, D] and [M, D] float32, of :func:`thumbnails`; M is not 0.
        progress (bool): show a bar, where it takes long.

    Returns:
        tuple(ndarray, ndarray): [N] int, row in ``others``, and [N] float32, their correlation.
    """
    best, values = np.zeros(len(vectors), int), np.zeros(len(vectors), "float32")
    for start in _blocks(len(vectors), progress):
        table = vectors[start : start + BLOCK] @ others.T
        best[start : start + BLOCK] = table.argmax(1)
        values[start : start + BLOCK] = table.max(1)
    return best, values


def _blocks(rows, progress):
    """The first rows of blocks, under a bar."""
    starts = range(0, rows, BLOCK)
    return tqdm(starts, desc="finding similar pictures", delay=2, disable=None if progress else True)


def connected_groups(count, pairs):
    """Numbers the sets of pictures that pairs connect.

    Args:
        count (int): of pictures.
        pairs (iterable): whose first two entries are the numbers of pictures.

    Returns:
        list[int]: for each picture, the smallest number in its set.
    """
    parent = list(range(count))

    def root(node):
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for first, second, *_ in pairs:
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    return [root(node) for node in range(count)]
