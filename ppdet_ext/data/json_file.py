"""JSON files that people and their tools made."""

import contextlib
import gc
import json
import os


def read_json(path):
    """Reads a JSON file; NaN and Infinity, which Python's writers make, are taken for numbers.

    Args:
        path (str | Path)

    Returns:
        tuple: the content, and how many NaN and Infinity it has.

    Raises:
        ValueError: it can't be read, is empty, breaks off, or is no JSON: says where.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    if not data.strip():
        raise ValueError(f"{path}: is empty; copy or export the file again")
    tokens = []

    def note(token):
        tokens.append(token)
        return float(token)

    try:
        text = data.decode("utf-8")
        with _no_collection():
            return json.loads(text, parse_constant=note), len(tokens)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except json.JSONDecodeError as error:
        if _breaks_off(error):
            raise ValueError(
                f"{path}: is truncated, the JSON breaks off in line {error.lineno} after {len(data):,} "
                "bytes; copy or export the file again"
            ) from None
        raise ValueError(
            f"{path}:{error.lineno}: is no JSON at column {error.colno} ({error.msg}); correct it there, or "
            "export the file again"
        ) from None
    except RecursionError:
        raise ValueError(f"{path}: has brackets in brackets without end; export the file again") from None


@contextlib.contextmanager
def _no_collection():
    """While millions of objects are made and none is dropped, looking for garbage takes most of the time."""
    active = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if active:
            gc.enable()


def _breaks_off(error):
    """Whether the text ends in the middle: of a list, of a text, or of a word such as 'fals'."""
    rest = error.doc[error.pos :].strip()
    return not rest or error.msg.startswith("Unterminated string") or len(rest) < 8 and rest.isalpha()
