"""`ppdet-ext data VERB`: datasets, made, converted, split, checked and shown; one file a verb."""

import argparse
import importlib

VERBS = {
    "demo": "make a small set of handwritten digits, without a download",
    "convert": "turn Pascal VOC, YOLO, LabelMe or DeepPCB annotations into a COCO file",
    "split": "divide a COCO file into parts that share no picture, with the classes spread evenly",
    "show": "draw a sheet of annotated pictures, and plots of classes and sizes",
    "check": "find what is wrong with a dataset, and write a cleaned copy",
}


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Epilogs keep their lines; defaults are named where there are any."""

    def _get_help_string(self, action):
        named = isinstance(action.default, (int, float, str)) and action.default is not False
        return super()._get_help_string(action) if named else action.help


def add_arguments(parser):
    """Adds the verbs under `data` to an argparse parser."""
    verbs = parser.add_subparsers(dest="data_verb", metavar="VERB", required=True)
    for name, summary in VERBS.items():
        module = importlib.import_module(f"{__name__}.{name}")
        verb = verbs.add_parser(name, help=summary, description=summary, formatter_class=_Formatter)
        module.add_arguments(verb)
        verb.set_defaults(data_run=module.run)


def run(args):
    """Runs the chosen verb; the exit status."""
    return args.data_run(args)
