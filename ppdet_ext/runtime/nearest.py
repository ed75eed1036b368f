"""The mend for a mistyped name."""

import difflib


def nearest(name, known):
    """The end of an error about a name that is not known.

    Args:
        name: what was given.
        known (iterable): the names there are.

    Returns:
        str: "did you mean 'x'?" where one is close, else "choose from x, y".
    """
    known = list(known)
    near = difflib.get_close_matches(str(name), known, 1, 0.4)
    return f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(known)}"
