"""What to do next, said by rules from the figures of a model card."""

import numpy as np

# A rule speaks only where its cause is plain. Shares of 1, epochs as shares of the run.
CONFUSED, CONFUSED_BOXES = 0.05, 3
WEAK_CLASS, FEW_BOXES = 0.6, 0.7
SMALL_SHARE, SMALL_LAG = 0.1, 0.6
LOOSE = 0.55
EARLY_BEST = 0.7
MOST_LINES = 3


def advice(card, confusion, command):
    """Sentences, the one that matters most first.

    Args:
        card (dict): of :func:`model_card`.
        confusion (ndarray): [C + 1, C + 1].
        command (str): '-c CONFIG -o weights=FILE', for the commands.

    Returns:
        list[str]: commands between backticks.
    """
    lines = [_at_work(card["metrics"]["at_work"])]
    lines += _course(card["training"])
    lines += _confusions(confusion, [row["name"] for row in card["metrics"]["classes"]])
    lines += _weak_classes(card)
    lines += _small_boxes(card["metrics"]["sizes"])
    lines += _loose_boxes(card["metrics"])
    lines += _unmeasured(card, command)
    return lines


def _at_work(point):
    precision = "none" if point["precision"] is None else f"{point['precision']:.0%}"
    return (
        f"Let detections count from a score of {point['threshold']:.2f} (`--threshold` of `ppdet-ext "
        f"predict`), chosen by {point['chosen_by']}: it finds {point['recall']:.0%} of the boxes, "
        f"{precision} of what it says is right, and it gives {point['false_alarms_an_image']:.2f} false "
        "alarms an image."
    )


def _course(training):
    """Whether the run was too short, or longer than was of use."""
    if not isinstance(training, dict) or len(training["evaluations"]) < 2:
        return []
    best, epochs = training["best_epoch"], training["epochs"]
    *_, before, last = training["evaluations"]
    if best == last["epoch"] and last["ap"] > before["ap"]:
        rise = 100 * (last["ap"] - before["ap"])
        return [
            f"AP still rose by {rise:.1f} points to the last evaluation (epoch {best}): train longer, with a "
            f"larger 'epoch' and a schedule to match."
        ]
    if best <= EARLY_BEST * epochs:
        return [
            f"AP was best after epoch {best} of {epochs} and fell then: the later epochs were of no use. "
            "More data or stronger augmentation helps; early_stop_epochs ends such a run."
        ]
    return []


def _confusions(matrix, names):
    """The pairs of classes that are taken for one another most often, as shares of the annotated boxes."""
    count = len(names)
    annotated = np.maximum(matrix[:-1].sum(1, keepdims=True), 1)
    shares = matrix[:-1, :-1] / annotated
    np.fill_diagonal(shares, 0)
    lines = []
    for place in np.argsort(-shares, axis=None, kind="stable")[:MOST_LINES]:
        true, found = divmod(int(place), count)
        boxes = int(matrix[true, found])
        if shares[true, found] >= CONFUSED and boxes >= CONFUSED_BOXES:
            lines.append(
                f"{boxes} of {int(annotated[true, 0])} boxes of '{names[true]}' are taken for "
                f"'{names[found]}': look whether both are labelled alike, and add pictures that tell them "
                "apart."
            )
    return lines


def _weak_classes(card):
    """Classes far below the mean that have few boxes to learn from."""
    trained = card["data"]["TrainDataset"].get("classes")
    mean = card["metrics"]["ap"]
    if not trained or not mean:
        return []
    typical = float(np.median([boxes for boxes in trained.values()]))
    weak = [row for row in card["metrics"]["classes"] if row["ap"] is not None]
    weak = sorted((row for row in weak if row["ap"] < WEAK_CLASS * mean), key=lambda row: row["ap"])
    return [
        f"'{row['name']}' has AP {100 * row['ap']:.1f} (all classes {100 * mean:.1f}) and only "
        f"{trained[row['name']]} boxes to learn from, where a class typically has {typical:.0f}: label more."
        for row in weak
        if row["name"] in trained and trained[row["name"]] < FEW_BOXES * typical
    ][:MOST_LINES]


def _small_boxes(sizes):
    small, others = sizes[0], [row["ap"] for row in sizes[1:] if row["ap"] is not None]
    total = sum(row["boxes"] for row in sizes)
    if not others or small["ap"] is None or small["boxes"] < SMALL_SHARE * total:
        return []
    if small["ap"] >= SMALL_LAG * max(others):
        return []
    return [
        f"Small boxes (under 32x32 pixels, {small['boxes'] / total:.0%} of all) have AP "
        f"{100 * small['ap']:.1f}, larger ones up to {100 * max(others):.1f}: a larger input size helps, in "
        "TrainReader, EvalReader and TestReader."
    ]


def _loose_boxes(metrics):
    if not metrics["ap50"] or metrics["ap"] >= LOOSE * metrics["ap50"]:
        return []
    return [
        f"AP50 is {100 * metrics['ap50']:.1f}, but AP over stricter overlaps {100 * metrics['ap']:.1f}: "
        "objects are found and their boxes don't fit yet. Train longer; if that does not help, see whether "
        "the labelled boxes are tight."
    ]


def _unmeasured(card, command):
    if card["exported"] is None:
        return [
            f"To deploy it: `ppdet-ext export {command} --to onnx --output FOLDER` `ppdet-ext bench "
            f"--model FOLDER --json FOLDER/bench.json` `ppdet-ext report {command} --exported FOLDER` (this "
            "one puts speed and parity here)."
        ]
    if not isinstance(card["speed"], dict):
        folder = card["exported"]
        return [f"Speed is not measured: `ppdet-ext bench --model {folder} --json {folder}/bench.json`."]
    return []
