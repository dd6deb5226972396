"""The protocol as a JavaScript module with JSDoc types: `python -m crossrig.studio.page_types` writes `page/protocol.js`."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from crossrig.files import write_text
from crossrig.studio import codec, protocol

PATH = Path(__file__).parent / "page" / "protocol.js"

_PLAIN: Mapping[Any, str] = {str: "string", bool: "boolean", int: "number", float: "number"}


def module() -> str:
    """The text of the module."""
    lines = [
        "// Made from protocol.py by `python -m crossrig.studio.page_types`; do not edit.",
        "",
        f"export const VERSION = {protocol.VERSION};",
        "",
    ]
    for kind in protocol.PARTS:
        lines += [*_typedef(kind, ""), ""]
    for name, kinds in (("ClientMessage", protocol.CLIENT), ("ServerMessage", protocol.SERVER)):
        for kind in kinds.values():
            lines += [*_typedef(kind, kind.__name__), ""]
        lines += [f"/** @typedef {{{' | '.join(kinds)}}} {name} */", ""]
    for name, kind in protocol.CLIENT.items():
        lines += [*_maker(name, kind), ""]
    return "\n".join(lines[:-1]) + "\n"


def _typedef(kind: Any, tag: str) -> Iterator[str]:
    yield "/**"
    yield f" * {(kind.__doc__ or '').strip()}"
    yield f" * @typedef {{object}} {kind.__name__}"
    if tag:
        yield f' * @property {{"{tag}"}} type'
    for name, hint in codec.hints(kind).items():
        yield f" * @property {{{_type(hint)}}} {name}"
    yield " */"


def _maker(name: str, kind: Any) -> Iterator[str]:
    """A function that makes a message, so that the page cannot mistype its name."""
    yield "/**"
    given = fields(kind)
    hints = codec.hints(kind)
    for field in given:
        optional = field.default is not MISSING
        yield f" * @param {{{_type(hints[field.name])}}} {f'[{field.name}]' if optional else field.name}"
    yield f" * @returns {{{name}}}"
    yield " */"
    parameters = ", ".join(
        field.name if field.default is MISSING else f"{field.name} = {_literal(field.default)}" for field in given
    )
    yield f"export function {name[0].lower()}{name[1:]}({parameters}) {{"
    yield f'  return {{ {", ".join([f"""type: "{name}" """.strip(), *(field.name for field in given)])} }};'
    yield "}"


def _literal(value: Any) -> str:
    return "null" if value is None else f'"{value}"'


def _type(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " | ".join("null" if argument is type(None) else _type(argument) for argument in arguments)
    if origin is Literal:
        return " | ".join(f'"{argument}"' for argument in arguments)
    if origin is tuple:
        return f"Array<{_type(arguments[0])}>"
    if origin is Mapping:
        return f"Record<string, {_type(arguments[1])}>"
    return _PLAIN.get(hint) or str(hint.__name__)


if __name__ == "__main__":
    write_text(PATH, module())
