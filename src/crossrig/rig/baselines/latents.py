"""The two latent spaces StyleRig is trained in, W+ and S, behind one interface: a code as named layers, and style codes moved by offsets
of these layers.

Every editor takes and returns style codes. A rig in W+ must therefore find the W+ of a style code, and this has many answers: a layer
with fewer styles than w has entries does not determine its w. The one taken lies nearest to a single w that all layers share, which is
where codes of people (exactly) and inversions of pictures (nearly) are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import torch
from torch import Tensor

from crossrig.gan.generator import Generator
from crossrig.rig.baselines.linear import affine_matrix
from crossrig.rig.layers import editable
from crossrig.rig.manipulation import shift

Space = Literal["wplus", "s"]


class Latents(Protocol):
    """A latent space with named layers. sizes: layer name -> entries."""

    @property
    def sizes(self) -> Mapping[str, int]: ...

    def of_w_plus(self, w_plus: Tensor) -> dict[str, Tensor]:
        """(B,L,W) -> layer name -> (B, size)."""

    def of_styles(self, styles: Tensor) -> dict[str, Tensor]:
        """(B,S) -> layer name -> (B, size)."""

    def moved(self, styles: Tensor, offsets: Mapping[str, Tensor]) -> Tensor:
        """Style codes (B,S) after their layers moved by the offsets, layer name -> (B, size). Offsets of zero return the codes."""


class InS:
    """StyleSpace: the convolution layers of S. toRGB layers are never edited (CDDFM3D)."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.space = generator.style_space
        self.sizes: Mapping[str, int] = {name: self.space.layer(name).size for name in editable(self.space)}

    def of_w_plus(self, w_plus: Tensor) -> dict[str, Tensor]:
        return self.of_styles(self.generator.affine(w_plus))

    def of_styles(self, styles: Tensor) -> dict[str, Tensor]:
        parts = self.space.split(styles)
        return {name: parts[name] for name in self.sizes}

    def moved(self, styles: Tensor, offsets: Mapping[str, Tensor]) -> Tensor:
        return shift(self.space, styles, offsets)


class InWPlus:
    """W+: the vectors `w0`, `w1` ... that drive the layers of S, StyleRig's own space (18 x 512 at 1024 px)."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        space, width = generator.style_space, generator.config.w_dim
        self.sizes: Mapping[str, int] = {f"w{index}": width for index in range(space.w_count)}
        affine = affine_matrix(generator).double()  # (W,S)
        self._zero = generator.affine(torch.zeros(1, width))  # (1,S)
        self._single = torch.linalg.pinv(affine)  # (S,W)
        driven = [space.mask([layer.name for layer in space.layers if layer.w_index == index]) for index in range(space.w_count)]
        self._parts = [(mask, torch.linalg.pinv(affine[:, mask])) for mask in driven]  # mask (S,), (its styles, W)

    def of_w_plus(self, w_plus: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.sizes, w_plus.unbind(1), strict=True))

    def of_styles(self, styles: Tensor) -> dict[str, Tensor]:
        wanted = (styles - self._zero).double()  # (B,S)
        single = wanted @ self._single  # (B,W)
        missing = wanted - (self.generator.affine(single.to(styles)) - self._zero).double()
        found = [(single + missing[:, mask] @ inverse).to(styles) for mask, inverse in self._parts]
        return dict(zip(self.sizes, found, strict=True))

    def moved(self, styles: Tensor, offsets: Mapping[str, Tensor]) -> Tensor:
        # The affine layers are affine, so what an offset adds to s does not depend on where it is added.
        w_offsets = torch.stack([offsets[name] for name in self.sizes], dim=1)  # (B,L,W)
        return styles + (self.generator.affine(w_offsets) - self._zero)


def latents_of(space: Space, generator: Generator) -> Latents:
    """The latent space of a generator, frozen, by its name."""
    return InWPlus(generator) if space == "wplus" else InS(generator)
