"""The Paddle model of an exported folder, for both ways to run it; and what Paddle says of a broken one."""

from .checks import find_model
from .pdiparams import check_weights

# Newest format first, for a folder that holds both; and the byte such a file begins with. Paddle takes the
# whole process down on some files that are no program.
PROGRAMS = {"model.json": b"{", "model.pdmodel": b"\n"}
WEIGHTS = "model.pdiparams"


def find_paddle_model(folder):
    """Program and weights of an exported folder, checked as far as that can be done without Paddle.

    Args:
        folder (str | Path): the exported folder.

    Returns:
        tuple: Path of the program (`model.json` of Paddle 3 or `model.pdmodel` of Paddle 2), Path of the
        weights.

    Raises:
        ValueError: a file is missing, empty or truncated, or is none of Paddle's.
    """
    program = find_model(folder, PROGRAMS)
    weights = find_model(folder, [WEIGHTS])
    check_weights(weights)
    with open(program, "rb") as file:
        if file.read(1) != PROGRAMS[program.name]:
            raise ValueError(f"{program}: is empty or no Paddle program; copy or export it again")
    return program, weights


def summary(error):
    """The line of Paddle's long report that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # 'InvalidArgumentError: ...' after a C++ trace, '(InvalidArgument) ...' without one
    marked = [line for line in lines if "Error:" in line] or [line for line in lines if line.startswith("(")]
    return (marked[:1] or lines[-1:] or [type(error).__name__])[0]
