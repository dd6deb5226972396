"""Latent-consistent fine-tuning (CDDFM3D, section 3.4): a child generator that keeps its parent's latent space.

The parent continues training on pictures of another domain while everything that carries the latent space - the mapping
network and the affine layers that turn w into style codes - is held still. The same s then means the same person, pose,
expression and light in both, and a rig learned on the parent drives the child. (The original code trains everything by
default; nothing then ties the two spaces together.)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from crossrig.errors import UserError
from crossrig.gan.generator import Generator
from crossrig.gan.stylespace import CONSTANT_RESOLUTION, StyleSpace


def hold_latent_space(generator: Generator, known: StyleSpace | None = None) -> list[nn.Parameter]:
    """Freeze mapping and affine layers in place; returns the parameters that remain to be trained.

    `known`: the style space that the generator grew from (`gan.weights.grow`). Styles that are not in it, of new blocks or new channels,
    mean nothing yet, and what makes them is trained.
    """
    space = known or generator.style_space
    generator.mapping.requires_grad_(False)
    for layer in generator.style_space.layers:
        held = space.layer(layer.name).size if layer.name in space.names else 0
        for parameter in generator.affine_parameters(layer.name):
            if held == layer.size:
                parameter.requires_grad_(False)
            elif held:
                parameter.register_hook(partial(_silence, rows=held))  # type: ignore[no-untyped-call]
    return [parameter for parameter in generator.parameters() if parameter.requires_grad]


def _silence(gradient: Tensor, rows: int) -> Tensor:
    """No gradient for the first rows: a step of an optimiser without weight decay leaves them where they are."""
    return torch.cat([torch.zeros_like(gradient[:rows]), gradient[rows:]])


def hold_layers(generator: Generator, names: Sequence[str]) -> None:
    """Freeze layers of the synthesis network in place: blocks such as `b8`, or single ones such as `b16.conv0` and `b16.torgb`.

    With the early blocks this is FreezeG (Lee 2020): what decides the build of a head cannot move. The constant belongs
    to `b4`. Raises UserError for a name that is none of these.
    """
    space = generator.style_space
    blocks = [f"b{resolution}" for resolution in space.block_resolutions]
    for name in names:
        if name not in (*blocks, *space.names):
            known = f"the blocks {', '.join(blocks)} and the layers {', '.join(space.names)}"
            raise UserError(f'There is no layer "{name}" to hold; there are {known}.')
        for parameter in generator.synthesis.get_submodule(name).parameters():
            parameter.requires_grad_(False)
        if name == f"b{CONSTANT_RESOLUTION}":
            generator.const.requires_grad_(False)
