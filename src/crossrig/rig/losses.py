"""Losses between face parameters, in vertex space, in the picture plane and between renders.

CDDFM3D compares renders of edited parameters with pictures (arXiv 2104.11228, section 3.3). Two faces that are both *known as parameters*
can be compared without drawing them: vertices, colours, light and angles through Gram matrices (`rig.units`), and the outline through the
normals at it. That is exact, hides nothing behind the nose and costs next to nothing; `RenderLoss` is the paper's way, for comparison.

All losses are divided by the spread of a population, so 1 is about what always answering the mean face costs.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from crossrig.face3d.model import FaceModel, pose
from crossrig.face3d.params import ATTRIBUTES, BLOCKS, FaceParams
from crossrig.render.camera import Camera
from crossrig.render.face import render_face
from crossrig.rig.units import Units

#: iBUG landmarks of the mouth (48..67) count this much more than the others (the paper weighs the mouth apart).
MOUTH_WEIGHT = 3.0
_MOUTH = range(48, 68)
# Units that move only eyeballs or the tongue hardly show in the face region; a small plain share keeps every
# coefficient learned.
_PLAIN_SHARE = 0.15


class BlockLosses(nn.Module):
    """Per block: exact squared distance of what it moves, plus small WPDC-like and plain shares.

    exact  e' G e / spread^2                     what the vertices (colours, light ...) are off by
    WPDC   e' diag(G) e / the population's own   coefficients one by one, weighted by how much each moves (Zhu 2016, 3.4)
    plain  mean of (e / sd)^2                    coefficients one by one, each in its own spread
    """

    def __init__(self, units: Units, population: FaceParams) -> None:
        super().__init__()
        self.units = units
        spread = units.spread(population)
        self.inverse = {block: 1.0 / value**2 for block, value in spread.items()}
        for block in BLOCKS:
            scale = getattr(population, block).std(0).clamp(min=1e-4)
            wpdc = units.gram(block).diagonal() * self.inverse[block]
            # Scaled so that errors as large as the population's spread cost 1, whatever the correlations in it.
            wpdc = wpdc / (wpdc * scale.square()).sum().clamp(min=1e-12)
            plain = 1.0 / (scale.square() * scale.numel())
            self.register_buffer(f"weights_{block}", (1 - _PLAIN_SHARE) * wpdc + _PLAIN_SHARE * plain, persistent=False)

    def block(self, name: str, predicted: FaceParams, target: FaceParams) -> Tensor:
        """(B,): exact distance only, squared, in squared population spreads."""
        return self.units.squared(name, getattr(predicted, name) - getattr(target, name)) * self.inverse[name]

    def forward(self, predicted: FaceParams, target: FaceParams) -> dict[str, Tensor]:
        """Block -> (B,): exact distance and weighted coefficients, about 1 each for an answer that is the population mean."""
        found = {}
        for name in BLOCKS:
            error: Tensor = getattr(predicted, name) - getattr(target, name)
            weighted = (error.square() * self.get_buffer(f"weights_{name}")).sum(1)
            found[name] = 0.7 * self.block(name, predicted, target) + 0.3 * weighted
        return found

    def edited(self, attribute: str, found: FaceParams, goal: FaceParams, keep_weight: float, edit_weight: float) -> Tensor:
        """Scalar: the commanded attribute, times `edit_weight`, plus all other blocks, times `keep_weight`, between what is found in an
        edited code and what was commanded. Means over blocks and batch."""
        parts = self(found, goal)
        commanded = [parts[block].mean() for block in ATTRIBUTES[attribute]]
        kept = [parts[block].mean() for block in BLOCKS if block not in ATTRIBUTES[attribute]]
        return edit_weight * torch.stack(commanded).mean() + keep_weight * torch.stack(kept).mean()


class PointLoss(nn.Module):
    """Projected points of the face model (68 landmarks, or any vertices), without building the rest of the mesh."""

    mean: Tensor
    shape_basis: Tensor
    expression_basis: Tensor
    rotation_weight: Tensor
    point_weight: Tensor

    def __init__(self, model: FaceModel, vertices: Tensor, point_weight: Tensor, camera: Camera) -> None:
        super().__init__()
        self.camera = camera
        self.register_buffer("mean", model.mean[vertices].float().clone(), persistent=False)
        self.register_buffer("shape_basis", model.shape_basis[:, vertices].float().clone(), persistent=False)
        self.register_buffer("expression_basis", model.expression_basis[:, vertices].float().clone(), persistent=False)
        self.register_buffer("rotation_weight", model.rotation_weight[vertices].float().clone(), persistent=False)
        self.register_buffer("point_weight", point_weight / point_weight.sum(), persistent=False)

    @classmethod
    def landmarks(cls, model: FaceModel, camera: Camera | None = None) -> PointLoss:
        """The 68 landmarks in iBUG order, the mouth weighted by MOUTH_WEIGHT."""
        vertices = torch.tensor(list(model.landmarks.values()))
        weight = torch.ones(len(vertices))
        weight[list(_MOUTH)] = MOUTH_WEIGHT
        return cls(model, vertices, weight, camera or Camera())

    def points(self, params: FaceParams) -> Tensor:
        """(B, n, 2): projected points, NDC."""
        neutral = (
            self.mean + torch.tensordot(params.shape, self.shape_basis, 1) + torch.tensordot(params.expression, self.expression_basis, 1)
        )
        posed = pose(neutral, params.rotation, params.translation, self.rotation_weight)
        return self.camera.project(posed)[..., :2]

    def forward(self, predicted: FaceParams, target: FaceParams) -> Tensor:
        """(B,): weighted mean squared distance in the picture plane, in squared hundredths of half the frame."""
        offset = (self.points(predicted) - self.points(target)) * 100.0
        return (offset.square().sum(-1) * self.point_weight).sum(-1)

    def spread(self, population: FaceParams) -> float:
        """What always answering the population's mean face costs: the scale of this loss."""
        mean = FaceParams.unpack(population.pack().mean(0, keepdim=True).expand(len(population), -1))
        return float(self(mean, population).mean())


class ContourLoss(nn.Module):
    """The edge loss, with a gradient: how far the outline of the face moves across itself.

    The outline are the vertices whose target normal is nearly square to the line of sight. An outline only shows motion along its own
    normal in the picture, so this part of the vertices' projected displacement is what is penalised. (In the original repository the
    inner term of the edge loss does not depend on the network and has no gradient.)
    """

    weight: Tensor

    def __init__(self, model: FaceModel, camera: Camera | None = None, sharpness: float = 0.15) -> None:
        super().__init__()
        self.model = model
        self.camera = camera or Camera()
        self.sharpness = sharpness
        region = torch.zeros(model.mean.shape[0])
        region[model.regions["face"]] = 1.0
        self.register_buffer("weight", region, persistent=False)

    def forward(self, predicted: FaceParams, target: FaceParams) -> Tensor:
        """(B,): mean squared motion of the outline across itself, in squared hundredths of half the frame."""
        with torch.no_grad():
            goal = self.model.vertices(target)  # (B,V,3)
            normals = self.model.normals(goal)
            sight = torch.nn.functional.normalize(torch.tensor([0.0, 0.0, self.camera.distance]).to(goal) - goal, dim=-1)
            facing = (normals * sight).sum(-1)  # (B,V): 0 on the outline
            outline = torch.exp(-(facing / self.sharpness).square()) * self.weight
            outline = outline / outline.sum(1, keepdim=True).clamp(min=1e-6)
            across = torch.nn.functional.normalize(normals[..., :2], dim=-1, eps=1e-6)
            goal_points = self.camera.project(goal)[..., :2]
        found = self.camera.project(self.model.vertices(predicted))[..., :2]
        motion = ((found - goal_points) * across).sum(-1) * 100.0
        return (motion.square() * outline).sum(1)


class RenderLoss(nn.Module):
    """Mean absolute difference of renders where both show the face: the paper's per-pixel comparison, at a small size."""

    def __init__(self, model: FaceModel, size: int = 48) -> None:
        super().__init__()
        self.model = model
        self.size = size

    def forward(self, predicted: FaceParams, target: FaceParams) -> Tensor:
        """(B,): mean over the pixels of the faces' common area and over channels, pixel values in [-1,1]."""
        with torch.no_grad():
            goal = render_face(self.model, target, self.size)
        found = render_face(self.model, predicted, self.size)
        common = goal.alpha * found.alpha.detach()  # (B,1,H,W)
        difference = (found.image - goal.image).abs() * common
        return difference.sum((1, 2, 3)) / (3 * common.sum((1, 2, 3))).clamp(min=1.0)


def average(losses: Mapping[str, Tensor], weights: Mapping[str, float] | None = None) -> Tensor:
    """Weighted mean over blocks and batch of `BlockLosses`; weights default to 1."""
    weight = {name: (weights or {}).get(name, 1.0) for name in losses}
    total = sum((losses[name].mean() * weight[name] for name in losses), torch.zeros(()))
    return total / sum(weight.values())
