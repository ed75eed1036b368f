"""The NMS that an `infer_cfg.yml` asks for, by its name and settings."""

import math

import numpy as np

from ppdet_ext.nearest import choice

from .hard import class_agnostic_nms, multiclass_nms
from .matrix import matrix_nms
from .soft import soft_nms

HARD = {
    "score_threshold": 0.05,
    "nms_top_k": -1,
    "keep_top_k": 100,
    "nms_threshold": 0.5,
    "normalized": True,
    "background_label": -1,
}
# name -> the function, its settings with their defaults: PaddleDetection's for the two kinds it has (its
# MatrixNMS takes class 0 for the background), the paper's sigma for Soft-NMS.
KINDS = {
    "MultiClassNMS": (multiclass_nms, HARD),
    "ClassAgnosticNMS": (class_agnostic_nms, HARD),
    "SoftNMS": (soft_nms, {**HARD, "post_threshold": 0.05, "use_gaussian": True, "gaussian_sigma": 0.5}),
    "MatrixNMS": (
        matrix_nms,
        {
            "score_threshold": 0.05,
            "nms_top_k": -1,
            "keep_top_k": 100,
            "post_threshold": 0.05,
            "use_gaussian": False,
            "gaussian_sigma": 2.0,
            "normalized": False,
            "background_label": 0,
        },
    ),
}


def _is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value):
    return isinstance(value, float) and math.isfinite(value) or _is_whole(value)


def _is_share(value):
    return _is_number(value) and 0 <= value <= 1


def _is_count(value):
    return _is_whole(value) and (value == -1 or value > 0)


COUNT = (_is_count, "give a whole number from 1 up, or -1 for all")
SHARE = (_is_share, "give a number from 0 to 1")
SWITCH = (lambda value: isinstance(value, (bool, int)) and value in (0, 1), "give true or false")
CHECKS = {
    "score_threshold": (_is_number, "give a number"),
    "nms_top_k": COUNT,
    "keep_top_k": COUNT,
    "nms_threshold": SHARE,
    "post_threshold": SHARE,
    "use_gaussian": SWITCH,
    "gaussian_sigma": (lambda value: _is_number(value) and value > 0, "give a number above 0"),
    "normalized": SWITCH,
    "background_label": (_is_whole, "give a class number, or -1 for none"),
}


class NMS:
    """One kind of NMS with its settings.

    Args:
        entry (dict): `NMS` of an `infer_cfg.yml`: {'name': 'MultiClassNMS', 'score_threshold': 0.01, ...};
            the name is one of KINDS, MultiClassNMS if it is missing; a missing setting has the default there.
        source (str): the file it comes from, for errors.

    Raises:
        ValueError: the name or a setting is not known (answered with the nearest), or a value is not of its
            kind.
    """

    def __init__(self, entry, source="infer_cfg.yml"):
        settings = dict(entry)
        name = settings.pop("name", "MultiClassNMS")
        if not isinstance(name, str) or name not in KINDS:
            raise ValueError(f"{source}: NMS '{name}' is not known; {choice(name, KINDS)}")
        self.function, defaults = KINDS[name]
        if name == "MultiClassNMS" and settings.pop("nms_eta", 1.0) != 1.0:
            raise ValueError(
                f"{source}: NMS has nms_eta other than 1.0; adaptive thresholds are not known, take it out"
            )
        for key, value in settings.items():
            if key not in defaults:
                raise ValueError(
                    f"{source}: NMS is {name}, of which the setting '{key}' is not known; "
                    f"{choice(key, defaults)}"
                )
            fits, mend = CHECKS[key]
            if not fits(value):
                raise ValueError(f"{source}: NMS setting '{key}' is {value!r}; {mend}")
        self.settings = {**defaults, **settings}

    def __call__(self, boxes, scores, score_threshold=None):
        """Suppress in one image.

        Args:
            boxes (numpy.ndarray): [L, 4] float32 xyxy, in pixels of the input image.
            scores (numpy.ndarray): [C, L] float32.
            score_threshold (float | None): replaces the one of the settings, and the one after the fall of
                the kinds that lower scores.

        Returns:
            tuple: indices [N] int64 into L, labels [N] int64 and scores [N] float32, by falling score.
        """
        settings = dict(self.settings)
        if score_threshold is not None:
            for key in {"score_threshold", "post_threshold"} & set(settings):
                settings[key] = score_threshold
        indices, labels, *lowered = self.function(boxes, scores, **settings)
        return indices, labels, lowered[0] if lowered else np.asarray(scores, np.float32)[labels, indices]
