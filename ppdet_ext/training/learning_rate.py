"""A word about learning rates that were tuned for another batch size."""

# Rounding of a hand-written rate is no reason to speak.
TOLERANCE = 0.02


def linear_scaling_advice(base_lr, batch_size, processes, reference):
    """Compares a learning rate with the linear-scaling rule.

    Args:
        base_lr (float): of the run.
        batch_size (int): images a process and step.
        processes (int): that train together.
        reference (dict | None): 'base_lr' and 'batch_size' (total) that belong together.

    Returns:
        str | None: one line with the rate that the rule gives, or None where the run's fits.

    Source: Goyal et al., arXiv:1706.02677, section 2.1.
    """
    if not reference:
        return None
    total = batch_size * processes
    fitting = reference["base_lr"] * total / reference["batch_size"]
    if abs(base_lr - fitting) <= TOLERANCE * fitting:
        return None
    return (
        f"learning rate {base_lr:g} does not fit a total batch of {total} ({processes} x {batch_size}): "
        f"{reference['base_lr']:g} belongs to {reference['batch_size']}, linear scaling gives {fitting:.6g}; "
        f"set it with -o LearningRate.base_lr={fitting:.6g}"
    )
