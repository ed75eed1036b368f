"""What plots about datasets and detectors have in common."""

BLUE, RED, GREY = "#3a7fbd", "#d55e00", "#6b6b6b"
PALE_TO_DARK = ("#bcd7ee", BLUE, "#0b2a4a")
LONGEST_NAME = 24


def new_figure(size, dpi=120, layout="constrained", what="the plot needs"):
    """An empty figure.

    Args:
        size (tuple): width and height, inches.
        dpi (int): pixels an inch.
        layout (str | None): matplotlib's engine that places axes; None for none.
        what (str): the beginning of the error.

    Returns:
        matplotlib.figure.Figure: with a canvas.

    Raises:
        ValueError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ValueError(f"{what} matplotlib, which is not installed; pip install matplotlib") from None
    figure = Figure(figsize=size, dpi=dpi, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes, title, x, y):
    """Title to the left, small texts, no frame above and to the right."""
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def shortened(name):
    """A name of at most LONGEST_NAME letters."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 2] + ".."
