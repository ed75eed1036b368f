"""The mend for a mistyped name."""

import difflib


def nearest(name, known, cutoff=0.6):
    """The name of ``known`` that is most like ``name``, or None.

    Args:
        name: what was given.
        known (iterable): the names there are.
        cutoff (float): least likeness, 0..1.
    """
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=cutoff)
    return close[0] if close else None


def did_you_mean(name, known):
    """The end of an error about an unknown name: "; did you mean 'x'?", or "" where none is like it."""
    close = nearest(name, known)
    return f"; did you mean '{close}'?" if close else ""


def choice(name, known):
    """The end of an error about an unknown name: "did you mean 'x'?", or "choose from x, y"."""
    known = list(known)
    close = nearest(name, known, cutoff=0.4)
    return f"did you mean '{close}'?" if close else f"choose from {', '.join(known)}"
