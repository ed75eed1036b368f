"""`ppdet-ext doctor`: what this machine can run, what is missing, and the command that mends it."""

from __future__ import annotations

import argparse
import sys

from ppdet_ext import __version__, environment

from .json_output import add_json_argument, give_json

EXAMPLE = "ppdet-ext doctor --try"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json_argument(parser, "the report")
    parser.add_argument(
        "--try", dest="try_", action="store_true", help="import every engine too, each in its own process"
    )
    parser.epilog = "exit status: 0 when training and at least one runtime work, else 1"


def render(report: dict) -> str:
    """The report of `environment.report` as text for a terminal."""
    machine = report["machine"]
    lines = [
        f"ppdet_ext {__version__} on {machine['system']}",
        f"  {machine['cpu']}, {machine['cores']} cores"
        + (f", {' '.join(machine['isa'])}" if machine["isa"] else ""),
        "  GPU: " + ("; ".join(machine["gpus"]) or "none visible"),
        "",
        "Versions",
    ]
    lines += [f"  {name:<13} {version or '-'}" for name, version in report["versions"].items()]
    lines += ["", "Can run here", f"  {'training':<13} {'yes' if report['training'] else 'no, see below'}"]
    for answer in report["targets"]:
        if answer["runs"]:
            lines.append(f"  {answer['target']:<13} yes")
            continue
        lines.append(f"  {answer['target']:<13} no: missing {answer['missing']}")
        if answer["mend"]:
            lines.append(f"  {'':<13} {answer['mend']}")
    lines += ["", f"pip of this environment: {sys.executable} -m pip"]
    if report["traps"]:
        lines += ["", "Traps"]
        for trap in report["traps"]:
            lines += [f"  - {trap['trap']}", f"    {trap['mend']}"]
    return "\n".join(lines)


def run(args: argparse.Namespace) -> int:
    report = environment.report(try_=args.try_)
    print(render(report))
    give_json(args, report)
    return 0 if report["ok"] else 1
