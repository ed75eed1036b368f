"""The command `ppdet-ext VERB ...`: one file a verb, imported only when its verb is used.

A verb's file has `add_arguments(parser)`, `run(args) -> int` (the exit status) and `EXAMPLE`, commands that
work, for its help.
"""

from __future__ import annotations

import importlib
import os
import sys

from ppdet_ext.nearest import choice

PROG = "ppdet-ext"
# verb: (module, one line of what it does)
VERBS = {
    "demo": ("ppdet_ext.cli.demo", "train a small detector, export it, run it: the whole way in minutes"),
    "data": ("ppdet_ext.cli.data", "make, convert, split, check and show datasets"),
    "train": ("ppdet_ext.cli.train", "train a detector from a config (PaddleDetection's flags)"),
    "eval": ("ppdet_ext.cli.eval", "evaluate a checkpoint on the config's dataset (PaddleDetection's flags)"),
    "infer": ("ppdet_ext.cli.infer", "detect objects with a checkpoint (PaddleDetection's flags)"),
    "predict": (
        "ppdet_ext.cli.predict",
        "detect objects in pictures, videos and cameras with an exported model",
    ),
    "track": ("ppdet_ext.cli.track", "follow objects through videos and cameras with an exported model"),
    "info": (
        "ppdet_ext.cli.info",
        "say what a network consists of and costs, and what an exported folder holds",
    ),
    "export": ("ppdet_ext.cli.export", "turn a trained model into files for every engine"),
    "quantize": ("ppdet_ext.cli.quantize", "turn a trained model into INT8 files, after training"),
    "verify": ("ppdet_ext.cli.verify", "prove that an exported model does what the trained one does"),
    "bench": ("ppdet_ext.cli.bench", "measure what an exported model costs in each engine"),
    "threshold": (
        "ppdet_ext.cli.threshold",
        "choose the score threshold for work: recall, false alarms, the worst errors",
    ),
    "report": (
        "ppdet_ext.cli.report",
        "report on a checkpoint: pictures, tables, a model card, one page of all",
    ),
    "weights": ("ppdet_ext.cli.weights", "convert weights of other frameworks"),
    "doctor": ("ppdet_ext.cli.doctor", "say what this machine can run, what is missing and how to get it"),
    "completion": ("ppdet_ext.cli.completion", "print a script that completes verbs and flags in a shell"),
}


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {summary}" for verb, (_, summary) in VERBS.items())
    return (
        f"usage: {PROG} VERB ...\n\n{verbs}\n\n"
        f"'{PROG} VERB --help' explains a verb; '{PROG} --version' prints the version."
    )


def _fail(where: str, message: str) -> int:
    print(f"{where}: {' '.join(message.split())}", file=sys.stderr)
    return 2


def describe(error: Exception) -> str:
    """What an error that bad input caused has to say, its file first."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def main(argv: list[str] | None = None) -> int:
    """Runs one verb (`argv` defaults to the process's arguments) and returns the exit status.

    Bad input, which the library reports as ValueError or OSError, becomes one line on stderr and status 2
    (with PPDET_EXT_DEBUG=1 in the environment it keeps its traceback); any other exception is our bug and
    passes through.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if argv[0] == "--version":
        from ppdet_ext import __version__

        print(f"{PROG} {__version__}")
        return 0
    os.environ.setdefault("GLOG_minloglevel", "2")  # Paddle's notes to its developers; errors stay
    verb = argv[0]
    if verb not in VERBS:
        return _fail(PROG, f"no verb '{verb}'; {choice(verb, VERBS)}")
    return _run(verb, argv[1:])


def _run(verb: str, argv: list[str]) -> int:
    module, summary = VERBS[verb]
    where = f"{PROG} {verb}"
    try:
        command = importlib.import_module(module)
        from .json_output import document_on_stdout
        from .parser import Parser, with_verb

        args = with_verb(Parser(prog=where, description=summary), command).parse_args(argv)
        with document_on_stdout(args):
            status = command.run(args)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print(f"{where}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `ppdet-ext ... | head`: not an error, but nothing more can be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        # Paddle's own faults also come as ValueError, with a C++ stack in the text: bugs, not bad input.
        if os.environ.get("PPDET_EXT_DEBUG") or "Error Message Summary" in str(error):
            raise
        return _fail(where, describe(error))
    except ModuleNotFoundError as error:
        if (error.name or "ppdet_ext").split(".")[0] == "ppdet_ext":
            raise
        return _fail(where, f"needs {error.name}, which is not installed; '{PROG} doctor' says how to get it")
