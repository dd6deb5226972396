"""Face parameters of the mirrored picture.

Left and right units change places, yaw, roll and the sideways move change sign, light comes from the other side. The shape and albedo
components of a mirrored head are found once by least squares from the bases; both were built from people as often lopsided one way as the
other, so next to nothing (below 0.2 % of the variance) cannot be expressed.

Models of others need not be so: `asymmetry` measures it when they are imported, and `mirror_matrix` refuses those that are not.
"""

from __future__ import annotations

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from crossrig.errors import UserError
from crossrig.face3d.blocks import BLOCKS, EXPRESSION_UNITS
from crossrig.face3d.model import FaceModel
from crossrig.render.harmonics import BANDS

_SIDES = {"Left": "Right", "Right": "Left"}


def mirror_matrix(model: FaceModel) -> Tensor:
    """(213, 213): packed parameters of a head (B, 213) times this are those of its mirror image.

    Raises UserError for a model that has no mirror image in itself.
    """
    if not model.symmetric:
        raise UserError(f"The sides of the face model {model.space.name} differ: mirrored faces have no parameters; set mirror to false.")
    partner = _partner(model)
    mirrored = (model.expression_basis * _ACROSS)[:, partner]
    parts = {
        "shape": _components(model, model.shape_basis, (model.shape_basis * _ACROSS)[:, partner]),
        "expression": _swapped_units() if model.expression_kind == "units" else _components(model, model.expression_basis, mirrored),
        "albedo": _components(model, model.albedo_basis, model.albedo_basis[:, partner]),
        "illumination": torch.diag(torch.tensor([_sign(band) for band in BANDS]).repeat_interleave(3)),
        "rotation": torch.diag(torch.tensor([1.0, -1.0, -1.0])),  # pitch, yaw, roll
        "translation": torch.diag(_ACROSS),
    }
    return torch.block_diag(*(parts[block] for block in BLOCKS))  # type: ignore[no-untyped-call, no-any-return]


_ACROSS = torch.tensor([-1.0, 1.0, 1.0])


def asymmetry(model: FaceModel) -> float:
    """The largest share of the variance of a block (shape, expression, albedo), and of the mean face's width, that its mirror image cannot
    express: below 0.002 for our own head, near 1 for a mesh without a counterpart of its vertices."""
    partner = _partner(model)
    shown = torch.zeros(model.mean.shape[0])
    shown[model.faces.flatten()] = 1.0
    apart = ((model.mean * _ACROSS)[partner] - model.mean).square().sum(1) * shown
    worst = float(apart.sum() / (model.mean[:, 0].square() * shown).sum().clamp(min=1e-12))
    for basis, flip in ((model.shape_basis, _ACROSS), (model.expression_basis, _ACROSS), (model.albedo_basis, torch.ones(3))):
        wanted = ((basis * flip)[:, partner] * shown[:, None]).flatten(1).double()
        found = _components(model, basis, (basis * flip)[:, partner]).double() @ (basis * shown[:, None]).flatten(1).double()
        worst = max(worst, float((wanted - found).square().sum() / wanted.square().sum().clamp(min=1e-20)))
    return worst


def _partner(model: FaceModel) -> Tensor:
    """(V,): the vertex opposite."""
    return torch.from_numpy(cKDTree(model.mean.numpy()).query((model.mean * _ACROSS).numpy())[1])


def _components(model: FaceModel, basis: Tensor, mirrored: Tensor) -> Tensor:
    """(n, n): component i of `basis` (n, V, 3), mirrored, in components of `basis`; over the vertices that show."""
    shown = torch.zeros(basis.shape[1])
    shown[model.faces.flatten()] = 1.0
    own, other = ((part * shown[:, None]).flatten(1).double() for part in (basis, mirrored))
    solution: Tensor = torch.linalg.lstsq(own.T, other.T).solution
    return solution.T.float()


def _swapped_units() -> Tensor:
    """(52, 52): every unit to the one of the other side."""
    swap = torch.zeros(len(EXPRESSION_UNITS), len(EXPRESSION_UNITS))
    for index, name in enumerate(EXPRESSION_UNITS):
        side = next((side for side in _SIDES if name.endswith(side)), "")
        swap[index, EXPRESSION_UNITS.index(name.removesuffix(side) + _SIDES.get(side, ""))] = 1.0
    return swap


def _sign(band: str) -> float:
    """-1 for harmonics that are odd in x."""
    return -1.0 if band.split()[-1] in ("x", "xy", "xz") else 1.0
