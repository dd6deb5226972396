"""Dataclasses of tensors and plain facts <-> named tensors and JSON, without a pickle and without naming their fields again.

    tensors, facts = pack(found)         # {"inversion.s": ..., "params.shape": ...}, {"domain": "human", "inversion": {...}}
    found = unpack(Found, tensors, facts)

Fields may be tensors, NumPy arrays, numbers, texts, tuples of those facts, and other such dataclasses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor

from crossrig.errors import UserError

T = TypeVar("T")

_FACTS = (str, bool, int, float)


def pack(value: Any, leave_out: Collection[str] = (), prefix: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a dataclass by dotted name, and everything else as values for JSON; fields of ``leave_out`` are kept elsewhere."""
    tensors: dict[str, Tensor] = {}
    facts: dict[str, Any] = {}
    for field in fields(value):
        if field.name in leave_out:
            continue
        item, name = getattr(value, field.name), prefix + field.name
        if isinstance(item, Tensor):
            tensors[name] = item
        elif isinstance(item, np.ndarray):
            tensors[name] = torch.from_numpy(np.ascontiguousarray(item))
        elif is_dataclass(item):
            inner, facts[field.name] = pack(item, prefix=f"{name}.")
            tensors |= inner
        elif isinstance(item, _FACTS):
            facts[field.name] = item
        elif isinstance(item, tuple) and all(isinstance(part, _FACTS) for part in item):
            facts[field.name] = list(item)
        else:
            raise TypeError(f"{type(value).__name__}.{field.name} is a {type(item).__name__}, which cannot be packed")
    return tensors, facts


def unpack(
    kind: type[T], tensors: Mapping[str, Tensor], facts: Mapping[str, Any], given: Mapping[str, Any] | None = None, prefix: str = ""
) -> T:
    """Inverse of :func:`pack`; ``given``: the fields left out. Raises :class:`UserError` when something is missing or of another type."""
    hints = get_type_hints(kind)
    found: dict[str, Any] = dict(given or {})
    whole: Any = kind
    for field in fields(whole):
        if field.name in found:
            continue
        hint, name = hints[field.name], prefix + field.name
        if hint is Tensor or get_origin(hint) is np.ndarray:
            if name not in tensors:
                raise UserError(f"The file lacks the array {name}; it is damaged or from another version of crossrig.")
            found[field.name] = tensors[name] if hint is Tensor else tensors[name].numpy()
        elif is_dataclass(hint):
            inner: Any = hint
            found[field.name] = unpack(inner, tensors, _mapping(facts.get(field.name), name), prefix=f"{name}.")
        else:
            found[field.name] = _fact(hint, facts.get(field.name), name)
    return kind(**found)


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"The file lacks {name}; it is damaged or from another version of crossrig.")
    return value


def _fact(hint: Any, value: Any, name: str) -> Any:
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_fact(get_args(hint)[0], part, name) for part in value)
    allowed = hint if hint in _FACTS else str  # a Literal is a text
    if allowed is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, allowed) or (isinstance(value, bool) and allowed is not bool):
        raise UserError(f"In the file, {name} is no {allowed.__name__}; it is damaged or from another version of crossrig.")
    return value
