"""Parts of a network that a training leaves as they are."""

from ppdet_ext.nearest import choice


def _part(model, name):
    """The layer of that name, or None. Names as state-dict keys begin: 'backbone.stages.0'."""
    layer = model
    for step in name.split("."):
        layer = layer._sub_layers.get(step)
        if layer is None:
            return None
    return layer


def _unknown(model, name):
    """The refusal of a name, with the nearest one as deep as it, or below the part of it that is right."""
    depth = name.count(".")
    known = [path for path, _ in model.named_sublayers() if path.count(".") == depth]
    parent = name.rpartition(".")[0]
    inside = [path for path in known if parent and path.startswith(f"{parent}.")]
    return ValueError(f"freeze: the model has no part '{name}'; {choice(name, inside or known)}")


def freeze(model, names, freeze_norm=True):
    """Takes parts of a detector out of its training, for ever.

    Their parameters get no gradient, so that an optimizer made afterwards does not have them. With
    ``freeze_norm`` the parts are in evaluation mode besides, whatever mode the detector is put in: BatchNorms
    normalise by their running statistics and leave them, and nothing in them is random.

    Args:
        model (nn.Layer): the detector.
        names (list[str]): parts as the keys of its state-dict begin: 'backbone', 'backbone.stages.0'.
        freeze_norm (bool): False lets running statistics follow the new images.

    Returns:
        list[str]: keys of the state-dict whose values can't change any more.

    Raises:
        ValueError: names that are no list of parts of the model (the nearest is named), or nothing left to
            train.
    """
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"freeze is {names!r}; give a list of parts, such as [backbone.stem]")
    for name in names:
        part = _part(model, name)
        if part is None:
            raise _unknown(model, name)
        for parameter in part.parameters():
            parameter.stop_gradient = True
    if all(parameter.stop_gradient for parameter in model.parameters()):
        raise ValueError(f"freeze: nothing is left to train without {', '.join(names)}")
    if freeze_norm:
        model.register_forward_pre_hook(lambda model, inputs: _keep_in_evaluation(model, names))
    prefixes = tuple(f"{name}." for name in names)
    fixed = [key for key in model.state_dict() if key.startswith(prefixes)]
    if not freeze_norm:
        fixed = [key for key in fixed if not key.endswith(("._mean", "._variance"))]
    return fixed


def _keep_in_evaluation(model, names):
    # By name each time: a distributed training puts other BatchNorms in the places of these.
    for name in names:
        for layer in _part(model, name).sublayers(include_self=True):
            layer.training = False
