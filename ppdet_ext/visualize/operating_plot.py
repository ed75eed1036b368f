"""Recall and false alarms over the score threshold, as a plot."""

from .save import save_figure


def plot_operating_points(curves, points, path, title=""):
    """Plots what each model does at every threshold, and where it is to work.

    Args:
        curves (dict): name of a model: {'threshold', 'recall', 'precision', 'f_score'} of [T] arrays.
        points (dict): name of a model: its threshold.
        path (str | Path): the picture, a PNG; its folder is made.
        title (str): over the picture.

    Raises:
        ValueError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ValueError(
            "the plot needs matplotlib, which is not installed; pip install matplotlib"
        ) from None
    figure = Figure(figsize=(11, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for number, (name, curve) in enumerate(curves.items()):
        colour = f"C{number}"
        missed, alarms = 1 - curve["recall"], 1 - curve["precision"]
        left.plot(curve["threshold"], 100 * missed, color=colour, label=f"{name}: missed")
        left.plot(curve["threshold"], 100 * alarms, "--", color=colour, label=f"{name}: false alarms")
        left.axvline(points[name], color=colour, linewidth=0.8, alpha=0.6)
        right.plot(curve["recall"], curve["precision"], color=colour, label=name)
        at = (curve["threshold"] >= points[name]).nonzero()[0]
        if len(at):
            right.plot(curve["recall"][at[-1]], curve["precision"][at[-1]], "o", color=colour)
    left.set(title="Errors by threshold", xlabel="score threshold", ylabel="%", ylim=(0, 10), xlim=(0, 1))
    right.set(
        title="Precision and recall", xlabel="recall", ylabel="precision", xlim=(0.9, 1), ylim=(0.9, 1.002)
    )
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(loc="best")
    figure.suptitle(title)
    save_figure(path, figure)
