"""Executable shape and range notes: `check(image, "B 3 H W", name="image")` documents and verifies at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class ShapeError(ValueError):
    """An array has another shape than the function documents."""


class HasShape(Protocol):
    """A torch tensor, a NumPy array, or anything else with a shape."""

    @property
    def shape(self) -> Any: ...


def check(x: HasShape, pattern: str, name: str = "array", sizes: Mapping[str, int] | None = None) -> dict[str, int]:
    """Compare the shape of `x` with `pattern` and return the sizes bound to its letters, in order.

    Items of `pattern`, separated by blanks: a number is that exact size; a word is bound to the size, and must be the
    same wherever it occurs again or in `sizes`; `_` is any size; one `...` is any number of axes.
    Raises ShapeError with a sentence that names the array, what it should be and what it is.
    """
    items = pattern.split()
    shape = tuple(int(n) for n in x.shape)
    if "..." in items:
        at = items.index("...")
        extra = len(shape) - (len(items) - 1)
        if extra < 0:
            raise ShapeError(f"{name} must have shape ({pattern}), at least {len(items) - 1} axes, but it has {shape}")
        items = items[:at] + ["_"] * extra + items[at + 1 :]
    if len(items) != len(shape):
        raise ShapeError(f"{name} must have shape ({pattern}), {len(items)} axes, but it has {shape}")
    known = dict(sizes or {})
    bound: dict[str, int] = {}
    for axis, (item, size) in enumerate(zip(items, shape, strict=True)):
        if item == "_":
            continue
        if item.isdigit():
            if size != int(item):
                raise ShapeError(f"{name} must have shape ({pattern}), but it has {shape}: axis {axis} is not {item}")
            continue
        if known.setdefault(item, size) != size:
            raise ShapeError(f"{name} must have shape ({pattern}) with {item} = {known[item]}, but it has {shape}: axis {axis} is {size}")
        bound[item] = size
    return bound


def check_range(x: Any, low: float, high: float, name: str = "array", unit: str = "") -> None:
    """Raise ValueError unless every value of the tensor or array `x` is finite and within [low, high]."""
    if 0 in tuple(x.shape):
        return
    least, most = float(x.min()), float(x.max())
    # NaN makes both comparisons false.
    if not (least >= low and most <= high):
        suffix = f" {unit}" if unit else ""
        raise ValueError(f"{name} must lie within {low:g}..{high:g}{suffix}, but it spans {least:g}..{most:g}{suffix}")
