"""What networks that look at few pixels are shown of a large picture: all of it, made smaller, or a window of it as it is.

The perceptual distance and the discriminator cost as much as the generator, and more the more pixels they see. At their size the whole of
a 256 px picture has lost its finest detail; a window of that size (patches, as in PatchGAN, Isola 2017, section 3.2.2) has it, but not
the build of the head. So steps take turns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossrig.features import FeatureTaps
from crossrig.gan.projected import ProjectedDiscriminator


def critics(size: int, close_ups: float) -> list[ProjectedDiscriminator]:
    """A discriminator for whole pictures and, where a share of the steps are close-ups, one for these: what looks real differs.

    `size`: px at which their frozen features, which they share, look.
    """
    features = FeatureTaps(size)
    return [ProjectedDiscriminator(features=features, seed=view) for view in range(1 + (close_ups > 0))]


def close_up(pictures: tuple[Tensor, ...], side: int) -> tuple[Tensor, ...]:
    """The same random windows of several batches (B,C,R,R): each (B,C,side,side), one place a row of the batch.

    Differentiable; places come from torch's global generator. Pictures that are no larger come back as they are.
    """
    batch, _, height, width = pictures[0].shape
    if min(height, width) <= side:
        return pictures
    tops = torch.randint(height - side + 1, (batch,)).tolist()
    lefts = torch.randint(width - side + 1, (batch,)).tolist()
    places = list(zip(tops, lefts, strict=True))
    return tuple(
        torch.stack([picture[:, top : top + side, left : left + side] for picture, (top, left) in zip(batch_of, places, strict=True)])
        for batch_of in pictures
    )
