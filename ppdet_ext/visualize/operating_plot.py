"""Recall and false alarms over the score threshold, as a plot."""

from .save import save_figure
from .style import new_figure

# The axes reach so many times as far as the errors at work, and at least to so many percent.
REACH = 4
LEAST_REACH = 4.0


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
    figure = new_figure((11, 4.2))
    left, right = figure.subplots(1, 2)
    worst = LEAST_REACH
    for number, (name, curve) in enumerate(curves.items()):
        colour = f"C{number}"
        missed, alarms = 1 - curve["recall"], 1 - curve["precision"]
        left.plot(curve["threshold"], 100 * missed, color=colour, label=f"{name}: missed")
        left.plot(curve["threshold"], 100 * alarms, "--", color=colour, label=f"{name}: false alarms")
        left.axvline(points[name], color=colour, linewidth=0.8, alpha=0.6)
        right.plot(100 * curve["recall"], 100 * curve["precision"], color=colour, label=name)
        at = (curve["threshold"] >= points[name]).nonzero()[0]
        if len(at):
            right.plot(100 * curve["recall"][at[-1]], 100 * curve["precision"][at[-1]], "o", color=colour)
            worst = max(worst, REACH * 100 * max(missed[at[-1]], alarms[at[-1]]))
    worst = min(worst, 100)
    left.set(title="Errors by threshold", xlabel="score threshold", ylabel="%", ylim=(0, worst), xlim=(0, 1))
    part = (100 - worst, 100 + worst / 50)
    right.set(title="Precision and recall", xlabel="recall, %", ylabel="precision, %", xlim=part, ylim=part)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(loc="best")
    figure.suptitle(title)
    save_figure(path, figure)
