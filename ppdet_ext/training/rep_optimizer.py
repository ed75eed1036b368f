"""What RepOptimizer asks of a training."""

from paddle.optimizer import SGD, Momentum

from ppdet_ext.nn import RepOptBlock


def check_optimizer(model, optimizer):
    """Refuses to train ``rep_block: repopt`` with another optimizer than SGD, with or without momentum.

    The blocks' masks stand for branches because a step of SGD is linear in the gradient; Adam and its kin
    divide by the gradient's size, which takes the mask out again.

    Args:
        model (nn.Layer): that is to be trained.
        optimizer (paddle.optimizer.Optimizer): that is to train it.

    Raises:
        ValueError: names the optimizer and what to take in its place.
    """
    if isinstance(optimizer, (Momentum, SGD)):
        return
    for name, layer in model.named_sublayers(include_self=True):
        if isinstance(layer, RepOptBlock) and not layer.deployed:
            raise ValueError(
                f"OptimizerBuilder.optimizer: {type(optimizer).__name__} can't train {name} "
                "(rep_block: repopt), whose scales act through SGD alone; set type: Momentum"
            )
