"""Which number format the features of a generator are computed in, while it trains and for pictures that must come quickly."""

from __future__ import annotations

import time
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F

Precision = Literal["auto", "float32", "bfloat16"]

_ROUNDS = 4


def feature_dtype(precision: Precision) -> torch.dtype:
    """`auto`: bfloat16 where a convolution, forward and backward, is at least 1.3 times as fast in it on this machine.

    Processors with bfloat16 arithmetic gain a factor of two; those without emulate it, ten times slower than float32. No flag of torch
    tells them apart on every platform, so a tenth of a second of measuring decides, once for a process.
    """
    if precision != "auto":
        return torch.float32 if precision == "float32" else torch.bfloat16
    return torch.bfloat16 if _gain() > 1.3 else torch.float32


@cache
def _gain() -> float:
    """How many times as fast bfloat16 is: by the shortest timing of each, taken in turns, lest other work on the machine decide."""
    rounds = [(_seconds(torch.float32), _seconds(torch.bfloat16)) for _ in range(_ROUNDS)]
    return min(single for single, _ in rounds) / min(half for _, half in rounds)


@torch.inference_mode(False)
@torch.enable_grad()
def _seconds(dtype: torch.dtype) -> float:
    """The shortest of three timings of a convolution's forward and backward pass, after one to warm up."""
    x = torch.randn(4, 64, 32, 32).to(dtype=dtype, memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(64, 64, 3, 3).to(dtype=dtype, memory_format=torch.channels_last).requires_grad_()
    timings = []
    for _ in range(4):
        began = time.perf_counter()
        F.conv2d(x, weight, padding=1).float().mean().backward()  # type: ignore[no-untyped-call]
        timings.append(time.perf_counter() - began)
    return min(timings[1:])
