"""Work beside work, for pictures that must come quickly.

A preview is some thousand small operations. Shared out among the cores one by one, as torch does it, they take hardly less time than on one
core, and more where other threads have computed before (libgomp sends its threads to sleep when it counts more of them than cores). What
gains is whole pieces side by side: each thread computes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def compute_with(cores: int) -> None:
    """The cores that this thread computes with from now on, and those that begin to compute later until somebody else says something else.

    torch sets up a thread at its first operation, with what was said last by any; so the first is done here.
    """
    torch.set_num_threads(cores)
    torch.get_num_threads()


@contextmanager
def alone() -> Iterator[None]:
    """The thread computes on one core meanwhile."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def beside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Have something computed in the one thread beside, after what it was given before. No gradients."""

    def run() -> T:
        with torch.inference_mode():
            return work(*args, **kwargs)

    return _helper().submit(run)


@cache
def _helper() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "beside", initializer=lambda: compute_with(1))
