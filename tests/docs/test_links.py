"""What the pages point at is there: links, files by name, commands and their flags."""

import argparse
import re
import shlex
from functools import lru_cache

import pytest

from ppdet_ext.cli.completion import whole_parser

from .pages import FENCE, INLINE, LINK, PAGES, ROOT, anchors_of, name_of, prose_of

# Folders of the repository whose files the pages name.
FOLDERS = "benchmarks configs deploy docs ppdet_ext scripts tests tools".split()
FILE = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./{{}},*-]+")
ALL = whole_parser()
TOOLS = {"train.py": "train", "eval.py": "eval", "infer.py": "infer", "export_model.py": "export"}


def expanded(pattern):
    """'a_{s,m}.yml' as 'a_s.yml', 'a_m.yml'."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if not found:
        return [pattern]
    words = found.group(1).split(",")
    return [p for w in words for p in expanded(pattern[: found.start()] + w + pattern[found.end() :])]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    wrong = []
    for link in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            wrong.append(f"{link}: no such file")
        elif anchor and target.suffix == ".md" and anchor not in anchors_of(target):
            wrong.append(f"{link}: no such heading")
    assert not wrong, wrong


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_are_there(page):
    text = page.read_text(encoding="utf-8")
    code = [*INLINE.findall(prose_of(page)), *(block for _, block in FENCE.findall(text))]
    names = {name.rstrip(".,") for part in code for name in re.findall(rf"(?<![\w./-]){FILE.pattern}", part)}
    names -= {name for name in names if "..." in name}
    # deploy/python, of a checkout: its files are PaddleDetection's.
    names = {name for name in names if not name.startswith(("deploy/python/", "tools/x2coco"))}
    missing = [p for name in names for p in expanded(name) if not list(ROOT.glob(p.rstrip("/"))) and p]
    assert not missing, missing


def commands_of(page):
    """The words of every command of this package on a page, lines that go on joined, comments left out."""
    blocks = [block for kind, block in FENCE.findall(page.read_text(encoding="utf-8")) if kind == "bash"]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    for line in [*lines, *INLINE.findall(prose_of(page))]:
        line = re.split(r"\s#\s", line)[0]
        try:
            yield shlex.split(line)
        except ValueError:  # a quotation that a line leaves open
            yield line.split()


def call_of(words):
    """The words after 'ppdet-ext' in those of a command line, None where it is not called."""
    for place, word in enumerate(words):
        name = word.rsplit("/", 1)[-1]
        if name == "ppdet-ext" and place + 1 < len(words):
            return words[place + 1 :]
        if "/" in word and name in TOOLS and "tools" in word:
            return [TOOLS[name], *words[place + 1 :]]
    return None


@lru_cache(maxsize=None)
def verbs_of(parser):
    """The parsers of the verbs below one, by name; none below a verb that ends."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name: verb for group in groups for name, verb in group.choices.items()}


def faults_of(words):
    """What the parser of a verb, or of the verb below it, would not know in the words after 'ppdet-ext'."""
    parser, path = ALL, []
    while verbs_of(parser) and words and re.fullmatch(r"[a-z]+", words[0]):
        name, *words = words
        if name not in verbs_of(parser):
            return [f"no verb '{' '.join([*path, name])}'"]
        parser, path = verbs_of(parser)[name], [*path, name]
    flags = [word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)]
    unknown = [flag for flag in flags if flag not in parser._option_string_actions and flag != "--version"]
    return [f"'{' '.join(path)}' has no flag '{flag}'" for flag in unknown]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_flags_are_known(page):
    wrong = []
    for words in commands_of(page):
        for stop in ("|", "&&", ";", ">"):
            words = words[: words.index(stop)] if stop in words else words
        call = call_of(words)
        if call:
            wrong += [f"{fault}: {' '.join(words)}" for fault in faults_of(call)]
    assert not wrong, wrong


def test_the_commands_are_found():
    calls = [call_of(words) for page in PAGES for words in commands_of(page)]
    assert sum(call is not None for call in calls) > 60
    for wrong in (["export", "--ouput", "x"], ["data", "chek"], ["exprt"], ["data", "split", "--part=a"]):
        assert faults_of(wrong)
    assert not faults_of(["data", "split", "ANNO", "--parts", "a"])
