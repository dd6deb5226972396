"""Settings: one frozen dataclass is the truth; TOML files and command-line options are read into it, never beside it.

A recipe declares its settings as a frozen dataclass::

    @dataclass(frozen=True)
    class EncoderConfig:
        generator: Path = setting(Path("generator.safetensors"), "generator to invert")
        batch: int = setting(16, "pictures a step")

``load_toml`` reads it from a file, ``add_options`` offers every field as ``--kebab-case``, ``from_options`` puts the
options a person gave on top of a file or of the defaults. A key or value that does not fit is a ``UserError`` that
names it; it is never ignored.

Field types: ``int, float, bool, str, Path``, ``Literal`` of strings, tuples of those (``tuple[int, ...]``),
``X | None`` and nested frozen dataclasses (a TOML table; ``--outer-inner`` on the command line).
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import math
import os
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from crossrig.errors import UserError

_MISSING = dataclasses.MISSING
T = TypeVar("T")


def setting(default: Any, help: str) -> Any:
    """A dataclass field with a default and the sentence that ``--help`` shows for it."""
    return dataclasses.field(default=default, metadata={"help": help})


def suggest(name: str, known: Iterable[str]) -> str:
    """``' Did you mean "smile"?'`` for the nearest known name, or an empty string."""
    lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    return f' Did you mean "{lower[near[0]]}"?' if near else ""


def from_mapping(cls: type[T], values: Mapping[str, Any], where: str = "settings") -> T:
    """Build the dataclass ``cls`` from plain values (as TOML or JSON give them).

    Missing keys take their default. Unknown keys, wrong types and values the dataclass itself refuses (``ValueError``
    in ``__post_init__``) raise :class:`UserError`; ``where`` names the source in that sentence.
    """
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in _fields(cls)}
    for key in values:
        if key not in fields:
            raise UserError(f'{where}: unknown key "{key}".{suggest(key, fields)}')
    built: dict[str, Any] = {}
    for name, field in fields.items():
        if name in values:
            built[name] = _convert(hints[name], values[name], f'{where}: "{name}"')
        elif field.default is _MISSING and field.default_factory is _MISSING:
            raise UserError(f'{where}: the key "{name}" is missing.')
    return _construct(cls, built, where)


def to_mapping(config: Any) -> dict[str, Any]:
    """Plain values (str, int, float, bool, list, dict) of a dataclass; fields that are ``None`` are left out."""
    plain = {field.name: _plain(getattr(config, field.name)) for field in _fields(type(config))}
    return {name: value for name, value in plain.items() if value is not None}


def load_toml(cls: type[T], path: str | os.PathLike[str]) -> T:
    """Read ``cls`` from a TOML file. Raises :class:`UserError` when the file is missing or does not fit."""
    path = Path(path)
    try:
        with path.open("rb") as stream:
            values = tomllib.load(stream)
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such settings file.") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not valid TOML ({error}).") from error
    return from_mapping(cls, values, str(path))


def dump_toml(config: Any) -> str:
    """The dataclass as TOML text; ``from_mapping(type(config), tomllib.loads(text))`` gives it back."""
    return "".join(_toml_table(to_mapping(config), ()))


def add_options(parser: argparse.ArgumentParser, cls: type[Any], prefix: str = "", leave_out: Sequence[str] = ()) -> None:
    """Offer every field of ``cls``, but for those left out, as an option of ``parser``.

    Options not given leave no trace in the namespace.
    """
    hints = typing.get_type_hints(cls)
    for field in _fields(cls):
        if field.name in leave_out:
            continue
        kind, name = hints[field.name], prefix + field.name
        if dataclasses.is_dataclass(kind):
            add_options(parser, typing.cast(type[Any], kind), f"{name}_")
            continue
        flag, text = "--" + name.replace("_", "-"), _help(field)
        if kind is bool:
            parser.add_argument(
                flag, dest=name, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text
            )
        else:
            parser.add_argument(flag, dest=name, metavar=_metavar(kind), default=argparse.SUPPRESS, help=text)


def from_options(cls: type[T], options: argparse.Namespace, base: T | None = None, prefix: str = "") -> T:
    """Options a person gave (see :func:`add_options`) on top of ``base`` or of the defaults of ``cls``."""
    hints = typing.get_type_hints(cls)
    given: dict[str, Any] = {}
    for field in _fields(cls):
        kind, name = hints[field.name], prefix + field.name
        if dataclasses.is_dataclass(kind):
            inner = getattr(base, field.name) if base is not None else None
            given[field.name] = from_options(typing.cast(type[Any], kind), options, inner, f"{name}_")
        elif hasattr(options, name):
            flag, raw = "--" + name.replace("_", "-"), getattr(options, name)
            given[field.name] = _convert(kind, _parse_text(kind, raw) if isinstance(raw, str) else raw, flag)
        elif base is not None:
            given[field.name] = getattr(base, field.name)
        elif field.default is _MISSING and field.default_factory is _MISSING:
            raise UserError(f"--{name.replace('_', '-')} is needed.")
    return _construct(cls, given, "options")


def differences(old: Any, new: Any) -> dict[str, tuple[Any, Any]]:
    """Fields (dotted names) in which two settings of one class differ: name -> (old value, new value)."""
    before, after = dict(_flat(to_mapping(old))), dict(_flat(to_mapping(new)))
    names = sorted(before.keys() | after.keys())
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def _fields(cls: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls.__name__} is not a dataclass")
    return dataclasses.fields(cls)


def _construct(cls: type[T], values: dict[str, Any], where: str) -> T:
    try:
        return cls(**values)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _help(field: dataclasses.Field[Any]) -> str:
    default = field.default if field.default is not _MISSING else None
    text = str(field.metadata.get("help", ""))
    if default is None or default is False:
        shown = ""
    elif isinstance(default, tuple):
        shown = ",".join(map(str, default))
    else:
        shown = str(default)
    return (text + (f" (default: {shown})" if shown else "")).strip().replace("%", "%%")


def _metavar(kind: Any) -> str:
    inner, _ = _optional(kind)
    origin = typing.get_origin(inner)
    if origin is Literal:
        return "{" + ",".join(map(str, typing.get_args(inner))) + "}"
    if origin is tuple:
        return f"{_metavar(typing.get_args(inner)[0])},..."
    return {int: "N", float: "X", str: "TEXT"}.get(inner, str(getattr(inner, "__name__", "VALUE")).upper())


def _optional(kind: Any) -> tuple[Any, bool]:
    """``(X, True)`` for ``X | None``, else ``(kind, False)``."""
    if typing.get_origin(kind) in (Union, types.UnionType):
        inner = [part for part in typing.get_args(kind) if part is not type(None)]
        if len(inner) != 1 or len(typing.get_args(kind)) != 2:
            raise TypeError(f"settings of type {kind} are not supported")
        return inner[0], True
    return kind, False


def _parse_text(kind: Any, text: str) -> Any:
    """A word from the command line as the value TOML would have given; nonsense stays text and is refused later."""
    inner, optional = _optional(kind)
    if optional and text.lower() == "none":
        return None
    if typing.get_origin(inner) is tuple:
        element = typing.get_args(inner)[0]
        return [_parse_text(element, part.strip()) for part in text.split(",")] if text.strip() else []
    try:
        if inner is int:
            return int(text)
        if inner is float:
            return float(text)
    except ValueError:
        return text
    return text


def _convert(kind: Any, value: Any, where: str) -> Any:
    inner, optional = _optional(kind)
    if optional and value is None:
        return None
    origin = typing.get_origin(inner)
    if dataclasses.is_dataclass(inner):
        if isinstance(value, Mapping):
            return from_mapping(typing.cast(type[Any], inner), value, where)
    elif origin is Literal:
        choices = typing.get_args(inner)
        if value in choices:
            return value
        raise UserError(f"{where} must be one of {', '.join(map(str, choices))}, not {value!r}.")
    elif origin is tuple:
        element = typing.get_args(inner)[0]
        if isinstance(value, (list, tuple)):
            return tuple(_convert(element, part, where) for part in value)
    elif inner is Path:
        if isinstance(value, (str, Path)):
            return Path(value)
    elif inner is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if math.isnan(value):
                raise UserError(f"{where} must be a number, not nan.")
            return float(value)
    elif inner is bool or inner is str:
        if isinstance(value, inner):
            return value
    elif inner is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    else:
        raise TypeError(f"settings of type {inner} are not supported")
    raise UserError(f"{where} must be {_describe(inner)}, not {value!r}.")


def _describe(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        return f"a list, each item {_describe(typing.get_args(kind)[0])}"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
    return words.get(kind, "a table")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_mapping(value)
    if isinstance(value, (tuple, list)):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _toml_table(mapping: Mapping[str, Any], path: tuple[str, ...]) -> Iterable[str]:
    if path:
        yield f"\n[{'.'.join(path)}]\n"
    tables = {key: value for key, value in mapping.items() if isinstance(value, Mapping)}
    for key, value in mapping.items():
        if key not in tables:
            yield f"{key} = {_toml_value(value)}\n"
    for key, value in tables.items():
        yield from _toml_table(value, (*path, key))


def _toml_value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(part) for part in value) + "]"
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, str):
        # JSON strings are TOML basic strings, but for the delete character, which TOML wants escaped
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    return json.dumps(value)
