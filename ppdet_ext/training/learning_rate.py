"""One rule for learning rates and total batch sizes, and a word where a run's do not belong together."""

import math

# Rounding of a hand-written rate is no reason to speak.
TOLERANCE = 0.02
# Their step is the gradient times the rate; the others' step hardly depends on the gradient's size.
LINEAR = ("SGD", "Momentum", "LarsMomentum")


def scaled_rate(base_lr, batch_size, total, optimizer="Momentum"):
    """The rate that belongs to another total batch.

    Args:
        base_lr (float): that belongs to ``batch_size`` images.
        batch_size, total (int): images a step of all processes together.
        optimizer (str): Paddle's name. SGD's rates grow with the batch, Adam's and its kin's with the root of
            it.

    Returns:
        float

    Source: Goyal et al., arXiv:1706.02677, section 2.1; for Adam Malladi et al., arXiv:2205.10287, section 4.
    """
    ratio = total / batch_size
    return base_lr * (ratio if optimizer in LINEAR else math.sqrt(ratio))


def reference_rate(reference, pretrained):
    """The config's ``lr_reference``: of its two rates, that of trainings from a checkpoint where it has one.

    Args:
        reference (dict | None): 'base_lr' and 'batch_size' (total) that belong together, and maybe
            'finetune_lr'.
        pretrained: whether the training starts from a checkpoint.

    Returns:
        dict | None: 'base_lr' and 'batch_size'.
    """
    if not reference:
        return None
    base_lr = reference.get("finetune_lr", reference["base_lr"]) if pretrained else reference["base_lr"]
    return {"base_lr": base_lr, "batch_size": reference["batch_size"]}


def rate_advice(base_lr, batch_size, processes, reference, optimizer="Momentum"):
    """Compares a run's learning rate with :func:`scaled_rate`.

    Args:
        base_lr (float): of the run.
        batch_size (int): images a process and step.
        processes (int): that train together.
        reference (dict | None): 'base_lr' and 'batch_size' (total) that belong together.
        optimizer (str): as :func:`scaled_rate` takes it.

    Returns:
        str | None: one line with the rate that the rule gives, or None where the run's fits.
    """
    if not reference:
        return None
    total = batch_size * processes
    fitting = scaled_rate(reference["base_lr"], reference["batch_size"], total, optimizer)
    if abs(base_lr - fitting) <= TOLERANCE * fitting:
        return None
    rule = "linear" if optimizer in LINEAR else "square-root"
    return (
        f"learning rate {base_lr:g} does not fit a total batch of {total} ({processes} x {batch_size}): "
        f"{reference['base_lr']:g} belongs to {reference['batch_size']}, {rule} scaling gives {fitting:.6g}; "
        f"set it with -o LearningRate.base_lr={fitting:.6g}"
    )
