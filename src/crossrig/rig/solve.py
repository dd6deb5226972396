"""Landmarks dragged on a picture: the controls that bring the 3D face's landmarks there.

Under a fixed pose a landmark is linear in expression and shape, and the camera divides by its depth:

    p_i(v) = project(R_i (m_i + sum_k v_k D_ki) + t)        D: what each control does to each landmark

    minimise over v   |p_dragged - wanted|^2  +  keep |p_others - as they were|^2  +  size |v - v_0|^2    v within the controls' ranges

by a few damped Gauss-Newton steps (Levenberg 1944, Marquardt 1963) on the controls that are free to move: one that stands at the end of
its range and is pushed further is left out of the step (Bertsekas 1982, projected Newton). A step is taken only where it makes the sum
smaller. The others keep a mouth from dragging a brow along; the size term takes, of all ways to get there, a short one, which is one that
moves every control a little. Those that move least are put back, and the rest solves again: a person can read what was set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from crossrig.errors import UserError
from crossrig.face3d.blocks import ExpressionKind
from crossrig.face3d.controls import COMPONENTS, DIRECTIONS, KNOWN, PUBLIC_NAMES, shipped_directions
from crossrig.face3d.landmarks import LANDMARK_NAMES
from crossrig.face3d.model import FaceModel, pose
from crossrig.face3d.params import EXPRESSION_UNITS, FaceParams
from crossrig.render.camera import NEAR, Camera

_KEEP = 0.02
"""Weight of the other handles' places."""
_SIZE: Mapping[str, float] = {"expression": 1e-5, "shape": 3e-5}
"""Weight of a squared change of a control, in squared half frames."""
_STEPS = 8
_ENOUGH = 1e-3
"""Share of the sum below which a step that is gained ends the search: a hand moves on sixty times a second."""
_FEWER = 0.12
"""Change, as a share of the largest, below which a control is put back."""
_ROUNDS = 3
#: Directions of the shape that say who somebody is, and that no drag of a jaw should change.
_PERSON = ("age", "gender", "weight", "muscle", "african", "asian", "caucasian")
SHAPE_CONTROLS: tuple[str, ...] = tuple(
    public
    for name, (attribute, _) in DIRECTIONS.items()
    if attribute == "shape" and (public := PUBLIC_NAMES.get(name, name)) not in _PERSON
)
"""Controls that a drag of the shape moves."""


Cost = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""Values (n,) -> the sum, its gradient (n,) and the Gauss-Newton matrix (n, n), both halved."""


@dataclass(frozen=True)
class Variables:
    """What may move. directions (n, block): what a unit of each control adds to the block."""

    block: str
    names: tuple[str, ...]
    start: Tensor  # (n,)
    lower: Tensor  # (n,)
    upper: Tensor  # (n,)
    directions: Tensor  # (n, block)


def expression_variables(face: FaceParams, kind: ExpressionKind = "units", values: Mapping[str, float] | None = None) -> Variables:
    """All expression units of a face (a batch of 1), or components; ``values``: what is set of components on it."""
    if kind == "components":
        alone = torch.eye(len(COMPONENTS), dtype=torch.float64, device=face.shape.device)
        return _added("expression", tuple(COMPONENTS), values or {}, alone)
    start = face.expression[0].double().clamp(0, 1)
    zeros, ones = torch.zeros_like(start), torch.ones_like(start)
    return Variables("expression", EXPRESSION_UNITS, start, zeros, ones, torch.diag(ones))


def shape_variables(face: FaceParams, values: Mapping[str, float]) -> Variables:
    """The named shape controls that say nothing about the person; ``values``: what is set of them on the face (a batch of 1)."""
    steps = shipped_directions()
    directions = torch.stack([steps[name] for name in SHAPE_CONTROLS]).to(face.shape.device, torch.float64)
    return _added("shape", SHAPE_CONTROLS, values, directions)


def _added(block: str, names: tuple[str, ...], values: Mapping[str, float], directions: Tensor) -> Variables:
    """Controls that are added to the face, from what is set of them."""
    start, lower, upper = (
        torch.tensor(numbers, dtype=torch.float64, device=directions.device)
        for numbers in (
            [values.get(name, 0.0) for name in names],
            [KNOWN[name].minimum for name in names],
            [KNOWN[name].maximum for name in names],
        )
    )
    return Variables(block, names, start, lower, upper, directions)


class LandmarkSolver:
    """Places of the 68 landmarks of a face model, and the controls that move some of them. Computes in double precision."""

    def __init__(self, model: FaceModel, camera: Camera | None = None) -> None:
        self.camera = camera or Camera()
        index = model.landmark_index
        self._mean = model.mean[index].double()  # (68, 3)
        self._bases = {"shape": model.shape_basis[:, index].double(), "expression": model.expression_basis[:, index].double()}
        self._weight = model.rotation_weight[index].double()

    def world(self, face: FaceParams) -> Tensor:
        """(68, 3) metres: the landmarks of a face (a batch of 1)."""
        offset = sum(
            torch.einsum("k,kvc->vc", getattr(face, block)[0].to(self._mean), basis) for block, basis in self._bases.items()
        )
        return pose((self._mean + offset)[None], face.rotation.to(self._mean), face.translation.to(self._mean), self._weight)[0]

    def points(self, face: FaceParams) -> Tensor:
        """(68, 2) in the camera's picture, x right and y up in [-1, 1]: the landmarks of a face (a batch of 1)."""
        return self.camera.project(self.world(face))[:, :2]

    def solve(self, face: FaceParams, variables: Variables, wanted: Mapping[str, tuple[float, float]], held: tuple[str, ...]) -> Tensor:
        """The controls' values (n,) that bring the landmarks ``wanted`` (name -> x, y as in ``points``) there as nearly as they can.

        face: a batch of 1 under ``variables.start``. held: names of landmarks that should stay; those wanted are left out of them.
        Raises UserError for a landmark that does not exist.
        """
        for name in (*wanted, *held):
            if name not in LANDMARK_NAMES:
                raise UserError(f"There is no landmark '{name[:40]}'.")
        held = tuple(name for name in held if name not in wanted)
        rows = torch.tensor([LANDMARK_NAMES.index(name) for name in (*wanted, *held)], device=self._mean.device)
        weight = torch.tensor([1.0] * len(wanted) + [_KEEP] * len(held)).to(self._mean)[:, None]  # (r, 1)
        base = self.world(face)[rows]  # (r, 3)
        goal = self.camera.project(base)[:, :2]
        goal[: len(wanted)] = torch.tensor(list(wanted.values())).to(goal)
        slopes = self._world_slopes(face, variables)[:, rows]  # (n, r, 3)
        size = _SIZE[variables.block]
        start = variables.start.to(goal)

        def cost(v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            places, jacobian = project_with_slopes(base + torch.einsum("n,nrc->rc", v - start, slopes), slopes, self.camera)
            apart = places - goal
            total = (weight * apart.square()).sum() + size * (v - start).square().sum()
            gradient = torch.einsum("nrc,rc->n", jacobian, weight * apart) + size * (v - start)
            matrix = torch.einsum("nrc,mrc->nm", jacobian * weight, jacobian) + size * torch.eye(len(v), dtype=v.dtype, device=v.device)
            return total, gradient, matrix

        lower, upper = variables.lower.to(goal), variables.upper.to(goal)
        v = _descend(cost, start, lower, upper)
        for _ in range(_ROUNDS - 1):
            reach = (upper - lower).clamp(min=1e-9)
            change = ((v - start) / reach).abs()
            little = change < _FEWER * change.max()
            lower, upper = torch.where(little, start, lower), torch.where(little, start, upper)
            v = _descend(cost, start, lower, upper)
        return v

    def _world_slopes(self, face: FaceParams, variables: Variables) -> Tensor:
        """(n, 68, 3): metres in the world for a unit of each control."""
        moved = torch.einsum("nk,kvc->nvc", variables.directions.to(self._mean), self._bases[variables.block])
        count = len(moved)
        rotation = face.rotation.to(self._mean).expand(count, 3)
        return pose(moved, rotation, torch.zeros(count, 3).to(self._mean), self._weight)


def _descend(cost: Cost, start: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Gauss-Newton steps from ``start`` (n,) within ``lower`` and ``upper`` (n,); controls whose two ends are the same stay there."""
    v = torch.minimum(torch.maximum(start, lower), upper)
    total, gradient, matrix = cost(v)
    damping = 0.0
    for _ in range(_STEPS):
        free = (lower < upper) & ~(((v <= lower) & (gradient > 0)) | ((v >= upper) & (gradient < 0)))
        if not bool(free.any()):
            break
        inner = matrix[free][:, free]
        step = torch.zeros_like(v)
        step[free] = torch.linalg.solve(inner + damping * torch.diag(inner.diagonal()), -gradient[free])
        trial = torch.minimum(torch.maximum(v + step, lower), upper)
        found = cost(trial)
        gain = float(total - found[0])
        if gain > 0:
            done = gain < _ENOUGH * float(total)
            v, (total, gradient, matrix), damping = trial, found, damping / 10
            if done:
                break
        else:
            damping = max(10 * damping, 0.1)
    return v


def project_with_slopes(points: Tensor, slopes: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Points (r, 3) that move by slopes (n, r, 3) -> their places (r, 2) in the camera's picture, and those places' slopes (n, r, 2)."""
    depth = (camera.distance - points[:, 2:]).clamp(min=NEAR)  # (r, 1)
    places = camera.focal * points[:, :2] / depth
    return places, camera.focal * slopes[..., :2] / depth + places * slopes[..., 2:] / depth
