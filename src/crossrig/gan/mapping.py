"""The mapping network of StyleGAN2, f: (z, c) -> w, which also maps the class of a conditional discriminator."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from crossrig.gan.ops import EqualLinear, leaky_relu, pixel_norm


class Mapping(nn.Module):
    """z (B, z_dim) and class vector c (B, c_dim) -> w (B, w_dim); either input is scaled to unit mean square first.

    A network without classes has c_dim 0 and takes z alone; one without z has z_dim 0 and takes c alone. c passes
    through a linear layer of embed_dim outputs before it joins z. hidden: width of the layers between the first and the
    last. The arithmetic of Karras et al. 2020 (StyleGAN2-ADA), Appendix: classes.
    """

    def __init__(
        self, z_dim: int, w_dim: int, layers: int, lr_mul: float, *, hidden: int, c_dim: int = 0, embed_dim: int = 0
    ) -> None:
        super().__init__()
        self.z_dim, self.c_dim = z_dim, c_dim
        self.embed = EqualLinear(c_dim, embed_dim) if c_dim else None
        widths = [z_dim + (embed_dim if c_dim else 0), *[hidden] * (layers - 1), w_dim]
        self.layers = nn.ModuleList(EqualLinear(inputs, outputs, lr_mul=lr_mul) for inputs, outputs in pairwise(widths))

    def forward(self, z: torch.Tensor | None, c: torch.Tensor | None = None) -> torch.Tensor:
        """ValueError when an input is missing, superfluous or of the wrong width."""
        x = torch.cat([pixel_norm(part) for part in self._inputs(z, c)], dim=1)
        for layer in self.layers:
            x = leaky_relu(layer(x))
        return x

    def _inputs(self, z: torch.Tensor | None, c: torch.Tensor | None) -> list[torch.Tensor]:
        for name, given, width in (("z", z, self.z_dim), ("c", c, self.c_dim)):
            shape = tuple(given.shape) if given is not None else ()
            if (given is not None) != (width > 0) or (given is not None and shape[1:] != (width,)):
                expected = f"(B, {width})" if width else "left out"
                raise ValueError(f"{name} must be {expected} for this network: got {shape if shape else 'nothing'}")
        parts = [] if z is None else [z]
        if c is not None:
            assert self.embed is not None  # c_dim > 0
            parts.append(self.embed(c))
        return parts
