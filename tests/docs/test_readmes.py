"""The README in Chinese says what the README says: its commands, links, headings, tables and figures."""

import re

import pytest

from .pages import FENCE, INLINE, LINK, ROOT

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
LANGUAGES = {
    ENGLISH: "English | [简体中文](README.zh-CN.md)",
    CHINESE: "[English](README.md) | 简体中文",
}
CHARACTER = re.compile(r"[\u4e00-\u9fff]")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e-\d+)?")
SEPARATOR = re.compile(r"\|(?:---\|)+")


def text_of(page):
    """A README without the line of languages."""
    text = page.read_text(encoding="utf-8")
    assert text.splitlines()[2] == LANGUAGES[page]
    return text.replace(LANGUAGES[page], "", 1)


def blocks_of(text):
    """(language, lines) of every block of code, without comments and what stands before them."""
    return [
        (kind, [re.sub(r"(^|\s)\s*#\s.*", "", line).rstrip() for line in block.splitlines()])
        for kind, block in FENCE.findall(text)
    ]


def sections_of(text):
    """(level of the heading, what stands below it, without code) of every section."""
    parts = re.split(r"^(#+) .*$", FENCE.sub("", text), flags=re.M)
    assert not parts[0].strip()
    return list(zip(map(len, parts[1::2]), parts[2::2]))


def tables_of(text):
    """Tables, each as rows, each row as its cells' (code, links, numbers), in any order within a cell."""
    tables, inside = [], False
    for line in FENCE.sub("", text).splitlines():
        if line.startswith("|") and not inside:
            tables.append([])
        inside = line.startswith("|")
        if inside and not SEPARATOR.fullmatch(line):
            cells = line.strip("|").split(" | ")
            tables[-1].append(
                [tuple(sorted(kind.findall(cell)) for kind in (INLINE, LINK, NUMBER)) for cell in cells]
            )
    return tables


def differences(english, chinese):
    """Names of what is not the same in the texts of two READMEs."""
    found = []
    if blocks_of(english) != blocks_of(chinese):
        found.append("code")
    if [level for level, _ in sections_of(english)] != [level for level, _ in sections_of(chinese)]:
        found.append("headings")
    for name, kind in (("links", LINK), ("names in code", INLINE)):
        sides = [[sorted(kind.findall(part)) for _, part in sections_of(text)] for text in (english, chinese)]
        if sides[0] != sides[1]:
            found.append(name)
    if tables_of(english) != tables_of(chinese):
        found.append("tables")
    if [len(part.split("\n\n")) for _, part in sections_of(english)] != [
        len(part.split("\n\n")) for _, part in sections_of(chinese)
    ]:
        found.append("paragraphs")
    return found


def test_both_say_the_same():
    english, chinese = text_of(ENGLISH), text_of(CHINESE)
    assert len(blocks_of(english)) > 8 and len(sections_of(english)) > 7 and len(tables_of(english)) > 3
    # One line more: the documents behind the links are in English.
    note = "以下链接指向的文档均为英文。\n\n"
    assert chinese.count(note) == 1
    assert differences(english, chinese.replace(note, "")) == []


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        ("bash scripts/test.sh  ", "bash scripts/tests.sh  ", "code"),
        ("\n## 部署\n", "\n### 部署\n", "headings"),
        ("(docs/data.md)", "(docs/training.md)", "links"),
        ("`ETHead.reg_max: 0`", "`ETHead.reg_max: 1`", "names in code"),
        ("B0 至 B7", "B0 至 B6", "tables"),
        ("\n\n导出选项：", "\n\n另有。\n\n导出选项：", "paragraphs"),
    ],
)
def test_a_drift_is_seen(before, after, name):
    chinese = text_of(CHINESE)
    assert chinese.count(before) == 1
    assert name in differences(text_of(ENGLISH), chinese.replace(before, after))


def test_each_is_in_its_language():
    assert not CHARACTER.search(text_of(ENGLISH))
    for _, part in sections_of(text_of(CHINESE)):
        for paragraph in part.strip().split("\n\n"):
            bare = INLINE.sub("", re.sub(r"<!--.*?-->", "", paragraph)).strip()
            assert not bare or CHARACTER.search(bare), paragraph
