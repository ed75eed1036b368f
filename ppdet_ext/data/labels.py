"""Class names and other text files that people write by hand."""

from pathlib import Path


def read_text(path):
    """A text file, with or without a byte order mark.

    Raises:
        ValueError: it is missing, or not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 text ({error.reason}); save it as UTF-8") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from None


def read_labels(path):
    """Class names from a text file, one a line.

    Args:
        path (str | Path)

    Returns:
        list[str]: as they stand, without the blanks around them; empty lines are left out.

    Raises:
        ValueError: the file cannot be read, is YAML, holds no name, or holds one twice.
    """
    if Path(path).suffix.lower() in (".yaml", ".yml", ".json"):
        raise ValueError(f"{path}: a list of labels is a text file with one class a line; write such a file")
    return checked_names([line.strip() for line in read_text(path).splitlines() if line.strip()], path)


def checked_names(names, where):
    """``names`` where they are fit to tell classes apart; ``where`` they stand is for the error."""
    if not names:
        raise ValueError(f"{where}: names no class; write one name a line")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{where}: names the class '{repeated[0]}' twice; each class needs its own name")
    return names
