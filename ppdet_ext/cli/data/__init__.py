"""`ppdet-ext data VERB`: datasets, made, converted, split, checked and shown; one file a verb."""

import argparse
import importlib

VERBS = {
    "demo": "make a small set of handwritten digits, without a download",
}


def add_arguments(parser):
    """Adds the verbs under `data` to an argparse parser."""
    verbs = parser.add_subparsers(dest="data_verb", metavar="VERB", required=True)
    for name, summary in VERBS.items():
        module = importlib.import_module(f"{__name__}.{name}")
        verb = verbs.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        module.add_arguments(verb)
        verb.set_defaults(data_run=module.run)


def run(args):
    """Runs the chosen verb; the exit status."""
    return args.data_run(args)
