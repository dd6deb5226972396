"""Gauss-Newton refinement of an edit, inside the attribute's reduced StyleSpace.

M answers a command in one go and is a little wrong. What is left is closed by a few damped Gauss-Newton steps (Levenberg 1944, Marquardt
1963) on the coordinates x of the edited layers' principal directions:

    s(x) = s' + x D        D (K,S): directions of the layers that M of the commanded attributes may edit, one standard deviation long

    minimise over x   |commanded blocks of P(s(x)) - goal|^2  +  keep * |the other blocks - as they were|^2  +  size * |x|^2

with every block in the units of `rig.units` divided by its population spread, so that a millimetre of shape and a degree of yaw are
weighed by how much people differ in them. The size term keeps the correction where codes of this generator live, and leaves alone what
these layers cannot do.

P is T by default. With a reader of pictures, P(s) = reconstruction(G(s)), residuals are those seen in the picture, and the slopes start as
those of T: differentiating the generator would cost an order of magnitude more. The Jacobian is computed once an edit and corrected by
Broyden's (1965) rank-one updates with what every step really did. A step is taken only where it makes the sum above smaller and its first
two terms no larger, so the residual never grows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from crossrig.errors import UserError
from crossrig.face3d.params import ATTRIBUTES, BLOCKS, FaceParams
from crossrig.gan.generator import Generator
from crossrig.gan.stylespace import StyleSpace
from crossrig.rig.manipulation import Rig
from crossrig.rig.reconstruction import Reconstruction
from crossrig.rig.units import Units

#: Share of a block's quadratic form that residuals are made of; the rest of its directions move next to nothing.
_SHOWN = 0.99

Reader = Callable[[Tensor], FaceParams]


@dataclass(frozen=True)
class RefinementConfig:
    """steps: Gauss-Newton steps. damping: of the first step, in squared spreads a squared standard deviation; falls with every step taken
    and rises with every step refused. keep: weight of what was not commanded. size: weight of the correction's length. batch: codes whose
    Jacobians are held at once."""

    steps: int = 3
    damping: float = 0.02
    keep: float = 0.5
    size: float = 0.1
    batch: int = 32

    def __post_init__(self) -> None:
        if self.steps < 0 or self.batch < 1 or min(self.damping, self.keep, self.size) < 0:
            raise ValueError(f"steps, damping, keep and size must not be negative and batch be at least 1: got {self}")


class Refiner:
    """Corrects edits of one rig. `spread`: block -> population spread (`Units.spread`), the scale of every residual."""

    def __init__(
        self,
        rig: Rig,
        units: Units,
        spread: Mapping[str, float],
        config: RefinementConfig | None = None,
        reader: Reader | None = None,
    ) -> None:
        self.rig = rig
        self.config = config or RefinementConfig()
        self.read = reader or rig.predict
        self._roots = {block: units.root(block, _SHOWN) / spread[block] for block in BLOCKS}

    @torch.no_grad()
    def __call__(self, s: Tensor, edited: Tensor, commands: Mapping[str, Tensor]) -> Tensor:
        """Style codes (B,S) before and after M, and the commands M was given: attribute -> dP (B,n) -> corrected codes (B,S).

        Codes to which nothing was commanded come back bit for bit as M left them (M leaves them as they were).
        """
        unknown = set(commands) - set(ATTRIBUTES)
        if unknown:
            raise UserError(f"There is no attribute {sorted(unknown)}; the attributes are {', '.join(ATTRIBUTES)}.")
        active = torch.zeros(len(s), dtype=torch.bool, device=s.device)
        for command in commands.values():
            active |= (command != 0).any(1)
        if not active.any() or self.config.steps == 0:
            return edited
        refined = edited.clone()
        for index in torch.split(active.nonzero()[:, 0], self.config.batch):
            part = {name: command[index] for name, command in commands.items()}
            refined[index] = self._refine(s[index], edited[index], part)
        return refined

    def forms(self, commanded: tuple[str, ...]) -> Tensor:
        """(213, R): packed differences times this are residuals in spreads; blocks not commanded are scaled by the root of `keep`."""
        weights = {block: 1.0 if block in commanded else self.config.keep**0.5 for block in BLOCKS}
        return torch.block_diag(*(weights[block] * self._roots[block] for block in BLOCKS))  # type: ignore[no-untyped-call, no-any-return]

    def _refine(self, s: Tensor, edited: Tensor, commands: Mapping[str, Tensor]) -> Tensor:
        config = self.config
        directions = reduced_directions(self.rig, tuple(commands)).to(s)  # (K,S)
        commanded = tuple(block for name in commands for block in ATTRIBUTES[name])
        goal = self.read(s)
        for name, command in commands.items():
            goal = goal.with_attribute(name, goal.attribute(name) + command)

        forms = self.forms(commanded).to(s)

        def residual_of(code: Tensor) -> Tensor:
            return (self.read(code).pack() - goal.pack()) @ forms  # (B,R)

        x = s.new_zeros(len(s), len(directions))  # (B,K)
        code, residual = edited, residual_of(edited)
        cost = residual.square().sum(1)
        damping = s.new_full((len(s),), config.damping)
        slopes = self.rig.predictor.slopes(edited, forms.T, directions)  # (B,R,K): of the residual in x, by T
        for _ in range(config.steps):
            step = _step(slopes, residual, x, config.size, damping)
            tried = x + step
            tried_code = edited + tried @ directions
            tried_residual = residual_of(tried_code)
            tried_cost = tried_residual.square().sum(1) + config.size * tried.square().sum(1)
            # Broyden 1965: what the step really did, T or picture, corrects the slopes along it.
            surprise = tried_residual - residual - (slopes @ step[..., None])[..., 0]  # (B,R)
            length = step.square().sum(1).clamp(min=1e-12)
            slopes = slopes + surprise[..., None] * (step / length[:, None])[:, None, :]
            better = (tried_cost < cost) & (tried_residual.square().sum(1) <= residual.square().sum(1))
            x, code = torch.where(better[:, None], tried, x), torch.where(better[:, None], tried_code, code)
            residual, cost = torch.where(better[:, None], tried_residual, residual), torch.where(better, tried_cost, cost)
            damping = torch.where(better, damping * 0.3, damping * 10.0)
        return code


def _step(slopes: Tensor, residual: Tensor, x: Tensor, size: float, damping: Tensor) -> Tensor:
    """d (B,K) that minimises |r + J d|^2 + size |x + d|^2 + damping |d|^2, slopes J (B,R,K), residual r (B,R), x (B,K), damping (B,).

    Solved for the residuals, of which there are fewer than unknowns: with m = size + damping and d = e - size/m x the sum is
    |r - size/m J x + J e|^2 + m |e|^2 plus a constant, so e = -J' (J J' + m)^-1 (r - size/m J x).
    """
    both = (damping + size).clamp(min=1e-9)[:, None]  # (B,1)
    back = size / both * x
    shifted = residual - (slopes @ back[..., None])[..., 0]
    normal = slopes @ slopes.transpose(1, 2) + both[..., None] * torch.eye(slopes.shape[1]).to(slopes)  # (B,R,R)
    dual = torch.cholesky_solve(shifted[..., None], torch.linalg.cholesky(normal))  # (B,R,1)
    return -(slopes.transpose(1, 2) @ dual)[..., 0] - back


def reduced_directions(rig: Rig, attributes: tuple[str, ...]) -> Tensor:
    """(K,S): principal directions, one standard deviation long, of the layers that M of these attributes edits; zero in all others."""
    found: dict[str, Tensor] = {}
    for attribute in attributes:
        manipulator = rig.manipulator(attribute)
        found |= {name: manipulator.editor(name).directions for name in manipulator.config.layers}
    return torch.cat([_alone(rig.space, name, rows) for name, rows in found.items()])


def _alone(space: StyleSpace, name: str, rows: Tensor) -> Tensor:
    """Rows (k, size) of one layer -> (k, S), zero in the other layers."""
    return space.join({layer.name: rows if layer.name == name else rows.new_zeros(len(rows), layer.size) for layer in space.layers})


def picture_reader(generator: Generator, network: Reconstruction) -> Reader:
    """P(s) as the reconstruction network sees it in G(s)."""

    def read(styles: Tensor) -> FaceParams:
        return FaceParams.unpack(network(generator.synthesise(styles).clamp(-1, 1)))

    return read
