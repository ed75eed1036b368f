"""What a network consists of and what each part of it costs, measured on the network as built."""

import math

import paddle
import paddle.nn as nn

from ppdet_ext.nn import reparameterize
from ppdet_ext.nn.cost import CONVOLUTIONS, multiply_accumulates, products, trainable_parameters, watching

FORMS = ("training", "deployed")
# Head parameters that several levels use, and those that no level uses in evaluation.
SHARED, TRAINING_ALONE = "shared by the levels", "training alone"
# What turns box outputs into distances, behind the levels.
DISTANCES = "distances"


def profile_network(model, size):
    """Parameters and multiply-accumulates of each part, as trained and deployed.

    The model is put into evaluation mode and, on the way, into its deployed form.

    Args:
        model (nn.Layer): a detector in training form, with ``backbone``, ``neck`` and ``head``; the first two
            have ``parts()``, the head ``predict_level`` and ``fpn_strides``.
        size (int): side of the square image, pixels, a multiple of the coarsest stride.

    Returns:
        dict: 'input' [1, 3, size, size]; 'modules' {'backbone': class name, ...}; 'classes' (int); 'total'
        {'training': {'parameters', 'macs'}, 'deployed': ...}; 'parts': a list of dicts of

        - 'module' ('backbone', 'neck' or 'head'), 'name' ('stage 1', 'down', 'td'; of a head's levels
          'level'), 'group' ('cell 1' or '');
        - 'level' (int: l of the stride 2**l), 'shape' [1, C, H, W] of its map (of a head's level the class
          logits', and 'box_shape' of the box outputs), 'reads' (list[int]: places in this list; empty for the
          image). The head's parts that belong to no level have neither;
        - 'training' and 'deployed' {'parameters', 'macs'}; None where the form has no such part.

        A multiply-accumulate is one product of a convolution and its sum, see :func:`multiply_accumulates`.

    Raises:
        ValueError: a part of the model that does not tell its structure, or a size that does not fit.
    """
    _check(model, size)
    model.eval()
    image = paddle.zeros([1, 3, size, size])
    found = {}
    for form in FORMS:
        if form == "deployed":
            reparameterize(model)
        found[form] = _measure(model, image)
    parts = [{key: value for key, value in row.items() if key != "cost"} for row in found["training"]]
    for form in FORMS:
        costs = {_key(row): row["cost"] for row in found[form]}
        for row in parts:
            row[form] = costs.get(_key(row))
    return {
        "input": list(image.shape),
        "modules": {module: type(getattr(model, module)).__name__ for module in ("backbone", "neck", "head")},
        "classes": model.head.num_classes,
        "total": {
            form: {what: sum(row["cost"][what] for row in found[form]) for what in ("parameters", "macs")}
            for form in FORMS
        },
        "parts": parts,
    }


def _check(model, size):
    for module, needed in (("backbone", "parts"), ("neck", "parts"), ("head", "predict_level")):
        part = getattr(model, module, None)
        if not hasattr(part, needed):
            what = type(model).__name__ if part is None else type(part).__name__
            raise ValueError(
                f"{what}: has no {module if part is None else f'{needed}()'}, so its structure is not known; "
                "take the backbones, necks and heads of ppdet_ext, or give it one"
            )
    coarsest = max(model.head.fpn_strides)
    if size < 1 or size % coarsest:
        raise ValueError(f"size {size}: give a multiple of the coarsest stride, {coarsest}")


def _key(row):
    return row["module"], row["name"], row["group"], row.get("level")


@paddle.no_grad()
def _measure(model, image):
    """The parts of one form, as in :func:`profile_network`, with a 'cost' each."""
    side = image.shape[-1]
    rows = []
    maps, origins = _run_parts("backbone", model.backbone, {"image": image}, [None], side, rows)
    levels, origins = _run_parts("neck", model.neck, maps, origins, side, rows)
    _run_head(model.head, levels, origins, side, rows)
    return rows


def _row(module, name, parameters, macs, group="", **place):
    return {
        "module": module,
        "name": name,
        "group": group,
        **place,
        "cost": {"parameters": parameters, "macs": macs},
    }


def _level(tensor, side):
    return round(math.log2(side / tensor.shape[-1]))


def _run_parts(module, network, inputs, incoming, side, rows):
    """Runs a backbone or a neck and appends its rows.

    Args:
        incoming (list): rows that made the maps that come in; None is the image.

    Returns:
        tuple(list, list): the maps that it gives, and the rows that made them.
    """
    parts = network.parts()
    owner = {
        id(layer): number
        for number, part in enumerate(parts)
        for whole in part.layers
        for layer in whole.sublayers(True)
    }
    makers = {id(part.layers[-1]): number for number, part in enumerate(parts)}
    macs, made = [0] * len(parts), [None] * len(parts)

    def see(layer, inputs, output):
        if isinstance(layer, CONVOLUTIONS):
            macs[owner[id(layer)]] += products(layer, inputs, output)
        if id(layer) in makers:
            made[makers[id(layer)]] = output

    with watching(network, nn.Layer, see):
        outputs = network(inputs)
    origins = [*incoming, *range(len(rows), len(rows) + len(parts))]
    for number, part in enumerate(parts):
        parameters = sum(trainable_parameters(layer) for layer in part.layers)
        reads = [origins[read] for read in part.reads if origins[read] is not None]
        place = {
            "level": _level(made[number], side),
            "shape": list(made[number].shape),
            "reads": list(dict.fromkeys(reads)),
        }
        rows.append(_row(module, part.name, parameters, macs[number], part.group, **place))
    numbers = {id(value): number for number, value in enumerate(made)}
    return outputs, [origins[len(incoming) + numbers[id(output)]] for output in outputs]


def _run_head(head, feats, origins, side, rows):
    """Runs a head level by level and appends its rows: the levels, then what belongs to none."""
    users = {}  # id of a layer: the levels that run it
    total = 0
    levels = []
    for level, (feat, origin) in enumerate(zip(feats, origins)):
        macs = 0

        def see(layer, inputs, output, level=level):
            nonlocal macs
            users.setdefault(id(layer), set()).add(level)
            if isinstance(layer, CONVOLUTIONS):
                macs += products(layer, inputs, output)

        with watching(head, nn.Layer, see):
            classes, boxes = head.predict_level(level, feat)
        place = {"level": _level(classes, side), "shape": list(classes.shape), "reads": [origin]}
        levels.append(_row("head", "level", 0, macs, **place, box_shape=list(boxes.shape)))
        total += macs
    several = _row("head", SHARED, 0, 0)
    alone = _row("head", TRAINING_ALONE, 0, 0)
    for layer in head.sublayers(True):
        own = layer.parameters(include_sublayers=False)
        count = sum(math.prod(p.shape) for p in own if not p.stop_gradient)
        used_by = users.get(id(layer), ())
        row = several if len(used_by) > 1 else levels[next(iter(used_by))] if used_by else alone
        row["cost"]["parameters"] += count
    distances = _row("head", DISTANCES, 0, multiply_accumulates(head, lambda: head(feats)) - total)
    rows += [*levels, *(row for row in (several, distances, alone) if any(row["cost"].values()))]
