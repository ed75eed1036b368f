"""State dicts of rwightman/efficientdet-pytorch (the package effdet) in the names of our networks."""

import re

import numpy as np

from .translation import Translation

# The seven rows of their backbone's blocks, as places in our five stages.
ROWS = ("0.0", "1.0", "2.0", "3.0", "3.1", "4.0", "4.1")
ATTENTION = (("se.conv_reduce", "se.reduce"), ("se.conv_expand", "se.expand"))
# Without an expanding convolution, and with one: names of a block's norms shift.
FIRST_BLOCK = (
    ("conv_dw", "depthwise.conv"),
    ("bn1", "depthwise.bn"),
    ("conv_pw", "project.conv"),
    ("bn2", "project.bn"),
    *ATTENTION,
)
BLOCK = (
    ("conv_pw", "expand.conv"),
    ("bn1", "expand.bn"),
    ("conv_dw", "depthwise.conv"),
    ("bn2", "depthwise.bn"),
    ("conv_pwl", "project.conv"),
    ("bn3", "project.bn"),
    *ATTENTION,
)
THEIR_NODE, OUR_NODE = "fpn.cell.{c}.fnode.{n}.", "neck.cells.{c}.nodes.{n}."
# Places in the network, theirs and ours, of what has parameters.
PLACES = (
    ("backbone.conv_stem", "backbone.stem.conv"),
    ("backbone.bn1", "backbone.stem.bn"),
    *(
        (f"backbone.blocks.{row}.{{b}}.{theirs}", f"backbone.stages.{place}.{{b}}.{ours}")
        for row, place in enumerate(ROWS)
        for theirs, ours in (BLOCK if row else FIRST_BLOCK)
    ),
    # Of the levels beyond the backbone's, the first changes the width.
    ("fpn.resample.3.conv.{part}", "neck.extra.0.project.{part}"),
    (THEIR_NODE + "combine", OUR_NODE + "fuse"),
    # Theirs is named after the map it reads, ours counted; a node reads a backbone's map first.
    (THEIR_NODE + "combine.resample.{o}.conv.{part}", OUR_NODE + "edges.0.project.{part}"),
    (THEIR_NODE + "after_combine.conv.conv_dw", OUR_NODE + "block.conv.depthwise"),
    (THEIR_NODE + "after_combine.conv.conv_pw", OUR_NODE + "block.conv.pointwise"),
    (THEIR_NODE + "after_combine.conv.bn", OUR_NODE + "block.bn"),
    ("{net}.conv_rep.{r}.conv_dw", "head.{net}.repeats.{r}.conv.depthwise"),
    ("{net}.conv_rep.{r}.conv_pw", "head.{net}.repeats.{r}.conv.pointwise"),
    ("{net}.bn_rep.{r}.{l}.bn", "head.{net}.repeats.{r}.bn.{l}"),
    # After their toggle_head_bn_level_first(), which TorchScript wants.
    ("{net}.bn_rep.{l}.{r}", "head.{net}.repeats.{r}.bn.{l}"),
    ("{net}.predict.conv_dw", "head.{net}.predict.depthwise"),
    ("{net}.predict.conv_pw", "head.{net}.predict.pointwise"),
)
HOLES = {"net": "class_net|box_net", "part": "conv|bn"}
STATISTICS = {"running_mean": "_mean", "running_var": "_variance"}

COUNTERS = "counters of training steps"
# Published sizes by the width of their neck; those of one width are one network but for anchors and levels.
SIZES = {64: "D0", 88: "D1", 112: "D2", 160: "D3", 224: "D4", 288: "D5", 384: "D6, D7 or D7x"}
# Published heads have an output for each of COCO's ids 1..90, of which these ten name no class.
COCO_IDS = 90
NO_CLASS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
COCO_CLASSES = COCO_IDS - len(NO_CLASS)


def _pattern(place):
    """A regular expression of a place and a name within it."""
    holes = re.sub(
        r"\{(\w+)\}", lambda hole: f"(?P<{hole[1]}>{HOLES.get(hole[1], '[0-9]+')})", place.replace(".", r"\.")
    )
    return re.compile(holes + r"\.(?P<leaf>[a-z_]+)")


PATTERNS = [(_pattern(theirs), ours) for theirs, ours in PLACES]


def rename(name):
    """Our name of one of theirs; one that has no place here stays as it is."""
    for pattern, ours in PATTERNS:
        found = pattern.fullmatch(name)
        if found:
            leaf = found["leaf"]
            return f"{ours.format(**found.groupdict())}.{STATISTICS.get(leaf, leaf)}"
    return name


def translate(source, target):
    """Puts a state dict of one of effdet's models 'tf_efficientdet_...' into the names of our network.

    Names and shapes do not tell everything: the activation, the shapes of the anchors and, between
    'efficientdet_d4' (or d5) and 'tf_efficientdet_d4', the backbone's padding and epsilon; only the latter's
    are ours.

    Args:
        source (dict[str, ndarray]): theirs.
        target (dict[str, ndarray]): the state of our network in training form.

    Returns:
        Translation: of the 90 outputs of a published head, a network of 80 classes gets those of COCO's
        classes, in the order of their ids.

    Raises:
        ValueError: not effdet's names, a model without 'tf_', or another width or number of classes than the
            network's.
    """
    _check_names(source)
    renamed, counters = {}, []
    for name, value in source.items():
        if name.endswith("num_batches_tracked"):
            counters.append(name)
            continue
        ours = rename(name)
        if ours in renamed:
            raise ValueError(f"{name} and {renamed[ours][0]} are one parameter, {ours}")
        renamed[ours] = (name, value)
    schema = f"effdet, {_check_width(renamed, target)}"
    if _fit_classes(renamed, target):
        schema += f", {COCO_CLASSES} classes out of {COCO_IDS} ids"
    return Translation(schema, renamed, {COUNTERS: counters} if counters else {}, {})


def _check_names(names):
    parts = {"backbone", "fpn", "class_net", "box_net"}
    if not parts <= {name.split(".")[0] for name in names}:
        raise ValueError(
            f"not effdet's names: {', '.join(list(names)[:3])}; they begin with {', '.join(sorted(parts))} "
            "(of a DetBench, take the state dict of its .model)"
        )
    if not any(re.match(r"class_net\.conv_rep\..*\.bias$", name) for name in names):
        raise ValueError(
            "a model without 'tf_' in its effdet name, as biases missing in front of its BatchNorms tell: "
            "it pads otherwise and has another epsilon than the networks here; take a tf_efficientdet_*"
        )


def _check_width(renamed, target):
    """The width of the neck, in words, checked against our network's."""
    key = "head.box_net.repeats.0.conv.pointwise.bias"
    if key not in renamed:
        return "width unknown"
    theirs = _described(renamed[key][1].size)
    if key in target and theirs != _described(target[key].size):
        raise ValueError(
            f"the weights are of {theirs}, the config's network of {_described(target[key].size)}; take the "
            "config of that size"
        )
    return theirs


def _described(width):
    return f"width {width}" + (f" (EfficientDet-{SIZES[width]})" if width in SIZES else "")


def _fit_classes(renamed, target):
    """Takes COCO's classes out of a published head for a network of so many; whether it did.

    Raises:
        ValueError: the network has another number of classes.
    """
    place, boxes = "head.class_net.predict.pointwise.", "head.box_net.predict.pointwise.bias"
    keys = [place + "weight", place + "bias"]
    if not all(key in renamed and key in target for key in (*keys, boxes)):
        return False
    anchors = target[boxes].size // 4
    outputs = {renamed[key][1].shape[:1] for key in keys}
    if len(outputs) != 1 or renamed[boxes][1].size != target[boxes].size:
        return False
    theirs, rest = divmod(renamed[keys[1]][1].size, anchors)
    ours = target[keys[1]].size // anchors
    if theirs == ours or rest:
        return False
    if (theirs, ours) != (COCO_IDS, COCO_CLASSES):
        hint = f" (or to {COCO_CLASSES}, for COCO's classes out of its ids)" if theirs == COCO_IDS else ""
        raise ValueError(
            f"the weights are of {theirs} classes, the config's network of {ours}; set num_classes to "
            f"{theirs}{hint}"
        )
    known = np.setdiff1d(np.arange(1, COCO_IDS + 1), NO_CLASS) - 1
    for key in keys:
        name, value = renamed[key]
        # An anchor's classes are together.
        picked = value.reshape(anchors, COCO_IDS, *value.shape[1:])[:, known]
        renamed[key] = (name, picked.reshape(-1, *value.shape[1:]))
    return True
