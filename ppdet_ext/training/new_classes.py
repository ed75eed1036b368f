"""A checkpoint of other classes, as the start of a training."""


def class_layers(model):
    """How the state-dict keys of a detector's class predictions begin; () of one that does not say.

    Args:
        model (nn.Layer): a detector; a ``head`` of this package says it.
    """
    layers = getattr(getattr(model, "head", None), "class_layers", ())
    return tuple(f"{model.head_key}.{layer}." for layer in layers)


def other_classes(model, state, keys):
    """What to say where a checkpoint differs from a model in its classes alone.

    Args:
        model (nn.Layer): a detector.
        state (dict): of the checkpoint.
        keys (list[str]): model parameters whose shape differs from the checkpoint's.

    Returns:
        str | None: with the number of classes of both; None where something else differs.
    """
    ours = model.state_dict()
    begin = class_layers(model)
    counts = set()
    for key in keys:
        own, other = list(ours[key].shape), list(state[key].shape) if key in state else []
        # One row, or one of each anchor, a class; what they are computed from is the same.
        if not begin or not key.startswith(begin) or own[1:] != other[1:] or not other:
            return None
        counts.add(other[0] * model.head.num_classes / own[0])
    if len(counts) != 1 or not min(counts).is_integer():
        return None
    return (
        f"its class predictions are of {int(min(counts))} classes, this model's of {model.head.num_classes}: "
        f"they start afresh ({len(keys)} parameters of {', '.join(b + '*' for b in begin)})"
    )
