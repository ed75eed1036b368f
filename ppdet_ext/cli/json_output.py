"""--json of every verb: the result as one document, in a file or alone on stdout."""

import contextlib
import ctypes
import json
import os
import sys

STDOUT = "-"


def add_json_argument(parser, what="the result", default=None):
    """--json [FILE], for :func:`give_json`.

    Args:
        parser (argparse.ArgumentParser)
        what (str): what the document holds.
        default (str | None): the file that it goes to without the flag.
    """
    parser.add_argument(
        "--json",
        nargs="?",
        const=STDOUT,
        default=default,
        metavar="FILE",
        help=f"write {what} as JSON; without FILE alone to stdout, and all else to stderr"
        + (f" (default: {default})" if default else ""),
    )


def give_json(args, document):
    """Writes a result where --json wants it, if it does.

    Args:
        args (argparse.Namespace): of a verb with :func:`add_json_argument`.
        document: for JSON; paths and NumPy's numbers may be in it.
    """
    if args.json == STDOUT:
        args.document = document
    elif args.json:
        write_document(args.json, document)


def write_document(path, document):
    """Writes a result into a file, whole; paths and NumPy's numbers may be in it."""
    from ppdet_ext.runtime.records import write_whole

    write_whole(path, _text(document))


@contextlib.contextmanager
def document_on_stdout(args):
    """Runs a verb whose stdout holds what it hands to :func:`give_json` and nothing else, if --json asks so.

    What it, its processes and its libraries print goes to stderr. Without a result stdout stays empty.
    """
    if getattr(args, "json", None) != STDOUT:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdout.flush()
        if os.name == "posix":
            ctypes.CDLL(None).fflush(None)  # what C++ has printed and not yet written
        os.dup2(kept, 1)
        os.close(kept)
    if hasattr(args, "document"):
        print(_text(args.document))


def _text(document):
    return json.dumps(document, indent=1, ensure_ascii=False, default=_plain)


def _plain(value):
    if hasattr(value, "tolist"):  # NumPy's
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} is nothing for JSON")
