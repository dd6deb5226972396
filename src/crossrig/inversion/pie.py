"""PIE (Tewari et al., SIGGRAPH Asia 2020, arXiv 2009.09485): a picture as a code that can be edited.

The code that is nearest to a picture need not mean to a rig what the picture shows, and edits of it then go wrong. PIE looks for a code
that paints the picture *and* under which a rig's edits hold. With I the picture, P_I its parameters, T and M the rig, v other people and
s' = M(s, P_v - T(s)) an edit of one attribute, it lowers the sum of

synthesis    how far G(s) is from I, and the code from those the generator knows   as `optimise.invert`
rig          T(s) must be P_I
idle         commanded its own parameters, the rig must return s     0 for M, which does so by construction; the paper's term, with StyleRig
edit         T(s') must show v's value of the attribute
invariance   T(s') must show P_I in everything else
identity     G(s) and G(s') must look like the person in I

The paper takes P_I from a network that reads the picture, compares renders of parameters with pictures, and recognises people by a face
recognition network. Here parameters are compared with parameters (`rig.losses` says why that is the same and cheaper), and people by
EfficientNet-Lite0 features averaged over positions, which say what is in a picture rather than where; no face recognition network is used.

The search is hierarchical, as published: first in W, where edits work best, then in W+, which comes nearer to the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from crossrig.errors import UserError
from crossrig.face3d.params import FaceParams
from crossrig.features import PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.inversion.encoder import Encoder, w_samples
from crossrig.inversion.optimise import Inversion, Target, descend, start_w_plus

#: What is edited during the search, one attribute a step in turn: those a person keeps the identity under.
EDITED: tuple[str, ...] = ("pose", "expression", "illumination")


class FaceDistance(Protocol):
    """How far parameters are apart, in population spreads: `rig.losses.BlockLosses`."""

    def __call__(self, predicted: FaceParams, target: FaceParams) -> Mapping[str, Tensor]:
        """Block -> (B,)."""

    def edited(self, attribute: str, found: FaceParams, goal: FaceParams, keep_weight: float, edit_weight: float) -> Tensor:
        """Scalar: the attribute and everything else, weighted apart."""


@dataclass(frozen=True)
class RigView:
    """What the search must know of a rig. Gradients pass through all of it."""

    read: Callable[[Tensor], FaceParams]
    """T: style codes (B, S) -> parameters."""
    edit: Callable[[Tensor, str, Tensor], Tensor]
    """An editor (`rig.editors.Editor`): style codes (B, S), attribute, command (B, n) -> style codes."""
    distance: FaceDistance
    people: Tensor
    """(N, S) style codes of other people; edits are commanded towards them."""


@dataclass(frozen=True)
class PieWeights:
    """Weights of the terms in the module's docstring; pixel and prior as `optimise.invert`. identity 0: no edited picture is painted,
    which halves the time."""

    pixel: float = 1.0
    prior: float = 0.02
    rig: float = 0.2
    idle: float = 1.0
    edit: float = 0.1
    invariance: float = 0.1
    identity: float = 1.0


def embed(
    image: Tensor,
    seen: FaceParams,
    rig: RigView,
    generator: Generator,
    encoder: Encoder | None = None,
    *,
    w_steps: int = 50,
    steps: int = 50,
    lr: float = 0.03,
    weights: PieWeights | None = None,
    perceptual: PerceptualDistance | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Inversion:
    """Find the code of `image` (1, 3, R, R) in [-1, 1] under which the edits of `rig` hold; R is the generator's resolution.

    `seen`: the parameters of the picture, of one face, as the reconstruction network reads them in it. The search starts from the mean of
    the encoder's w, or from the mean w, takes `w_steps` in W and from there `steps` in W+; `losses` of the result has both. `progress(step,
    steps)` is called after every step. Raises ValueError when the picture has another size, UserError when there is more than one
    face or no people.
    """
    if len(seen) != 1 or not len(rig.people):
        raise UserError(f"PIE embeds one face and needs other people's codes; there are {len(seen)} faces and {len(rig.people)} codes.")
    weights = weights or PieWeights()
    target = Target.of(image, generator, perceptual)
    with torch.no_grad():
        w_start = start_w_plus(image, generator, encoder).mean(1)  # (1,W)
        samples = w_samples(generator)
        unit = samples.std(0).clamp(min=1e-4)  # (W,)
        style_unit = generator.affine(samples).std(0).clamp(min=1e-4)  # (S,)
        others = rig.read(rig.people)
        person = _who(target.described)

    def energy(s: Tensor, offset: Tensor, step: int) -> Tensor:
        made, found = generator.synthesise(s), rig.read(s)
        total = target.miss(made, weights.pixel) + weights.prior * offset.square().mean()
        total = total + weights.rig * torch.stack([gap.mean() for gap in rig.distance(found, seen).values()]).mean()
        attribute, mine = EDITED[step % len(EDITED)], found.attribute(EDITED[step % len(EDITED)])
        # v in turn too, so that a search is repeatable
        wanted = others[step // len(EDITED) % len(others)].attribute(attribute)
        idle = rig.edit(s, attribute, torch.zeros_like(mine))
        edited = rig.edit(s, attribute, wanted - mine)
        total = total + weights.idle * ((idle - s) / style_unit).square().mean()
        goal = seen.with_attribute(attribute, wanted)
        total = total + rig.distance.edited(attribute, rig.read(edited), goal, weights.invariance, weights.edit)
        if weights.identity:
            pictures = target.distance.describe(torch.cat([made, generator.synthesise(edited)]))
            total = total + weights.identity * _apart(_who(pictures), person)
        return total

    def told(done: int) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda step, _: progress(done + step, w_steps + steps)

    def latent(offset: Tensor) -> Tensor:
        """Offset in standard deviations, (1,W) or (1,L,W) -> w or w_plus."""
        return (w_start if offset.ndim == 2 else w_start[:, None]) + unit * offset

    def after(done: int) -> Callable[[Tensor, int], Tensor]:
        return lambda offset, step: energy(generator.affine(latent(offset)), offset, done + step)

    in_w, first = descend(after(0), torch.zeros_like(w_start), w_steps, lr, told(0))
    in_w_plus, second = descend(after(w_steps), generator.broadcast(in_w).clone(), steps, lr, told(w_steps))
    with torch.no_grad():
        w_plus = latent(in_w_plus)
        s = generator.affine(w_plus)
        made = generator.synthesise(s)
    return Inversion(s, w_plus, made, first + second, target.gap(made))


def _who(described: list[Tensor]) -> list[Tensor]:
    """Features (B, C, h, w) of every tap -> (B, C) of unit length, averaged over positions."""
    return [F.normalize(feature.mean(dim=(2, 3)), dim=1, eps=1e-6) for feature in described]


def _apart(pictures: list[Tensor], person: list[Tensor]) -> Tensor:
    """Mean squared distance of pictures to the person, (B, C) and (1, C) of every tap, summed over channels and taps."""
    return torch.stack([(a - b).square().sum(dim=1).mean() for a, b in zip(pictures, person, strict=True)]).sum()
