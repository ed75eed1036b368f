"""Every verb's help ends with commands that its own parser takes; a mistyped flag gets the nearest name."""

import argparse
import json
import shlex
from pathlib import Path

import pytest

from ppdet_ext import cli
from ppdet_ext.cli.completion import whole_parser

ROOT = Path(__file__).resolve().parents[2]
# Verbs whose result is no document.
WITHOUT_JSON = {"completion"}


def leaves(parser, path=()):
    """(words of a verb, its parser, whether none is under it) of every verb and of every verb under it."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if path:
        yield path, parser, not groups
    for group in groups:
        for name, verb in group.choices.items():
            yield from leaves(verb, (*path, name))


@pytest.fixture(scope="module")
def parser():
    return whole_parser()


def examples(parser):
    """The commands at the end of a help, each as its words."""
    text = parser.format_help().replace("\\\n", " ")
    lines = text.rsplit("example", 1)[1].splitlines()[1:]
    return [shlex.split(line) for line in lines if line.strip().startswith("ppdet-ext ")]


def test_every_help_ends_with_examples_that_parse(parser):
    found = list(leaves(parser))
    assert {path[0] for path, _, _ in found} == set(cli.VERBS)
    for path, verb, _ in found:
        commands = examples(verb)
        assert commands, path
        assert verb.format_help().splitlines()[-1].strip() == verb.epilog.splitlines()[-1].strip()
        for words in commands:
            assert tuple(words[1 : 1 + len(path)]) == path
            args = parser.parse_args(words[1:])
            config = getattr(args, "config", None)
            assert not config or (ROOT / config).is_file(), words


def test_every_verb_with_a_result_has_json(parser):
    for path, verb, is_leaf in leaves(parser):
        if is_leaf and path[0] not in WITHOUT_JSON:
            assert "--json" in verb._option_string_actions, path


def test_the_same_thing_has_the_same_flag(parser):
    for path, verb, _ in leaves(parser):
        flags = verb._option_string_actions
        if "--output" in flags or "--out" in flags:
            assert {"--output", "--out"} <= set(flags), path
        if "--config" in flags:
            assert {"-c", "-o", "--opt"} <= set(flags), path


def test_verbs_that_run_engines_have_their_options(parser):
    flags = {path: set(verb._option_string_actions) for path, verb, _ in leaves(parser)}
    engines = {path[0]: taken for path, taken in flags.items() if "--backend" in taken}
    assert set(engines) == {"predict", "track", "threshold", "verify", "bench"}
    assert all({"--model", "--device", "--threads"} <= taken for taken in engines.values())


@pytest.mark.parametrize(
    "argv, answer",
    [
        ("export --ouput x", "no flag '--ouput'; did you mean '--output'?"),
        ("export --confg=x", "no flag '--confg'; did you mean '--config'?"),
        ("data check --imgaes x", "no flag '--imgaes'; did you mean '--images'?"),
        ("quantize ptq -c x --calibratoin x", "did you mean '--calibration'?"),
        ("verify --zzzzzz", "no flag '--zzzzzz'"),
        ("data chek", "no 'chek'; did you mean 'check'?"),
        ("quantize ptq -c x --method hits", "no 'hits'; did you mean 'hist'?"),
        ("completion bsh", "did you mean 'bash'?"),
        ("threshold --model x", "the following arguments are required: --anno, --images"),
    ],
)
def test_a_mistyped_flag_is_one_line_with_the_nearest(argv, answer, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(argv.split())
    assert stop.value.code == 2
    said = capsys.readouterr()
    assert answer in said.err and said.err.count("\n") == 1 and said.err.startswith("ppdet-ext ")
    assert said.out == ""


def test_values_are_no_flags(parser):
    args = parser.parse_args(["export", "-c", "a.yml", "-o", "x=--y", "--output_dir", "b c"])
    assert args.opt == ["x=--y"] and args.output_dir == "b c"
    assert parser.parse_args(["predict", "--model", "m", "--", "--odd.jpg"]).inputs == ["--odd.jpg"]


def test_json_is_alone_on_stdout(capfd, tmp_path):
    """What Python, C and a child print goes to stderr; the document is the verb's."""
    import ctypes
    import os
    import subprocess

    from ppdet_ext.cli.json_output import document_on_stdout, give_json

    args = argparse.Namespace(json="-")
    with document_on_stdout(args):
        print("from Python")
        ctypes.CDLL(None).puts(b"from C")
        subprocess.run(["echo", "from a child"], check=True)
        os.write(1, b"raw\n")
        give_json(args, {"folder": tmp_path, "ap": 0.5})
    said = capfd.readouterr()
    assert json.loads(said.out) == {"folder": str(tmp_path), "ap": 0.5}
    for words in ("from Python", "from C", "from a child", "raw"):
        assert words in said.err
    args = argparse.Namespace(json=str(tmp_path / "new" / "report.json"))
    with document_on_stdout(args):
        print("text")
        give_json(args, {"a": 1})
    assert capfd.readouterr().out == "text\n"
    assert json.loads(Path(args.json).read_text()) == {"a": 1}


def test_without_a_result_stdout_stays_empty(capfd):
    assert (
        cli.main(["threshold", "--model", "m", "--anno", "a", "--images", "b", "--iou", "2", "--json"]) == 2
    )
    said = capfd.readouterr()
    assert said.out == "" and "--iou is 2" in said.err
