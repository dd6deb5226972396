"""Pictures of a domain, painted again by the child from what an encoder sees in them.

A discriminator says that outlines are missing, not where. Where a picture of the domain is known to be somebody, the child can be told
place by place, as the generator of photographs is (`train/generator.py`). Who it is says an encoder that trains along, and what keeps it
honest is the parent: painted by the parent, the same code must have the picture's coarse structure, so a head drawn in three-quarter view
becomes the code of a person who is turned like that, and the rig of the parent means in the child what it means at home.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from crossrig.domains.consistency import structure_distance
from crossrig.features import PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.inversion.encoder import Encoder

_COARSE = 4  # colours are compared once more, as means over so many pixels


class Repainting(nn.Module):
    """The losses of repainting; the encoder, which learns from them, is the only part with a state."""

    def __init__(self, encoder: Encoder, perceptual_size: int = 96, structure_weight: float = 1.0, structure_size: int = 16) -> None:
        super().__init__()
        self.encoder = encoder
        self.perceptual = PerceptualDistance(perceptual_size)
        self.structure_weight = structure_weight
        self.structure_size = structure_size

    def forward(self, pictures: Tensor, child: Generator, parent: Generator, paint: Callable[[Tensor], Tensor]) -> Tensor:
        """A scalar for pictures (B,3,R,R) in [-1,1] of the domain; `paint`: codes (B,S) -> the child's pictures.

        The child feels how far its pictures are from the given ones, the encoder this and whether the parent's have their structure.
        """
        s = child.affine(self.encoder(pictures))  # (B,S)
        painted = paint(s)
        colours = (painted - pictures).abs().mean() + (F.avg_pool2d(painted, _COARSE) - F.avg_pool2d(pictures, _COARSE)).abs().mean()
        features: Tensor = self.perceptual(painted, pictures).mean()
        few = min(4 * self.structure_size, parent.config.resolution)  # px: what the structure is read from
        meant = parent.synthesise(s, "const", resolution=few)
        structure = structure_distance(meant, F.adaptive_avg_pool2d(pictures, few), self.structure_size)
        return colours + features + self.structure_weight * structure
