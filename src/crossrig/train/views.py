"""What networks that look at few pixels are shown of a large picture: all of it, made smaller, or a window of it as it is.

The perceptual distance and the discriminator cost as much as the generator, and more the more pixels they see. At their size the whole of
a 256 px picture has lost its finest detail; a window of that size (patches, as in PatchGAN, Isola 2017, section 3.2.2) has it, but not
the build of the head. So steps take turns. Where it is known, some windows are laid on an eye or the mouth: a tenth of the picture, and
what people look at.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.features import FeatureTaps
from crossrig.gan.projected import ProjectedDiscriminator
from crossrig.rig.losses import PointLoss

#: Landmarks, in iBUG order: one eye, the other, the mouth.
_EYES_AND_MOUTH = (slice(36, 42), slice(42, 48), slice(48, 68))


def critics(size: int, close_ups: float) -> list[ProjectedDiscriminator]:
    """A discriminator for whole pictures and, where a share of the steps are close-ups, one for these: what looks real differs.

    `size`: px at which their frozen features, which they share, look.
    """
    features = FeatureTaps(size)
    return [ProjectedDiscriminator(features=features, seed=view) for view in range(1 + (close_ups > 0))]


@torch.no_grad()
def eyes_and_mouth(labels: Tensor, model: FaceModel) -> Tensor:
    """Labels (N,213) -> (N,3,2): where the middles of both eyes and the mouth are, down and across, in shares of the picture's side."""
    points = PointLoss.landmarks(model).points(FaceParams.unpack(labels))  # (N,68,2), x to the right, y up
    middles = torch.stack([points[:, part].mean(1) for part in _EYES_AND_MOUTH], 1)
    return (torch.stack([-middles[..., 1], middles[..., 0]], -1) + 1.0) / 2.0


def close_up(pictures: tuple[Tensor, ...], side: int, at: Tensor | None = None) -> tuple[Tensor, ...]:
    """The same windows of several batches (B,C,R,R): each (B,C,side,side), one place a row of the batch.

    `at` (B,2): what shall lie in the middle half of the window, down and across in shares of the sides; not a number where the window may
    lie anywhere; None: all may.
    Differentiable; places come from torch's global generator. Pictures that are no larger come back as they are.
    """
    batch, _, height, width = pictures[0].shape
    if min(height, width) <= side:
        return pictures
    room = torch.tensor([height - side, width - side])
    corners = (torch.rand(batch, 2) * (room + 1)).long()
    if at is not None:
        near = at * torch.tensor([height, width]) - side / 2 + torch.randint(-(side // 4), side // 4 + 1, (batch, 2))
        corners = torch.where(at.isnan(), corners, near.nan_to_num().round().long().clamp(min=0).minimum(room))
    places = corners.tolist()
    return tuple(
        torch.stack([picture[:, top : top + side, left : left + side] for picture, (top, left) in zip(batch_of, places, strict=True)])
        for batch_of in pictures
    )
