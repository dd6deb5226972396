"""What all commands share: the parser, and how options are checked and progress is shown."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from crossrig.errors import UserError


class Parser(argparse.ArgumentParser):
    """argparse that complains with one sentence, as everything else here does."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}; see `{self.prog} --help`.")

    def options(self) -> list[str]:
        """Every option it knows."""
        return [option for option in self._option_string_actions if option.startswith("--")]


def add(commands: Any, name: str, command: Callable[[argparse.Namespace], None], help: str, epilog: str = "") -> Parser:
    parser: Parser = commands.add_parser(name, help=help, description=help, epilog=epilog)
    parser.set_defaults(command=command, parser=parser)
    return parser


def add_common(parser: Parser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def at_least(value: int | None, least: int, flag: str, default: int) -> int:
    if value is None:
        return default
    if value < least:
        raise UserError(f"{flag} must be at least {least}, not {value}.")
    return value


def check_device(name: str) -> str:
    """A device torch can use here; :class:`UserError` otherwise."""
    import torch

    if name == "cpu" or (re.fullmatch(r"cuda(:\d+)?", name) and torch.cuda.is_available()):
        return name
    if name.startswith("cuda"):
        raise UserError("--device cuda: this computer or this torch has no CUDA; leave --device out to use the processor.")
    raise UserError(f'--device must be cpu or cuda, not "{name}".')


def show_progress(what: str, step: int, steps: int) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{what} {step}/{steps}", end="\n" if step == steps else "", file=sys.stderr, flush=True)
    elif step == steps:
        print(f"{what}: done", file=sys.stderr)


def make_folder(path: Path) -> Path:
    """The folder, made when it is not there; :class:`UserError` when that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"{path}: is a file, and a folder is needed; choose another --outdir.") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be made ({error.strerror}); choose another --outdir.") from error
    return path


def parse_settings(words: Sequence[str]) -> dict[str, float]:
    """`NAME=VALUE` words as a mapping. Raises :class:`UserError` for anything else."""
    values: dict[str, float] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator or not name.strip():
            raise UserError(f'--set {word}: write NAME=VALUE, for example --set smile=0.8.')
        try:
            number = float(value)
        except ValueError as error:
            raise UserError(f'--set {word}: "{value}" is not a number.') from error
        if number != number or number in (float("inf"), float("-inf")):
            raise UserError(f'--set {word}: "{value}" is not a finite number.')
        values[name.strip()] = number
    return values
