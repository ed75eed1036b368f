"""What verbs share that take pictures, videos and cameras through an exported model."""

from pathlib import Path

from .common import add_engine_arguments


def add_source_arguments(parser, inputs):
    """INPUT and the options of :func:`add_engine_arguments`.

    Args:
        parser (argparse.ArgumentParser)
        inputs (str): the help of INPUT.
    """
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help=inputs)
    add_engine_arguments(parser)


def check_numbers(args):
    """Refuses a --threshold, --batch or --frames that no work could follow."""
    if not 0 <= args.threshold <= 1:
        raise ValueError(f"--threshold is {args.threshold}; give a score from 0 to 1")
    for option, value in (("--batch", args.batch), ("--frames", args.frames)):
        if value is not None and value < 1:
            raise ValueError(f"{option} is {value}; give a whole number from 1 up")


def check_report(file):
    """Refuses what stands behind a --json without a file and was meant for an INPUT."""
    if file and Path(file).exists() and Path(file).suffix.lower() != ".json":
        raise ValueError(f"--json {file}: is there and no JSON file; for stdout write --json last")


def count_frames(inputs, limit):
    """Images and frames to come, None if that cannot be known.

    Args:
        inputs (Inputs): of :func:`ppdet_ext.prediction.inputs.find_inputs`.
        limit (int | None): frames of each video and camera.
    """
    from ..runtime.video import Video

    counts = [len(inputs.images)] + [limit] * len(inputs.cameras)
    for file, _ in inputs.videos:
        try:
            with Video(file) as video:
                known = [count for count in (video.count, limit) if count is not None]
            counts.append(min(known) if known else None)
        except ValueError:
            counts.append(0)  # told when its turn comes
    return None if None in counts else sum(counts)
