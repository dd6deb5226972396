"""The command line: thin commands over the library.

Bad input ends with one sentence on stderr and exit status 2; nothing is written then. Results go to stdout, progress to stderr.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from crossrig.cli.checks import demo_command, doctor_command
from crossrig.cli.domains import adapt_command, blend_command, translate_command
from crossrig.cli.edit import controls_command, edit_command, studio_command
from crossrig.cli.evaluation import eval_command
from crossrig.cli.files import assets_command, export_command, import_command
from crossrig.cli.parser import Parser
from crossrig.cli.people import sample_command, synth_command
from crossrig.cli.training import rig_command, train_command
from crossrig.config import suggest
from crossrig.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parser = build_parser(words)
        options, extra = parser.parse_known_args(words)
        if extra:
            chosen: Parser = options.parser
            name = extra[0].split("=")[0]
            hint = suggest(name, chosen.options()) if name.startswith("-") else ""
            what = "option" if name.startswith("-") else "argument"
            raise UserError(f'There is no {what} "{name}" in `{chosen.prog}`.{hint}')
        command: Callable[[argparse.Namespace], None] = options.command
        command(options)
    except UserError as error:
        print(f"crossrig: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("crossrig: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    return 0


def build_parser(words: Sequence[str] = ()) -> Parser:
    """The parser. ``words``: the command line to come; of the training recipes only the one it names is loaded."""
    parser = Parser(prog="crossrig", description="Rig any picture of a face with the sliders of a 3D face model.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser, required=True)
    parser.set_defaults(parser=parser)
    edit_command(commands)
    studio_command(commands)
    controls_command(commands)
    sample_command(commands)
    synth_command(commands)
    translate_command(commands)
    blend_command(commands)
    adapt_command(commands, words)
    train_command(commands, words)
    rig_command(commands, words)
    import_command(commands)
    export_command(commands)
    eval_command(commands)
    assets_command(commands)
    doctor_command(commands)
    demo_command(commands)
    return parser
