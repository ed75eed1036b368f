"""Every message that the page of troubles is searched by is one that the package says."""

import ast
from functools import lru_cache

import pytest

from .pages import INLINE, ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
# The table behind this paragraph is not ours.
OTHERS = "Messages of other programs"


def messages():
    """The code in the first column of every table of messages, but for other programs'."""
    found, before = [], ""
    for block in PAGE.read_text(encoding="utf-8").split("\n\n"):
        if block.startswith("| message |") and not before.startswith(OTHERS):
            for row in block.splitlines()[2:]:
                found += INLINE.findall(row.split(" | ")[0])
        before = block
    return found


@lru_cache(maxsize=None)
def said():
    """All the text that the sources hold, a piece between two values a line."""
    pieces = [(ROOT / "scripts" / "setup.sh").read_text(encoding="utf-8")]
    for file in (ROOT / "ppdet_ext").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                pieces.append(node.value)
    return "\n".join(pieces)


def test_there_are_messages():
    assert len(messages()) > 60
    assert not any("pkg_resources" in message for message in messages())


@pytest.mark.parametrize("message", messages())
def test_the_package_says_it(message):
    pieces = [piece.strip() for piece in message.split("…")]
    pieces = [piece for piece in pieces if len(piece) > 3]
    assert pieces, "nothing of this message can be searched for"
    missing = [piece for piece in pieces if piece not in said()]
    assert not missing, f"no source says {missing[0]!r}"
