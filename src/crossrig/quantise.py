"""Weights as integers of 8 bits or fewer, one scale for each index of their first dimension: the usual symmetric quantisation.

Half a scale is the largest error, so in 8 bits 0.4 % of a channel's largest weight. Biases, noise strengths and other small
things, whose errors would show and whose bytes do not, stay floats of 32 bits.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

BITS = 8
LEVELS, SCALE, PLAIN = "levels/", "scale/", "plain/"


def encode(tensors: Mapping[str, Tensor], bits: int = BITS) -> dict[str, Tensor]:
    """Tensors -> the tensors to store. ValueError for other bits than 2 to 8.

    Of a weight (two or more dimensions, of floats) `levels/NAME` holds int8 of its shape (O, ...) and `scale/NAME` float32 (O,); of
    everything else `plain/NAME` the float32, or the integer, that it is.
    """
    if not 2 <= bits <= 8:
        raise ValueError(f"bits are between 2 and 8: got {bits}")
    top = 2 ** (bits - 1) - 1
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            stored[PLAIN + name] = tensor
        elif tensor.ndim < 2:
            stored[PLAIN + name] = tensor.float()
        else:
            weight = tensor.float()
            scale = weight.flatten(1).abs().amax(1) / top  # (O,)
            rounded = torch.round(_per_channel(weight, 1.0 / scale.clamp(min=1e-30)))
            stored[LEVELS + name], stored[SCALE + name] = rounded.clamp(-top, top).to(torch.int8), scale
    return stored


def decode(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Inverse of `encode`, up to half a scale. ValueError for tensors that it did not make."""
    tensors: dict[str, Tensor] = {}
    for key, tensor in stored.items():
        kind, name = key[: key.find("/") + 1], key[key.find("/") + 1 :]
        if kind == PLAIN:
            tensors[name] = tensor
        elif kind == LEVELS:
            scale = stored.get(SCALE + name)
            if scale is None or tensor.ndim < 2 or scale.shape != tensor.shape[:1]:
                raise ValueError(f"there is no scale for every output channel of {name}")
            tensors[name] = _per_channel(tensor.float(), scale.float())
        elif kind != SCALE:
            raise ValueError(f"{key} is none of {LEVELS}, {SCALE} and {PLAIN}")
    return tensors


def _per_channel(weight: Tensor, scale: Tensor) -> Tensor:
    """weight (O, ...) times scale (O,)."""
    return weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
