"""The parser of every verb: examples in its help, and the nearest name for a mistyped flag or choice."""

import argparse

from ppdet_ext.nearest import choice, nearest


class Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Epilogs keep their lines; plain defaults are named, where the help says nothing of them."""

    def _get_help_string(self, action):
        plain = isinstance(action.default, (int, float, str)) and action.default is not False
        return super()._get_help_string(action) if plain and "default" not in action.help else action.help


class Parser(argparse.ArgumentParser):
    """argparse's, whose errors are one line with the nearest right name, exit status 2."""

    def __init__(self, *args, formatter_class=Formatter, **options):
        super().__init__(*args, formatter_class=formatter_class, **options)

    def parse_known_args(self, args=None, namespace=None):
        # First of all: a mistyped flag often shows as a required one that is missing.
        if self._subparsers is None:
            self._check_flags(args or [])
        return super().parse_known_args(args, namespace)

    def _check_flags(self, args):
        known = self._option_string_actions
        for arg in args:
            if arg == "--":
                return
            flag = arg.split("=")[0]
            if not flag.startswith("--") or " " in flag or any(name.startswith(flag) for name in known):
                continue
            close = nearest(flag, [name for name in known if name.startswith("--")])
            self.error(f"no flag '{flag}'" + (f"; did you mean '{close}'?" if close else ""))

    def _check_value(self, action, value):
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError:
            raise argparse.ArgumentError(action, f"no '{value}'; {choice(value, action.choices)}") from None

    def error(self, message):
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see '{self.prog} --help'\n")


def with_example(parser, example):
    """Puts example commands at the end of a parser's help.

    Args:
        parser (argparse.ArgumentParser)
        example (str | None): commands, one a line.

    Returns:
        the parser.
    """
    if example:
        lines = example.strip().splitlines()
        head = "example:" if len(lines) == 1 else "examples:"
        parts = [(parser.epilog or "").strip(), "\n".join([head, *(f"  {line}" for line in lines)])]
        parser.epilog = "\n\n".join(filter(None, parts)).replace("%", "%%")
    return parser


def with_verb(parser, module):
    """Gives a parser the arguments and the examples of a verb's file.

    Args:
        parser (Parser)
        module: with `add_arguments(parser)` and, for its help, `EXAMPLE`.

    Returns:
        the parser.
    """
    module.add_arguments(parser)
    return with_example(parser, getattr(module, "EXAMPLE", None))
