"""Frozen dataclasses <-> JSON, strictly: what is read is exactly what the class says, or a sentence says what is not.

Fields may be `str`, `bool`, `int`, `float`, a `Literal` of strings, `X | None`, `tuple[X, ...]`, `Mapping[str, X]` and other such
dataclasses. Nothing is converted silently: `true` is no number, `1.5` no integer, `NaN` nothing at all.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from crossrig.errors import UserError

T = TypeVar("T")

LONGEST_TEXT = 65_536
"""Characters of one message."""
LONGEST_STRING = 400
"""Characters of one string in it."""
MOST_ITEMS = 1024
"""Items of one list or mapping."""
LARGEST_NUMBER = 1e9


@cache
def hints(kind: Any) -> Mapping[str, Any]:
    """Field name -> type of a dataclass, in order."""
    found = get_type_hints(kind)
    return {field.name: found[field.name] for field in fields(kind)}


def parse_json(text: str) -> Any:
    """The value of a JSON text of modest length. Raises UserError."""
    if len(text) > LONGEST_TEXT:
        raise UserError(f"A message may have {LONGEST_TEXT} characters, not {len(text)}.")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UserError("A message must be JSON with finite numbers.") from error


def read(kind: type[T], value: Any, where: str = "") -> T:
    """The dataclass that a parsed JSON object describes. Raises UserError naming the field that is wrong."""
    found: T = _read(kind, value, where or kind.__name__)
    return found


def plain(value: Any) -> Any:
    """A dataclass as values for `json.dumps`."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _read(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _read(inner, value, where)
    if origin is Literal:
        if not isinstance(value, str) or value not in arguments:
            raise UserError(f"{where} must be {' or '.join(arguments)}.")
        return value
    if origin is tuple:
        return _read_list(arguments[0], value, where)
    if origin is Mapping:
        return _read_mapping(arguments[1], value, where)
    if kind in (int, float):
        return _read_number(kind, value, where)
    if kind is bool:
        if not isinstance(value, bool):
            raise UserError(f"{where} must be true or false.")
        return value
    if kind is str:
        return _read_string(value, where)
    return _read_object(kind, value, where)


def _read_string(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"{where} must be a text.")
    if len(value) > LONGEST_STRING:
        raise UserError(f"{where} may have {LONGEST_STRING} characters, not {len(value)}.")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise UserError(f"{where} is no valid Unicode text.")
    return value


def _read_number(kind: type, value: Any, where: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (kind is int and not isinstance(value, int)):
        raise UserError(f"{where} must be {'a whole number' if kind is int else 'a number'}.")
    # the comparison first: an integer may be too large to become a float
    if not abs(value) <= LARGEST_NUMBER or not math.isfinite(value):
        raise UserError(f"{where} must be a number between {-LARGEST_NUMBER:g} and {LARGEST_NUMBER:g}.")
    return kind(value)


def _read_list(kind: Any, value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise UserError(f"{where} must be a list.")
    _check_count(len(value), where)
    return tuple(_read(kind, item, f"{where}[{index}]") for index, item in enumerate(value))


def _read_mapping(kind: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where} must be an object.")
    _check_count(len(value), where)
    return {_read_string(key, f"A name in {where}"): _read(kind, item, f"{where}.{key}") for key, item in value.items()}


def _check_count(count: int, where: str) -> None:
    if count > MOST_ITEMS:
        raise UserError(f"{where} may have {MOST_ITEMS} items, not {count}.")


def _read_object(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise UserError(f"{where} must be an object.")
    expected = hints(kind)
    for name in value:
        if name not in expected:
            raise UserError(f"{where} has no field {json.dumps(name[:40])}; it has {', '.join(expected) or 'none'}.")
    found = {}
    for field in fields(kind):
        if field.name in value:
            found[field.name] = _read(expected[field.name], value[field.name], f"{where}.{field.name}")
        elif field.default is MISSING:
            raise UserError(f"{where} lacks the field {field.name}.")
    return kind(**found)
