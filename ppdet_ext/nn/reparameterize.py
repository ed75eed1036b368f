"""From the training form of a network to its deployed form."""

import paddle


@paddle.no_grad()
def reparameterize(layer):
    """Fuses every block of a network into its deployed form, in place.

    Training branches are summed into one convolution and BatchNorms folded into the convolution before
    them, by each block's own ``convert_to_deploy``. The result is the same function as the network in
    evaluation mode (float32: within 1e-4 relative for a whole model). A second call changes nothing.

    Args:
        layer (nn.Layer): in evaluation mode.

    Returns:
        nn.Layer: ``layer`` itself.

    Raises:
        ValueError: the layer or a part of it is in training mode, where BatchNorm depends on the batch and
            no equal convolution exists. Nothing has been changed then.
    """
    for part in layer.sublayers(include_self=True):
        if part.training:
            raise ValueError(
                f"{type(part).__name__} is in training mode: call .eval() before reparameterize(), "
                "since BatchNorm can be folded only with its running statistics"
            )
    _convert(layer)
    return layer


def _convert(layer):
    if hasattr(layer, "convert_to_deploy"):
        layer.convert_to_deploy()
    for child in layer.children():
        _convert(child)
