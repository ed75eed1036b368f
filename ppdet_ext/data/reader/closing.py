"""When Mosaic ends."""

DEFAULT = 30  # epochs before the end of the run
# The largest part of a run that goes without Mosaic, so that a short one still has some.
PART = 3
DEFAULT_FOR = "MosaicMixUp"


def last_mosaic_epoch(options, listed, epochs):
    """The epochs with Mosaic, counted from the start of the run.

    Args:
        options (dict): a reader's; ``close_mosaic_epochs`` is taken out.
        listed (list[dict]): its sample transforms.
        epochs (int | None): of the run.

    Returns:
        int | None: PaddleDetection's ``mosaic_epoch``; None if the reader does not want Mosaic to end so.

    Raises:
        ValueError: no number of epochs, or two answers to one question.
    """
    asked = "close_mosaic_epochs" in options
    close = options.pop("close_mosaic_epochs", None)
    if not asked and "mosaic_epoch" not in options and any(DEFAULT_FOR in entry for entry in listed):
        close = DEFAULT
    if close is None:
        return None
    if isinstance(close, bool) or not isinstance(close, int) or close < 0:
        raise ValueError(
            f"TrainReader.close_mosaic_epochs is {close!r}; give a whole number of epochs, or null"
        )
    if options.get("mosaic_epoch") is not None:
        raise ValueError(
            "TrainReader: close_mosaic_epochs and mosaic_epoch both say when Mosaic ends; drop mosaic_epoch, "
            "or set close_mosaic_epochs: null"
        )
    if not epochs:
        raise ValueError("TrainReader.close_mosaic_epochs counts back from 'epoch', which the config lacks")
    return epochs - min(close, epochs // PART)
