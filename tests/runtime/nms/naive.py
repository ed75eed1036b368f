"""Each kind of NMS box by box, as its paper or Paddle has it, to compare with."""

import math

import numpy as np

from .test_hard import crowd

HARD = {"score_threshold": 0.05, "nms_top_k": 400, "keep_top_k": 200, "nms_threshold": 0.5}
FALL = {"post_threshold": 0.05, "use_gaussian": False, "gaussian_sigma": 2.0}
MATRIX = {"score_threshold": 0.05, "nms_top_k": 400, "keep_top_k": 200, **FALL}
SOFT = {**HARD, **FALL, "gaussian_sigma": 0.5}
SETTINGS = [
    {},
    {"use_gaussian": True},
    {"nms_top_k": 15},
    {"keep_top_k": 7},
    {"keep_top_k": -1},
    {"normalized": False},
    {"background_label": 1},
    {"score_threshold": 0.4},
    {"nms_threshold": 0.2},
    {"post_threshold": 0.0, "use_gaussian": True, "gaussian_sigma": 0.1},
]


def tied(seed):
    """Few different scores, many equal boxes, some of them empty."""
    boxes, scores = crowd(seed, 300, 4, 8, 0.1)
    return np.round(boxes / 20) * 20, np.round(scores * 8) / 8


def iou_of(a, b, one):
    """IoU of two boxes in plain float32 arithmetic; NaN for two empty ones at one place."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width < 0 or height < 0:
        return np.float32(0)
    inside = (width + one) * (height + one)
    areas = [(box[2] - box[0] + one) * (box[3] - box[1] + one) for box in (a, b)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return inside / (areas[0] + areas[1] - inside)


def candidates(scores, settings):
    """(class, index, score) of those that enter, best first of each class, as a list a class."""
    for label, row in enumerate(scores):
        if label == settings.get("background_label", -1):
            continue
        entering = [(label, index, s) for index, s in enumerate(row) if s > settings["score_threshold"]]
        entering.sort(key=lambda entry: -entry[2])
        yield entering if settings["nms_top_k"] < 0 else entering[: settings["nms_top_k"]]


def ranked(found, keep_top_k):
    """indices, labels and scores of (class, index, score) entries, best first; ties by class, then index."""
    found = sorted(found, key=lambda entry: (-entry[2], *entry[:2]))
    found = found if keep_top_k < 0 else found[:keep_top_k]
    return [entry[1] for entry in found], [entry[0] for entry in found], [entry[2] for entry in found]


def naive_soft(boxes, scores, **settings):
    one = np.float32(0 if settings.get("normalized", True) else 1)
    found = []
    for left in candidates(scores, settings):
        while left:
            best = max(left, key=lambda entry: (entry[2], -entry[1]))
            if not best[2] > settings["post_threshold"]:
                break
            found.append(best)
            left.remove(best)
            for place, (label, index, score) in enumerate(left):
                iou = iou_of(boxes[best[1]], boxes[index], one)
                iou = 1.0 if np.isnan(iou) else float(iou)
                if settings["use_gaussian"]:
                    score = score * np.float32(math.exp(-iou * iou / settings["gaussian_sigma"]))
                elif iou > settings["nms_threshold"]:
                    score = score * np.float32(1 - iou)
                left[place] = (label, index, score)
    return ranked(found, settings["keep_top_k"])


def naive_matrix(boxes, scores, **settings):
    one = np.float32(0 if settings.get("normalized", True) else 1)
    found = []
    for entering in candidates(scores, settings):
        worst = []
        for place, (label, index, score) in enumerate(entering):
            ious = [iou_of(boxes[entering[j][1]], boxes[index], one) for j in range(place)]
            worst.append(max([np.float32(0)] + [iou for iou in ious if iou == iou]))
            decay = np.float32(1)
            for iou, known in zip(ious, worst):
                if iou != iou or known == 1:
                    continue
                if settings["use_gaussian"]:
                    fall = np.exp((known * known - iou * iou) * np.float32(settings["gaussian_sigma"]))
                else:
                    fall = (np.float32(1) - iou) / (np.float32(1) - known)
                decay = min(decay, fall)
            if score * decay > settings["post_threshold"]:
                found.append((label, index, score * decay))
    return ranked(found, settings["keep_top_k"])


def naive_agnostic(boxes, scores, **settings):
    one = np.float32(0 if settings.get("normalized", True) else 1)
    every = [entry for entering in candidates(scores, {**settings, "nms_top_k": -1}) for entry in entering]
    every.sort(key=lambda entry: (-entry[2], *entry[:2]))
    kept = []
    for label, index, score in every:
        if all(iou_of(boxes[index], boxes[other], one) <= settings["nms_threshold"] for _, other, _ in kept):
            kept.append((label, index, score))
    return ranked(kept, settings["keep_top_k"])


def check(got, expected, atol=1e-5):
    assert (got[0].tolist(), got[1].tolist()) == (expected[0], expected[1])
    assert got[0].dtype == got[1].dtype == np.int64
    if len(got) == 3:
        assert got[2].dtype == np.float32
        np.testing.assert_allclose(got[2], np.array(expected[2], np.float32), rtol=0, atol=atol)
