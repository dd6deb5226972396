"""Latent-consistent fine-tuning (CDDFM3D, section 3.4): a child generator that keeps its parent's latent space.

The parent continues training on pictures of another domain while everything that carries the latent space - the mapping
network and the affine layers that turn w into style codes - is held still. The same s then means the same person, pose,
expression and light in both, and a rig learned on the parent drives the child. (The original code trains everything by
default; nothing then ties the two spaces together.)
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from crossrig.errors import UserError
from crossrig.gan.generator import Generator
from crossrig.gan.stylespace import CONSTANT_RESOLUTION


def hold_latent_space(generator: Generator, up_to: int | None = None) -> list[nn.Parameter]:
    """Freeze mapping and affine layers in place; returns the parameters that remain to be trained.

    `up_to`: px; blocks above it are new, no code has a meaning in them yet, and their affine layers are trained.
    """
    for parameter in generator.latent_parameters(up_to):
        parameter.requires_grad_(False)
    return [parameter for parameter in generator.parameters() if parameter.requires_grad]


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
