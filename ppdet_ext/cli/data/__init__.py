"""`ppdet-ext data VERB`: datasets, made, converted, split, checked and shown; one file a verb."""

import importlib

from ..parser import with_example

EXAMPLE = """
ppdet-ext data demo
ppdet-ext data show --anno dataset/demo/annotations/val.json --images dataset/demo/images/val
"""

VERBS = {
    "demo": "make a small set of handwritten digits, without a download",
    "convert": "turn Pascal VOC, YOLO, LabelMe or DeepPCB annotations into a COCO file",
    "split": "divide a COCO file into parts that share no picture, with the classes spread evenly",
    "show": "draw a sheet of annotated pictures, and plots of classes and sizes",
    "check": "find what is wrong with a dataset, and write a cleaned copy",
}


def add_arguments(parser):
    """Adds the verbs under `data` to an argparse parser."""
    verbs = parser.add_subparsers(dest="data_verb", metavar="VERB", required=True)
    for name, summary in VERBS.items():
        module = importlib.import_module(f"{__name__}.{name}")
        verb = verbs.add_parser(name, help=summary, description=summary)
        module.add_arguments(verb)
        with_example(verb, module.EXAMPLE)
        verb.set_defaults(data_run=module.run)


def run(args):
    """Runs the chosen verb; the exit status."""
    return args.data_run(args)
