"""Training curves from plain records."""

import numpy as np

from .save import save_figure
from .style import new_figure

# Share of the run a point of the smoothed loss looks back on.
SMOOTHING = 0.02
AP_LINES = (("ap", "AP"), ("ap50", "AP50"), ("ap75", "AP75"))


def plot_training(losses, evaluations, path, title=""):
    """Plot losses, learning rate and AP of a run side by side, as a PNG.

    Args:
        losses (list): one dict a step, e.g. {'epoch': 0, 'step': 20, 'loss': 3.1, 'loss_cls': 1.2, 'lr':
            0.001}; every key that begins with 'loss' becomes a line. NaN leaves a gap.
        evaluations (list): one dict an evaluation, e.g. {'epoch': 4, 'ap': 0.31, 'ap50': 0.52}, AP in 0..1.
        path (str | Path): the picture; its folder is made.
        title (str): over the picture.

    Raises:
        ValueError: both lists are empty, a record lacks its 'step' or 'epoch', or matplotlib is not
            installed.
    """
    if not losses and not evaluations:
        raise ValueError(f"{path}: no records of the training; train for at least one logged step")
    for records, key in ((losses, "step"), (evaluations, "epoch")):
        for number, record in enumerate(records):
            if key not in record:
                raise ValueError(f"{path}: record {number} has no '{key}', only {', '.join(record)}")
    figure = new_figure((11, 4.2), what="training curves need")
    left, right = figure.subplots(1, 2)
    _plot_losses(left, losses)
    _plot_ap(right, evaluations)
    figure.suptitle(title)
    save_figure(path, figure)


def _plot_losses(axes, records):
    """Each loss pale and its running mean strong; the learning rate dotted, on its own axis."""
    axes.set(title="Training", xlabel="step", ylabel="loss")
    if not records:
        axes.text(0.5, 0.5, "no steps logged", ha="center", transform=axes.transAxes)
        return
    names = list(dict.fromkeys(key for record in records for key in record if key.startswith("loss")))
    steps = [record["step"] for record in records]
    window = max(1, round(len(steps) * SMOOTHING))
    for number, name in enumerate(names):
        values = np.array([record.get(name, np.nan) for record in records], float)
        axes.plot(
            steps,
            values,
            color=f"C{number}",
            alpha=0.25 if window > 1 else 1,
            linewidth=1,
            label=name if window == 1 else None,
        )
        if window > 1:
            axes.plot(steps, _running_mean(values, window), color=f"C{number}", linewidth=1.6, label=name)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right")
    if any("lr" in record for record in records):
        rate = axes.twinx()
        rate.plot(steps, [record.get("lr", np.nan) for record in records], ":", color="0.45", linewidth=1)
        rate.set_ylabel("learning rate (dotted)")
        rate.set_ylim(bottom=0)


def _plot_ap(axes, records):
    """AP, AP50 and AP75 over the epochs, the best AP marked."""
    axes.set(title="Validation", xlabel="epoch", ylabel="AP")
    if not records:
        axes.text(0.5, 0.5, "not evaluated yet", ha="center", transform=axes.transAxes)
        return
    epochs = [record["epoch"] for record in records]
    for number, (key, label) in enumerate(AP_LINES):
        if any(key in record for record in records):
            axes.plot(
                epochs,
                [record.get(key, np.nan) for record in records],
                "o-",
                color=f"C{number}",
                markersize=3,
                label=label,
            )
    values = np.array([record.get("ap", np.nan) for record in records], float)
    if np.isfinite(values).any():
        best = int(np.nanargmax(values))
        axes.annotate(
            f"{values[best]:.3f}",
            (epochs[best], values[best]),
            xytext=(0, -14),
            textcoords="offset points",
            ha="center",
            color="C0",
        )
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    low = np.isfinite(values).any() and np.nanmax(values) < 0.5
    axes.legend(loc="upper left" if low else "lower right")


def _running_mean(values, window):
    """Mean of each value and up to `window` - 1 before it, NaN left out."""
    known = np.isfinite(values)
    sums = np.cumsum(np.where(known, values, 0))
    counts = np.cumsum(known).astype(float)
    sums[window:], counts[window:] = sums[window:] - sums[:-window], counts[window:] - counts[:-window]
    return np.where(known, sums / np.maximum(counts, 1), np.nan)
