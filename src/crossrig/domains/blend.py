"""Layer swapping (Pinkney & Adler 2020, *Resolution Dependent GAN Interpolation*, section 2): one generator out of two.

Coarse layers decide how a head is built and turned, fine ones how its surface is painted. A generator whose layers below some resolution
come from one parent and from there on from the other therefore draws the shapes of the first with the brush of the second ("Toonify").
Both must have one latent space, as a fine-tuned child and its parent do: z, w and s then mean the same person in all three.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import torch
from torch import Tensor

from crossrig.errors import UserError
from crossrig.gan.generator import Generator
from crossrig.gan.stylespace import CONSTANT_RESOLUTION, StyleSpace

#: Share of the variance of the codes that the codes of the other generator must explain. A child whose mapping network was held has 1, one
#: that was fine-tuned as a whole a little less; generators trained apart have about -1.
_SAME_SPACE = 0.5
_PROBES = 256  # z's whose codes are compared


def shares_by_resolution(space: StyleSpace, steps: Mapping[int, float]) -> dict[int, float]:
    """Resolution of every block, px -> share of the texture's generator in it, in [0, 1].

    `steps`: shares from some resolutions on; each holds until the next, and below the first the share is 0. `{16: 1.0}` is the plain swap
    at 16 px, `{8: 0.5, 16: 1.0}` passes over gradually. Raises UserError for a resolution without a block or a share out of range.
    """
    for resolution, share in steps.items():
        if resolution not in space.block_resolutions:
            raise UserError(f"There are no layers at {resolution} px; choose from {', '.join(map(str, space.block_resolutions))}.")
        if not 0.0 <= share <= 1.0:  # false for nan, too
            raise UserError(f"The share at {resolution} px must be between 0 and 1, not {share:g}.")
    if not steps:
        raise UserError("Say from which resolution on the layers are swapped, for example 16.")
    shares, share = {}, 0.0
    for resolution in space.block_resolutions:
        share = steps.get(resolution, share)
        shares[resolution] = share
    return shares


def blend(structure: Generator, texture: Generator, shares: Mapping[int, float]) -> Generator:
    """A generator with `shares[resolution]` of `texture` in the block of that resolution, the rest from `structure`.

    All tensors of a block move together - convolutions, toRGB, affine layers, noise, and the constant with the 4 px block - and are mixed
    linearly; a share of 0 or 1 copies them bit for bit. The mapping network and the mean w are those of `structure`, as in Toonify.
    Raises UserError when the two do not fit (see `check_fit`).
    """
    check_fit(structure, texture)
    space = structure.style_space
    missing = set(space.block_resolutions) ^ set(shares)
    if missing:
        raise ValueError(f"shares are needed for {space.block_resolutions}: got {tuple(shares)}")
    other = texture.state_dict()
    mixed: dict[str, Tensor] = {}
    for name, tensor in structure.state_dict().items():
        share = _share(name, shares)
        mixed[name] = tensor.clone() if share == 0.0 else other[name].clone() if share == 1.0 else tensor.lerp(other[name], share)
    result = Generator(structure.config)
    result.load_state_dict(mixed)
    return result.eval()


def _share(name: str, shares: Mapping[int, float]) -> float:
    """Share of the texture's generator in a tensor, by its name in the state_dict."""
    if name == "const":
        return shares[CONSTANT_RESOLUTION]
    if name.startswith("synthesis.b"):
        return shares[int(name.split(".")[1].removeprefix("b"))]
    return 0.0  # mapping network and mean w


def check_fit(first: Generator, second: Generator) -> None:
    """Raises UserError, saying what differs, unless both have one architecture and one latent space."""
    ours, theirs = asdict(first.config), asdict(second.config)
    different = [name for name in ours if ours[name] != theirs[name]]
    if different:
        said = "; ".join(f"{name} {ours[name]} and {theirs[name]}" for name in different)
        raise UserError(f"The two generators are not built alike ({said}): only a child and its parent, or two children of one, fit.")
    explained = shared_latent_space(first, second)
    if explained < _SAME_SPACE:
        raise UserError(
            f"The two generators have no latent space in common (the codes of one explain {max(explained, 0.0):.0%} of the other's): "
            "only a child and its parent, or two children of one, fit."
        )


@torch.no_grad()
def shared_latent_space(first: Generator, second: Generator, seed: int = 0) -> float:
    """How far the same z means the same style code: 1 for equal mapping networks and affine layers, about -1 for unrelated ones.

    One minus the mean squared difference of the codes of 256 z's, every entry of s measured in its own variance over them.
    """
    z = torch.randn(_PROBES, first.config.z_dim, generator=torch.Generator().manual_seed(seed))
    classes = first.config.c_dim
    c = torch.eye(classes)[torch.arange(_PROBES) % classes] if classes else None
    ours, theirs = (generator.affine(generator.map(z, c=c)) for generator in (first, second))  # (256, S)
    return 1.0 - float(((ours - theirs).square().mean(0) / ours.var(0).clamp(min=1e-8)).mean())


def parse_steps(text: str, flag: str = "--shares") -> dict[int, float]:
    """`8=0.5,16=1` as `{8: 0.5, 16: 1.0}`; a resolution alone means a share of 1. UserError for anything else."""
    steps: dict[int, float] = {}
    for word in text.split(","):
        resolution, separator, share = word.partition("=")
        try:
            number, value = int(resolution), float(share) if separator else 1.0
        except ValueError:
            raise UserError(f'{flag} {text}: "{word}" is not RESOLUTION=SHARE; write for example {flag} 8=0.5,16=1.') from None
        if number in steps:
            raise UserError(f"{flag} {text}: {number} px is named twice.")
        steps[number] = value
    return steps
