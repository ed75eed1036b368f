"""State dicts of meituan/YOLOv6, of its releases 0.2, 0.3 and 0.4, in the names of our networks."""

import re
from functools import partial

import numpy as np

from .translation import Translation

# Places in the network, theirs and ours. {k} is a number; ours may count from another start, or down from
# `levels`, how many the head has. Their levels go from the finest, ours from the coarsest; lists of our neck
# are in the order of computation.
PLACES = (
    ("backbone.stem", "backbone.stem"),
    ("backbone.ERBlock_{k}.0", "backbone.stages.{k-2}.down"),
    ("backbone.ERBlock_{k}.1", "backbone.stages.{k-2}.body"),
    ("backbone.ERBlock_{k}.2", "backbone.stages.{k-2}.spp"),
    ("neck.reduce_layer{k}", "neck.reduce.{k}"),
    ("neck.Bifusion{k}", "neck.join.{k}"),
    ("neck.upsample{k}.upsample_transpose", "neck.join.{k}"),
    ("neck.Rep_p{k}", "neck.top_down.{levels+1-k}"),
    ("neck.downsample{k}", "neck.down.{2-k}"),
    ("neck.Rep_n{k}", "neck.bottom_up.{k-levels}"),
    ("detect.stems.{k}", "yolo_head.stem.{levels-1-k}"),
    ("detect.cls_convs.{k}", "yolo_head.branch_cls.{levels-1-k}.0"),
    ("detect.reg_convs.{k}", "yolo_head.branch_reg.{levels-1-k}.0"),
    ("detect.cls_preds.{k}", "yolo_head.pred_cls.{levels-1-k}"),
    ("detect.reg_preds.{k}", "yolo_head.pred_reg.{levels-1-k}"),
    ("detect.cls_preds_ab.{k}", "yolo_head.anchor_aided.pred_cls.{levels-1-k}"),
    ("detect.reg_preds_ab.{k}", "yolo_head.anchor_aided.pred_reg.{levels-1-k}"),
)
# Distilled heads of 0.3 and of 0.4 have two box branches: of distributions, which learn from a teacher, and
# the direct one, which infers. Each release calls another one of them reg_preds.
DISTILLED = (("reg_preds", "reg_preds_lrtb"), ("reg_preds_dist", "reg_preds"))
OUR_DIRECT, OUR_DISTRIBUTIONS = "yolo_head.pred_direct.", "yolo_head.pred_distributions."
# Within our places.
STAGE = (
    ("conv1", "0"),
    ("block.{j}", "{j+1}"),
    ("cv{j}", "conv{j}"),
    ("m.conv1", "blocks.0"),
    ("m.block.{j}", "blocks.{j+1}"),
)
JOIN = (("cv{j}", "conv{j}"), ("upsample.upsample_transpose", "upsample"))
SPPF = (("cv{j}", "conv{j}"),)
CSPSPPF = (
    ("cv1", "before.0"),
    ("cv2", "aside"),
    ("cv3", "before.1"),
    ("cv4", "before.2"),
    ("cv5", "after.0"),
    ("cv6", "after.1"),
    ("cv7", "out"),
)
# Of a block and of a BatchNorm.
PARTS = {
    "rbr_dense": "conv1",
    "rbr_1x1": "conv2",
    "rbr_identity": "identity",
    "rbr_reparam": "conv",
    "running_mean": "_mean",
    "running_var": "_variance",
}
# What 0.4 puts around convolutions and pooling, and all releases around plain blocks.
WRAPPERS = re.compile(r"\.(?:block(?=\.(?:conv|bn)\.)|sppf|cspsppf)(?=\.)")

COUNTERS = "counters of training steps"
PROJECTION = "projection of the bins, constants"
FOLDED = "convolution biases before a BatchNorm, taken into its running mean"
# What has no part in inference, by our names; one side may lack them.
TRAINING_ONLY = {
    "yolo_head.anchor_aided.": "anchor-aided branch, for training only",
    OUR_DISTRIBUTIONS: "distributions of a distilled head, for training only",
}
OUR_PROJECTION = "yolo_head.proj_conv.weight"
# Of every BatchNorm of the family: a fused convolution is put before one that changes nothing.
EPSILON = 1e-3


def translate(source, target):
    """Puts a state dict of YOLOv6 into the names of one of our networks.

    Names and shapes do not tell activations: a network of theirs with ReLU instead of SiLU (`yolov6l_base`)
    fits a config that has SiLU.

    Args:
        source (dict[str, ndarray]): theirs, in training form or deployed.
        target (dict[str, ndarray]): the state of our network in training form.

    Returns:
        Translation: in training form, whatever ``source`` is: a fused convolution becomes the first branch of
        its block, and the other branches give 0.

    Raises:
        ValueError: not YOLOv6's names, those of 0.1, or a projection other than 0, 1, 2 ...
    """
    dropped = {}
    names = []
    for name in source:
        if name.endswith("num_batches_tracked"):
            dropped.setdefault(COUNTERS, []).append(name)
        elif name in ("detect.proj", "detect.proj_conv.weight"):
            _check_projection(name, source, target)
            dropped.setdefault(PROJECTION, []).append(name)
        else:
            names.append(name)
    schema = detect_schema(names)
    renamed = {}
    for name, ours in zip(names, rename(names, target)):
        if ours in renamed:
            raise ValueError(f"{name} and {renamed[ours][0]} are one parameter, {ours}")
        renamed[ours] = (name, source[name])
    _fold_biases(renamed, dropped)
    fresh = {OUR_PROJECTION: PROJECTION} if OUR_PROJECTION in target else {}
    for prefix, reason in TRAINING_ONLY.items():
        theirs, ours = ([key for key in keys if key.startswith(prefix)] for keys in (renamed, target))
        if theirs and not ours:
            dropped[reason] = [renamed.pop(key)[0] for key in theirs]
        elif ours and not theirs:
            fresh.update(dict.fromkeys(ours, reason))
    deployed = _unfuse(renamed, target)
    return Translation(f"YOLOv6 {schema}, {deployed} form", renamed, dropped, fresh)


def detect_schema(names):
    """Which release wrote these names: '0.2', '0.3' or '0.4'.

    Raises:
        ValueError: none of them.
    """
    if any(name.startswith("detect.obj_preds.") for name in names):
        raise ValueError("YOLOv6 0.1, whose head has an objectness branch; no network here has one")
    if not {"backbone", "neck", "detect"} <= {name.split(".")[0] for name in names}:
        raise ValueError(
            f"not YOLOv6's names: {', '.join(names[:3])}; they begin with backbone, neck, detect"
        )
    if any(name.endswith(".rbr_1x1.weight") for name in names):
        raise ValueError(
            "QARepVGG blocks, of which YOLOv6 has two kinds with the same names; the one of its configs adds "
            "an average pooling, which no block here has; take a model of training_mode 'repvgg'"
        )
    if any(name.startswith("detect.stems.0.block.") for name in names):
        return "0.4"
    return "0.3" if any(name.startswith("neck.Bifusion") for name in names) else "0.2"


def rename(names, target):
    """Our name of each of theirs; one that has no place here keeps what is not understood of it.

    Args:
        names (list[str]): of a whole state dict: some mean one thing beside one name, another beside another.
        target (iterable[str]): our names.
    """
    plain = [WRAPPERS.sub("", name) for name in names]
    levels = {"levels": len({name.split(".")[2] for name in plain if name.startswith("detect.stems.")})}
    places = _box_branches(names, target) + PLACES
    spp = CSPSPPF if any(re.search(r"^backbone\.ERBlock_\d+\.2\.cv7\.", name) for name in plain) else SPPF
    return [_rename(name, places, spp, levels) for name in plain]


def _box_branches(names, target):
    """Places of a distilled head's two box branches, before the other places; none for another head.

    Ours has both where it distils, too; otherwise its one branch is the one that infers.
    """
    both = any(key.startswith(OUR_DIRECT) for key in target)
    ours = ("yolo_head.pred_reg.", OUR_DIRECT) if both else (OUR_DISTRIBUTIONS, "yolo_head.pred_reg.")
    heads = {name.split(".")[1] for name in names if name.startswith("detect.")}
    theirs = next((pair for pair in DISTILLED if heads.issuperset(pair)), ())
    return tuple((f"detect.{name}.{{k}}", place + "{levels-1-k}") for name, place in zip(theirs, ours))


def _rename(name, places, spp, levels):
    ours, rest = _replace(name, places, levels)
    kind = re.sub(r"\.\d+", "", ours)
    inside = {
        "backbone.stages.body": STAGE,
        "backbone.stages.spp": spp,
        "neck.join": JOIN,
        "neck.top_down": STAGE,
        "neck.bottom_up": STAGE,
    }
    part, rest = _replace(rest, inside.get(kind, ()), levels)
    leaf = ".".join(PARTS.get(part, part) for part in rest.split("."))
    return ".".join(filter(None, (ours, part, leaf)))


def _replace(name, table, numbers):
    """The start of a name by the first row of a table that fits, '' without one, and the rest of the name."""
    for theirs, ours in table:
        pattern = re.sub(r"\{(\w)\}", r"(?P<\1>\\d+)", theirs.replace(".", r"\."))
        found = re.match(pattern + r"\.", name)
        if found:
            known = {**numbers, **found.groupdict()}
            return re.sub(r"\{(.+?)\}", partial(_count, known), ours), name[found.end() :]
    return "", name


def _count(known, hole):
    """The value of '{levels+1-k}' and the like, as text."""
    terms = re.findall(r"([+-]?)(\w+)", hole[1])
    return str(sum((-1 if sign == "-" else 1) * int(known.get(term, term)) for sign, term in terms))


def _check_projection(name, source, target):
    """Where a network reads distances out of bins, their values are constants; theirs must be the same."""
    if OUR_PROJECTION not in target:
        return
    bins = target[OUR_PROJECTION].size
    if not np.array_equal(source[name].ravel(), np.arange(bins)):
        raise ValueError(f"{name} is not 0, 1, ... {bins - 1}, one value a bin of the config's reg_max")


def _fold_biases(renamed, dropped):
    """0.2 and 0.3 have convolutions with a bias before a BatchNorm, whose mean takes it away again."""
    for key in [key for key in renamed if key.endswith(".conv.bias")]:
        name, bias = renamed[key]
        mean = key[: -len("conv.bias")] + "bn._mean"
        theirs, value = renamed.get(mean, (None, None))
        if value is not None and value.shape == bias.shape:
            renamed[mean] = (theirs, value.astype("float64") - bias)
            del renamed[key]
            dropped.setdefault(FOLDED, []).append(name)


def _unfuse(renamed, target):
    """Puts fused convolutions into a network in training form; 'training' or 'deployed'."""
    blocks = [key[: -len("conv.bias")] for key in renamed if key.endswith(".conv.bias")]
    blocks = [block for block in blocks if block + "conv.weight" in renamed]
    for block in blocks:
        host = block + "conv1." if block + "conv1.conv.weight" in target else block
        renamed[host + "conv.weight"] = renamed.pop(block + "conv.weight")
        name, bias = renamed.pop(block + "conv.bias")
        ones, zeros = np.ones(bias.shape, "float32"), np.zeros(bias.shape, "float32")
        norm = {"weight": ones, "bias": bias, "_mean": zeros, "_variance": ones - np.float32(EPSILON)}
        renamed.update({f"{host}bn.{leaf}": (name, value) for leaf, value in norm.items()})
        if host != block:
            others = tuple(block + branch for branch in ("conv2.conv.", "conv2.bn.", "identity."))
            for key in filter(lambda key: key.startswith(others), target):
                value = np.ones if key.endswith("_variance") else np.zeros
                renamed[key] = (name, value(target[key].shape, "float32"))
    return "deployed" if blocks else "training"
