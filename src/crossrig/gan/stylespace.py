"""StyleSpace: the named layer table of a StyleGAN2 and the only file that knows offsets into a style code.

A *style code* s (B, S) is the concatenation of the outputs of all affine layers, in the order of StyleSpace (Wu et al.
2021, Section 3): the 4 px convolution, its toRGB, then for each resolution the up-convolution, the convolution and the
toRGB. Entries are the plain affine outputs: the toRGB weight gain that NVIDIA's code multiplies into its styles is here
part of the toRGB weights, so that codes agree with the StyleSpace paper's.

For a 1024 px configuration F this gives the paper's 26 layers and 9088 entries (6048 of convolutions, 3040 of toRGB).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch

CONSTANT_RESOLUTION = 4  # px, side of the learned constant


@dataclass(frozen=True)
class StyleLayer:
    """One layer with a style: `size` entries of s (its input channels), driven by entry `w_index` of W+."""

    name: str  # "b32.conv0" (up-convolution), "b32.conv1", "b32.torgb"
    resolution: int  # px of its output
    kind: Literal["conv", "torgb"]
    size: int
    w_index: int


@dataclass(frozen=True)
class StyleSpace:
    """The style layers of a generator of `resolution` px whose blocks have `channels[resolution]` feature channels.

    Raises ValueError when the resolution is not a power of two from 4 up or a block's channel count is missing.
    """

    resolution: int
    channels: Mapping[int, int]

    def __post_init__(self) -> None:
        if self.resolution < CONSTANT_RESOLUTION or self.resolution & (self.resolution - 1):
            raise ValueError(f"resolution must be a power of two, at least 4: got {self.resolution}")
        for resolution in self.block_resolutions:
            if self.channels.get(resolution, 0) < 1:
                raise ValueError(f"no channel count for the {resolution} px block in {dict(self.channels)}")

    @cached_property
    def block_resolutions(self) -> tuple[int, ...]:
        """4, 8, 16 ... up to the image."""
        count = self.resolution.bit_length() - CONSTANT_RESOLUTION.bit_length() + 1
        return tuple(CONSTANT_RESOLUTION << level for level in range(count))

    @cached_property
    def layers(self) -> tuple[StyleLayer, ...]:
        """All layers in the order of the style code."""
        table: list[StyleLayer] = []
        w_index = 0
        for resolution in self.block_resolutions:
            width = self.channels[resolution]
            if resolution > CONSTANT_RESOLUTION:
                below = self.channels[resolution // 2]
                table.append(StyleLayer(f"b{resolution}.conv0", resolution, "conv", below, w_index))
                w_index += 1
            table.append(StyleLayer(f"b{resolution}.conv1", resolution, "conv", width, w_index))
            w_index += 1
            # toRGB shares its w with the next block's up-convolution (StyleGAN2, official implementation)
            table.append(StyleLayer(f"b{resolution}.torgb", resolution, "torgb", width, w_index))
        return tuple(table)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Layer names in the order of the style code."""
        return tuple(layer.name for layer in self.layers)

    @cached_property
    def size(self) -> int:
        """S, the number of entries of a style code."""
        return sum(layer.size for layer in self.layers)

    @cached_property
    def w_count(self) -> int:
        """L, the number of vectors in W+ (18 at 1024 px)."""
        return self.layers[-1].w_index + 1

    @cached_property
    def _table(self) -> dict[str, StyleLayer]:
        return {layer.name: layer for layer in self.layers}

    def layer(self, name: str) -> StyleLayer:
        """The layer called `name`; KeyError lists the names there are."""
        if name not in self._table:
            raise KeyError(f"no style layer '{name}'; there are {', '.join(self.names)}")
        return self._table[name]

    def split(self, s: torch.Tensor) -> dict[str, torch.Tensor]:
        """(..., S) -> name -> (..., size), views of s in layer order."""
        if s.shape[-1] != self.size:
            raise ValueError(f"a style code of this generator has {self.size} entries, got shape {tuple(s.shape)}")
        return dict(zip(self.names, torch.split(s, [layer.size for layer in self.layers], dim=-1), strict=True))

    def join(self, styles: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The inverse of `split`, in any order of the mapping; ValueError for missing, unknown or misfit layers."""
        if set(styles) != set(self.names):
            missing, unknown = sorted(set(self.names) - set(styles)), sorted(set(styles) - set(self.names))
            raise ValueError(f"join needs every layer once: missing {missing}, unknown {unknown}")
        for layer in self.layers:
            if styles[layer.name].shape[-1] != layer.size:
                raise ValueError(f"{layer.name} has {layer.size} entries, got shape {tuple(styles[layer.name].shape)}")
        return torch.cat([styles[name] for name in self.names], dim=-1)

    def mask(self, names: Iterable[str]) -> torch.Tensor:
        """(S,) bool, true at the entries of the named layers."""
        chosen = {self.layer(name).name for name in names}
        return torch.cat([torch.full((layer.size,), layer.name in chosen) for layer in self.layers])
