"""Between two domains: a generator whose weights lie between those of two.

A child generator starts from its parent's weights, so the straight line between them passes through generators that work (Wang et al. 2019,
*Deep Network Interpolation*). All weights move together; swapping layers by resolution is another way, and not this one.
"""

from __future__ import annotations

import copy

import torch

from crossrig.errors import UserError
from crossrig.gan.generator import Generator


class Mixer:
    """A generator of its own between two others, which stay as they are."""

    def __init__(self, first: Generator, second: Generator) -> None:
        """Raises UserError for generators of different architectures."""
        if first.config != second.config:
            raise UserError("These two generators are built differently, so nothing lies between them.")
        self.first = first
        self.second = second
        self._mixed = copy.deepcopy(first)

    @torch.no_grad()
    def at(self, share: float) -> Generator:
        """The generator at 0 (the first) to 1 (the second). It is the same object every time. Raises UserError for other shares."""
        if not 0.0 <= share <= 1.0:
            raise UserError(f"The share of the second domain is between 0 and 1, not {share:g}.")
        start, end = self.first.state_dict(), self.second.state_dict()
        for name, tensor in self._mixed.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(torch.lerp(start[name], end[name], share))
        return self._mixed
