"""What a hop from the trained model to an engine has to keep, and the judgement."""

from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional

from ppdet_ext.export.parity import count_unmatched, raw_difference

PASSED, FAILED, NOT_MEASURED = "pass", "FAIL", "not measured"
# How far AP may be from the trained model's, in points of 100.
AP_GATES = {"fp32": 0.1, "fp16": 0.3, "int8": 1.0}
# Only detections that score this much need a partner: at the least score, a rounding decides who is in.
MATCHED_SCORE = 0.05
# One tie in so many detections passes: where two boxes of an object score the same to the last digits, a
# rounding decides which of them NMS keeps, and each side's has no partner. A fault of an engine is in every
# image.
TIES = 10_000


@dataclass
class Answers:
    """What one form of the model says about the images.

    Args:
        raw (dict): number of a compared image -> boxes [1, L, 4] and scores [1, C, L].
        found (list): Detections of each image.
        ap (float | None): in points of 100; None without annotations.
    """

    raw: Dict[int, tuple] = field(default_factory=dict)
    found: List = field(default_factory=list)
    ap: Optional[float] = None


class Judge:
    """Holds the hops against the model as trained.

    Args:
        trained (Answers): the reference.
        score (callable): a list of Detections -> AP in points of 100, or None.
    """

    def __init__(self, trained: Answers, score: Callable):
        self.trained = trained
        self.score = score
        trained.ap = score(trained.found)

    def judge(self, hop, precision, answers):
        """One row of the report.

        Args:
            hop (str): its name.
            precision (str): fp32, fp16 or int8: chooses the gates. Only FP32 is held to raw outputs and to
                each detection; the others to their AP, FP16 also to wide gates of its raw outputs.
            answers (Answers): of the hop; its AP is filled in.

        Returns:
            dict: 'hop', 'status', 'precision', 'raw_error', 'detections', 'compared', 'unmatched', 'ap',
            'ap_drop' and, where it failed, 'reason'. 'raw_error' is None where NMS is inside.
        """
        faults = []
        worst = 0.0 if answers.raw else None
        for number, raw in answers.raw.items():
            error, fault = raw_difference(raw, self.trained.raw[number], precision)
            worst = max(worst, error)
            faults += [f"raw {fault}"] if fault and not faults else []
        compared, unmatched = self._match(answers.found)
        if unmatched > 2 * (compared // TIES) and precision == "fp32":
            faults.append(f"{unmatched} of {compared} detections have no partner")
        total = sum(map(len, answers.found))
        if not total and any(map(len, self.trained.found)):
            faults.append("detects nothing")
        answers.ap = self.score(answers.found)
        drop = None
        if answers.ap is not None and self.trained.ap is not None:
            drop = self.trained.ap - answers.ap
            if abs(drop) > AP_GATES[precision]:
                faults.append(
                    f"AP {answers.ap:.2f}, not {self.trained.ap:.2f} (gate: {AP_GATES[precision]} points)"
                )
        return {
            "hop": hop,
            "status": FAILED if faults else PASSED,
            "precision": precision,
            "raw_error": worst,
            "detections": total,
            "compared": compared,
            "unmatched": unmatched,
            "ap": answers.ap,
            "ap_drop": drop,
            **({"reason": "; ".join(faults)} if faults else {}),
        }

    def _match(self, found):
        """How many detections of both sides score enough to need a partner, and how many have none."""
        compared = unmatched = 0
        for ours, theirs in zip(found, self.trained.found):
            for one, other in ((ours, theirs), (theirs, ours)):
                wanted = one.filter(MATCHED_SCORE)
                compared += len(wanted)
                unmatched += count_unmatched(
                    (wanted.boxes, wanted.scores, wanted.labels), (other.boxes, other.scores, other.labels)
                )
        return compared, unmatched
