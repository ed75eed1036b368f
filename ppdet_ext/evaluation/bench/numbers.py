"""From seconds to figures: medians, quartiles, and ratios taken round by round."""

import numpy as np

QUARTILES = ("q1", "median", "q3")


def quartiles(values, scale=1.0):
    """Median and quartiles (linear between neighbours) of some numbers.

    Args:
        values (list): at least one number.
        scale (float): what each is multiplied with, 1000 for milliseconds.

    Returns:
        dict: 'q1', 'median', 'q3', four digits each.
    """
    found = np.percentile(np.asarray(values, float) * scale, (25, 50, 75))
    return {name: four_digits(value) for name, value in zip(QUARTILES, found)}


def four_digits(value):
    """A float with four significant digits: more is noise, and makes a report long."""
    return float(f"{value:.4g}")


def with_total(rounds, phases, name="total"):
    """Rounds with one more phase, the sum of some, step by step.

    Args:
        rounds (list): for each round {phase: [seconds a step]}.
        phases (tuple): those to be added up; rounds that lack one stay as they are.
        name (str): of the sum.

    Returns:
        list: new rounds.
    """
    if not all(phase in times for times in rounds for phase in phases):
        return rounds
    return [
        {**times, name: [sum(step) for step in zip(*(times[phase] for phase in phases))]} for times in rounds
    ]


def latencies(rounds):
    """Figures of every phase of a row, in milliseconds a step.

    Args:
        rounds (list): for each round {phase: [seconds a step]}; at least one.

    Returns:
        dict: '<phase>_ms' with the quartiles over all steps; 'rounds_ms' with each phase's median a round.
    """
    figures, medians = {}, {}
    for phase in rounds[0]:
        figures[f"{phase}_ms"] = quartiles([s for times in rounds for s in times[phase]], 1000)
        medians[phase] = [four_digits(1000 * np.median(times[phase])) for times in rounds]
    return {**figures, "rounds_ms": medians}


def ratio(first, row, phase, first_batch=1, batch=1):
    """How many times as fast as the first row a row is, an image: compared round by round, then quartiles.

    Args:
        first (list): rounds of the first row, as in `latencies`.
        row (list): as many rounds of the row.
        phase (str): of the first row; or a pair, the phase of the first row and the one of the row.
        first_batch (int): images a step of the first row.
        batch (int): images a step of the row.

    Returns:
        dict: 'q1', 'median', 'q3' of the rounds' ratios, above 1 where the row is faster; None where a phase
        is missing.
    """
    its, own = (phase, phase) if isinstance(phase, str) else phase
    if its not in first[0] or own not in row[0]:
        return None
    rounds = zip(first, row)
    return quartiles([np.median(a[its]) / first_batch / (np.median(b[own]) / batch) for a, b in rounds])
