"""A child generator as its difference from its parent: the layers that moved, in 8 bits.

Latent-consistent fine-tuning leaves the mapping network and the affine layers where they were, and moves the others a little. So a child is
its parent plus a small correction, and a correction may be coarse (`quantise.py`).

The difference means something with one parent file only, which is named by its SHA-256.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from crossrig import quantise

KIND = "generator-difference"


def encode(child: Mapping[str, Tensor], parent: Mapping[str, Tensor], bits: int = quantise.BITS) -> dict[str, Tensor]:
    """State of a child, in that of its parent (equal names and shapes) -> the tensors to store.

    Tensors that did not move are left out. ValueError when the two do not fit.
    """
    if {name: tensor.shape for name, tensor in child.items()} != {name: tensor.shape for name, tensor in parent.items()}:
        raise ValueError("a child has the tensors of its parent, in the same shapes")
    moved = {name: tensor.float() - parent[name].float() for name, tensor in child.items()}
    return quantise.encode({name: difference for name, difference in moved.items() if difference.any()}, bits)


def decode(stored: Mapping[str, Tensor], parent: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The child's state, in float32: inverse of `encode` up to half a scale. ValueError for tensors that do not fit the parent."""
    state = {name: tensor.float() for name, tensor in parent.items()}
    for name, moved in quantise.decode(stored).items():
        if name not in state or moved.shape != state[name].shape:
            raise ValueError(f"the parent has nothing for {name} of the shape {tuple(moved.shape)}")
        state[name] = state[name] + moved
    return state
