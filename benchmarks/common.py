"""What the benchmarks share: their result as a file, processes of their own, rounds in which all take turns.

Import it first: it finds the package beside this folder, and imports it before Paddle, whose zlib has a fault
that the package protects against.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tqdm import trange  # noqa: E402

import ppdet_ext  # noqa: E402, F401
from ppdet_ext.runtime.records import write_whole  # noqa: E402

# A complete command of the package, for a process of its own.
CLI = "import sys; from ppdet_ext.cli import main; sys.exit(main())"


def add_json_argument(parser):
    """Gives a benchmark its `--json FILE`."""
    parser.add_argument("--json", metavar="FILE", help="where to write the report")


def write_report(path, report, figures):
    """Writes a report as JSON with the figures that the docs quote, and never half a file.

    Args:
        path (str | Path | None): None writes nothing. Its folder is made.
        report (dict): all that was measured.
        figures (dict): {row: {figure: number, text, bool, list of numbers or None}}, under 'figures'.

    Raises:
        ValueError: a figure that is none of these, or a '/' in a name, which parts names in the docs.
    """
    check_figures(figures)
    if path is not None:
        write_json(path, {**report, "figures": figures})


def check_figures(figures):
    """Raises the ValueError of :func:`write_report`."""
    for row, found in figures.items():
        for name, value in found.items():
            values = value if isinstance(value, list) else [value]
            if not all(each is None or isinstance(each, (bool, int, float, str)) for each in values):
                raise ValueError(f"figure '{name}' of '{row}' is {value!r}; give a number, a text or a list")
            if "/" in f"{row}{name}":
                raise ValueError(f"figure '{name}' of '{row}': no '/' in a name, please; it parts them")


def write_json(path, content):
    """Writes a JSON file whole; arrays become lists."""
    text = json.dumps(content, indent=1, ensure_ascii=False, default=lambda array: array.tolist())
    write_whole(path, text + "\n")


def read_json(path):
    """What is in a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def execute(command, log=None, threads=None, cwd=ROOT, env=None):
    """Runs a command in a process of its own, whatever its exit status.

    Args:
        command (list): program and arguments.
        log (str | Path | None): the file that takes its output.
        threads (int | None): of its CPU engines.
        cwd (str | Path): where it runs; the repository, if not told.
        env (dict | None): variables that it has beside this process's.

    Returns:
        tuple: exit status; what it wrote to stdout ('' with a log); all that it wrote.
    """
    env = {**os.environ, **({} if threads is None else {"OMP_NUM_THREADS": str(threads)}), **(env or {})}
    options = {"cwd": cwd, "env": env, "encoding": "utf-8", "errors": "replace"}
    command = [str(part) for part in command]
    if log is None:
        done = subprocess.run(command, capture_output=True, **options)
        return done.returncode, done.stdout, done.stdout + done.stderr
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8") as stream:
        done = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, **options)
    return done.returncode, "", Path(log).read_text(encoding="utf-8", errors="replace")


def run(command, log=None, statuses=(0,), threads=None):
    """As :func:`execute`; returns its stdout. Without a log, the output is shown if it fails.

    Raises:
        RuntimeError: an exit status that is none of `statuses`; the last line that it wrote is the reason.
    """
    status, stdout, said = execute(command, log, threads)
    if status not in statuses:
        if log is None:
            print(said, file=sys.stderr)
        raise RuntimeError((f"{log}: " if log else "") + last_line(said))
    return stdout


def run_cli(arguments, **options):
    """As :func:`run`, a command of ppdet-ext."""
    return run([sys.executable, "-c", CLI, *arguments], **options)


def last_line(text):
    """The last line of an output that says something: the reason, where a command failed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def turns(functions, rounds, warmup=0):
    """Runs functions in turn, so that a machine whose speed drifts favours none of them.

    Args:
        functions (dict): {name: callable without arguments}.
        rounds (int): turns of each.
        warmup (int): turns before, of which nothing is kept.

    Returns:
        dict: {name: [what the function returned, one a round]}.
    """
    found = {name: [] for name in functions}
    for number in trange(-warmup, rounds, unit="round", leave=False, disable=None):
        for name, function in functions.items():
            result = function()
            if number >= 0:
                found[name].append(result)
    return found


def timed(function):
    """A function that runs another one and returns its seconds."""

    def call():
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return call
