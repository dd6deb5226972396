"""Latent-consistent fine-tuning (CDDFM3D, section 3.4): a child generator that keeps its parent's latent space.

The parent continues training on pictures of another domain while everything that carries the latent space - the mapping
network and the affine layers that turn w into style codes - is held still. The same s then means the same person, pose,
expression and light in both, and a rig learned on the parent drives the child. (The original code trains everything by
default; nothing then ties the two spaces together.)
"""

from __future__ import annotations

from torch import nn

from crossrig.gan.generator import Generator


def hold_latent_space(generator: Generator) -> list[nn.Parameter]:
    """Freeze mapping and affine layers in place; returns the parameters that remain to be trained."""
    for parameter in generator.latent_parameters():
        parameter.requires_grad_(False)
    return [parameter for parameter in generator.parameters() if parameter.requires_grad]
