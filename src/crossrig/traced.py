"""Networks recorded once and repeated by torch itself, for pictures that must come quickly.

Two threads that work side by side take turns in Python's interpreter, and a network of some hundred small operations asks for its turn at
each of them. A recording (TorchScript) is one call from Python's side. (By hand, beside a thread on the other core that only runs Python:
a 128 px picture of the shipped generator took two seconds as it is written, and some twenty milliseconds recorded.)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.jit import TracerWarning  # type: ignore[attr-defined]

# Our functions ask for shapes, which are part of what is recorded.
warnings.filterwarnings("ignore", category=TracerWarning, module=r"crossrig\.")


T = TypeVar("T", Tensor, tuple[Tensor, Tensor])


class Traced(Generic[T]):
    """A function of tensors to one or two tensors, without gradients, recorded anew for every set of shapes that it is called with.

    It must do the same whatever the tensors' values are. What it uses besides is taken as it is when it is recorded. Where torch cannot
    record, as with weights that learn, it is called as it is.
    """

    def __init__(self, function: Callable[..., T]) -> None:
        self._function: Callable[..., T] = function
        self._recorded: dict[tuple[torch.Size, ...], Callable[..., T]] = {}

    @torch.no_grad()
    def __call__(self, *args: Tensor) -> T:
        shapes = tuple(arg.shape for arg in args)
        if shapes not in self._recorded:
            self._recorded[shapes] = _record(self._function, args)
        return self._recorded[shapes](*args)


def _record(function: Callable[..., T], args: tuple[Tensor, ...]) -> Callable[..., T]:
    try:
        # (torch would have everybody compile or export instead; the first needs a compiler at hand, and Python runs what the second gives.)
        recorded: Callable[..., T] = torch.jit.trace(function, args, check_trace=False)  # type: ignore[no-untyped-call]
    except RuntimeError:
        return function
    return recorded
