"""A child generator as its difference from its parent: the layers that moved, in 8 bits.

Latent-consistent fine-tuning leaves the mapping network and the affine layers where they were, and moves the others a little. So a child is
its parent plus a small correction, and a correction may be coarse: for every weight tensor the difference is stored as integers, with one
scale per output channel (the usual symmetric quantisation of weights).

The difference means something with one parent file only, which is named by its SHA-256.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

KIND = "generator-difference"
BITS = 8
_LEVELS, _SCALE, _PLAIN = "levels/", "scale/", "plain/"


def encode(child: Mapping[str, Tensor], parent: Mapping[str, Tensor], bits: int = BITS) -> dict[str, Tensor]:
    """State of a child, in that of its parent (equal names and shapes) -> the tensors to store.

    Tensors that did not move are left out. Of weights (two or more dimensions) the difference becomes `bits` bits in int8, and one float32
    scale per index of the first dimension, the output channel; half a scale is the largest error. Biases, noise strengths and other small
    things, whose errors would show and whose bytes do not, keep their float32 difference. ValueError when the two do not fit.
    """
    if not 2 <= bits <= 8:
        raise ValueError(f"bits are between 2 and 8: got {bits}")
    if {name: tensor.shape for name, tensor in child.items()} != {name: tensor.shape for name, tensor in parent.items()}:
        raise ValueError("a child has the tensors of its parent, in the same shapes")
    top = 2 ** (bits - 1) - 1
    stored: dict[str, Tensor] = {}
    for name, tensor in child.items():
        moved = tensor.float() - parent[name].float()
        if not moved.any():
            continue
        if moved.ndim < 2:
            stored[_PLAIN + name] = moved
            continue
        scale = moved.flatten(1).abs().amax(1) / top  # (O,)
        rounded = torch.round(_per_channel(moved, 1.0 / scale.clamp(min=1e-30)))
        stored[_LEVELS + name], stored[_SCALE + name] = rounded.clamp(-top, top).to(torch.int8), scale
    return stored


def decode(stored: Mapping[str, Tensor], parent: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The child's state, in float32: inverse of `encode` up to half a scale. ValueError for tensors that do not fit the parent."""
    state = {name: tensor.float() for name, tensor in parent.items()}
    for key, tensor in stored.items():
        kind, name = key[: key.find("/") + 1], key[key.find("/") + 1 :]
        if kind == _SCALE:
            continue
        moved = tensor.float()
        if name not in state or kind not in (_LEVELS, _PLAIN) or moved.shape != state[name].shape:
            raise ValueError(f"the parent has nothing for {key} of the shape {tuple(tensor.shape)}")
        if kind == _LEVELS:
            scale = stored.get(_SCALE + name)
            if scale is None or scale.shape != moved.shape[:1]:
                raise ValueError(f"there is no scale for every output channel of {name}")
            moved = _per_channel(moved, scale.float())
        state[name] = state[name] + moved
    return state


def _per_channel(weight: Tensor, scale: Tensor) -> Tensor:
    """weight (O, ...) times scale (O,)."""
    return weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
