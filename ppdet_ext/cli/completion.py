"""ppdet-ext completion: a script that completes verbs, flags, choices and file names in a shell.

The script is made from the verbs' own parsers, by shtab; pressing Tab runs no Python.
"""

import importlib

from . import PROG, VERBS
from .parser import Parser, with_verb

SHELLS = ("bash", "zsh", "fish")
INSTALL = """
where a shell looks for it:
  bash  ppdet-ext completion bash > ~/.local/share/bash-completion/completions/ppdet-ext
  zsh   ppdet-ext completion zsh > a folder of $fpath, as _ppdet-ext
  fish  ppdet-ext completion fish > ~/.config/fish/completions/ppdet-ext.fish
"""
EXAMPLE = """
eval "$(ppdet-ext completion bash)"
ppdet-ext completion fish
"""
# Metavars that stand for a path.
FOLDERS = ("FOLDER", "DIR")
FILES = ("CFG", "FILE", "FILE.json", "ANNO.json", "FOLDER_OR_COCO", "INPUT", "PATH", "STATE_DICT")
# PaddleDetection's flags, which name no kind of value.
FILE_FLAGS = ("config", "slim_config", "infer_img", "infer_list", "proposals_path")
FOLDER_FLAGS = ("infer_dir", "output_dir", "output_eval", "vdl_log_dir")


def add_arguments(parser):
    """Add the arguments of `completion` to an argparse parser."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that the script is for")
    parser.epilog = INSTALL


def run(args):
    import shtab

    if args.shell not in shtab.SUPPORTED_SHELLS:
        raise ValueError(
            f"this shtab writes no {args.shell} script; pip install 'shtab>=1.8' (Python 3.9 or newer), or "
            "make the script on another machine"
        )
    print(shtab.complete(whole_parser(), args.shell))
    return 0


def whole_parser():
    """All verbs in one parser, with what each value is for shtab.

    Returns:
        Parser
    """
    parser = Parser(prog=PROG, description="")
    parser.add_argument("--version", action="store_true", help="print the version")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    for name, (module, summary) in VERBS.items():
        verb = verbs.add_parser(name, help=summary, description=summary)
        _tell_values(with_verb(verb, importlib.import_module(module)))
    return parser


def _tell_values(parser):
    """Sets what shtab completes a value by, in a parser and those of its verbs."""
    import shtab

    from ppdet_ext.runtime.backends import BACKENDS

    from .export import TARGETS

    for action in parser._actions:
        if isinstance(action.choices, dict):
            for verb in action.choices.values():
                _tell_values(verb)
        elif action.dest in ("backend", "backends"):
            action.choices = list(BACKENDS)
        elif action.metavar == "TARGET":
            action.choices = TARGETS
        elif action.metavar in FOLDERS or action.dest in FOLDER_FLAGS:
            action.complete = shtab.DIRECTORY
        elif action.metavar in FILES or action.dest in FILE_FLAGS:
            action.complete = shtab.FILE
