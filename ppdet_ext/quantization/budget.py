"""The fewest layers kept float that keep the loss within a budget."""


def fewest_float(rank, drop_of, budget, say=print):
    """Searches how many of the most sensitive layers have to stay float.

    Args:
        rank (callable): gives the layers, the most sensitive first; asked only if all of them in INT8 lose
            too much.
        drop_of (callable): list of float layers -> AP lost, in points of 100; None where it cannot be told.
        budget (float): AP that may be lost, in points of 100.
        say (callable): is told each step.

    Returns:
        tuple[list[str], float]: the layers that stay float, and what is lost then.

    Raises:
        ValueError: there is no AP to measure, or every layer would have to stay float.
    """
    drops = {}

    def drop(layers):
        count = len(layers)
        if count not in drops:
            drops[count] = lost = drop_of(layers)
            if lost is None:
                raise ValueError("--max-drop: the evaluation set has no boxes, so there is no AP to keep")
            say(f"{count} convolutions float: AP {-lost:+.2f}")
        return drops[count]

    if drop([]) <= budget:
        return [], drops[0]
    ranked = rank()
    too_few, enough = 0, 1
    while enough < len(ranked) and drop(ranked[:enough]) > budget:
        too_few, enough = enough, enough * 2
    if enough >= len(ranked):
        enough = len(ranked) - 1
        if drop(ranked[:enough]) > budget:
            raise ValueError(
                f"--max-drop {budget}: even one quantised convolution loses {drops[enough]:.2f} points; "
                "calibrate with more images or another --method, or train with --slim_config"
            )
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if drop(ranked[:middle]) <= budget:
            enough = middle
        else:
            too_few = middle
    return ranked[:enough], drops[enough]
