"""The picture's own detail, carried along with the head.

A generator shows a photograph only roughly: pores, strands and the weave of a collar are lost in the inversion. They belong to surfaces;
and where the surfaces go under an edit the 3D face model says. So an edited picture is put together (`compose`) from

    the photograph, moved by the model's motion from P to P';
    G(s_moved) where there is nothing to move: teeth behind lips, an eye behind its lid, the side of a head that was turned away;
    G(s') - G(s_moved), what light and skin have changed, with the edges of the photograph.

s_moved is s edited in pose, shape and expression only, s' is s with the whole edit: both pictures show the same outlines, so that their
difference has no ghosts. (HFGI, Wang et al. 2022, section 3, learns to align the difference G(s) lacks with a network; here the geometry
is known.)

The moved photograph is a rubber sheet (`MovingHead`). It is pinned where the model's surface was seen before and is seen after; hair and
backdrop beside the head are pinned by the outline of the head, which for a turned head hardly moves; between the two it stretches.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.face3d.parts import EYE, LASHES, MOUTH_INSIDE, TEETH, TONGUE
from crossrig.inversion.pushpull import extend
from crossrig.inversion.surface import Surface, trace_back
from crossrig.render.camera import Camera

_HIDDEN = 0.006  # metres behind the first surface from which a point counts as hidden
_FLAT = 0.35  # a surface seen this many times more flatly before than after does not pin the sheet
_INNER = (EYE, TEETH, TONGUE, MOUTH_INSIDE)  # parts that nothing beside them can stretch over
_HAIR = 0.25  # NDC: how far beyond the outline everything follows it; hair, mostly
_REACH = 0.35  # NDC: from there to where nothing follows any more
_THIN = 0.2  # a sheet stretched to this share of its area, or folded, begins to give way to the generator; at half of it, it is gone
_BORDER = 0.2  # NDC: the sheet is held at the border of the picture, and moves freely from here on inwards
_NARROW = 0.1  # NDC: over holes narrower than that the sheet may stretch as it likes
_EASE = 15  # rounds in which a stretched part of the sheet becomes even
_FEATHER = 0.012  # NDC: standard deviation of the soft edge between photograph and generator
_SEAM = 0.25  # NDC: how far into what the generator shows its colours are matched with those around
WINDOW = 0.08  # NDC: standard deviation of the window in which change and photograph are compared
SAME = 0.06  # differences of colour in [-1, 1] below which the photograph has no edge
SMOOTH = 160  # px: motion and change are smooth, larger pictures get them enlarged
ROUGH = 80  # px: enough of them for a picture that is seen for a moment


@dataclass(frozen=True)
class Motion:
    """Where things were before an edit, at every pixel of the picture after it."""

    flow: Tensor
    """(1, 2, H, W): NDC (x right, y up) to add to a pixel's own place to get to where its surface was."""
    kept: Tensor
    """(1, 1, H, W) in [0, 1]: 1 where the picture before shows what is to be seen, 0 where it was hidden."""
    inside: Tensor
    """(1, 1, H, W) in [0, 1]: 1 where teeth, tongue or eye come into view: nothing around them has their colours."""


class MovingHead:
    """A head in a picture of size x size pixels, and where the picture goes when the head moves."""

    def __init__(
        self, model: FaceModel, params: FaceParams, size: int, camera: Camera | None = None, largest: int = SMOOTH
    ) -> None:
        """`params`, of batch 1: the head as it is in the picture. `largest`: px at which motion is found; fewer are quicker and rougher."""
        self.size = size
        self._model = model
        self._mesh = _Mesh.of(model)
        self._camera = camera or Camera()
        self._side = min(size, largest)
        self._before = self._look(model.vertices(params))

    def _look(self, world: Tensor) -> _View:
        return _View.of(self._mesh, world, self._camera, self._side)

    @torch.no_grad()
    def to(self, after: FaceParams) -> Motion:
        """The motion to other parameters, of batch 1.

        On what was and is seen of the model's surface it is exact; elsewhere see the head of this file. Equal parameters give a flow of
        zero and keep everything.
        """
        old, side = self._before, self._side
        world = self._model.vertices(after)
        if torch.equal(old.world, world):
            still = world.new_zeros(1, 2, self.size, self.size)
            return Motion(still, torch.ones_like(still[:, :1]), torch.zeros_like(still[:, :1]))
        new = self._look(world)
        traced = trace_back(new.surface, old.surface, self._camera.distance, _HIDDEN, _FLAT)
        flow, visible = (torch.from_numpy(part).to(world)[None] for part in traced)  # (1,2,H,W), (1,H,W)
        visible = visible[:, None]
        beside = 1.0 - new.head
        flow = torch.where(beside > 0, _outline_flow(old, new) * _fading(new.head, _HAIR, _REACH), flow)
        # Ears fold too finely to pin anything.
        ears = new.of_faces(self._mesh.ears)
        flow = _stretch(flow, torch.maximum(_shrink(visible * (1.0 - ears), 1), beside)) * _frame(side).to(flow)
        hidden = new.of_faces(self._mesh.inner) * (1.0 - visible)
        firm = ((_area(_pixel_places(side).to(world) + flow) - _THIN / 2) / (_THIN / 2)).clamp(0, 1)
        inside = 1.0 - _without_narrow_holes(1.0 - hidden, 1)
        kept = torch.minimum(1.0 - inside, _without_narrow_holes(firm, round(_NARROW * side / 4)))
        return Motion(*(resized(part, self.size) for part in (flow, kept, inside)))


def carry(picture: Tensor, motion: Motion) -> Tensor:
    """A picture (1, C, H, W), moved; what shows where nothing was kept means nothing."""
    own = _pixel_places(picture.shape[-1]).to(picture)
    return F.grid_sample(picture, _as_grid(own + motion.flow), mode="bilinear", padding_mode="border", align_corners=False)


@torch.no_grad()
def backdrop_of(photograph: Tensor, person: Tensor) -> Tensor:
    """(1, 3, H, W): the photograph with what is around the person continued behind the person (1, 1, H, W)."""
    alone = _shrink((person < 0.02).to(person), 1)
    return torch.where(alone > 0, photograph, extend(photograph * alone, alone))


@torch.no_grad()
def compose(
    photograph: Tensor, person: Tensor, moved: Tensor, edited: Tensor, motion: Motion, backdrop: Tensor | None = None
) -> Tensor:
    """The edited photograph, from it, G(s_moved) and G(s'), all (1, 3, H, W): see the head of this file.

    `person` (1, 1, H, W), 1 where the photograph shows the person (`inversion.matte`): only the person moves and is lit. `backdrop`:
    `backdrop_of` the first two, for those who compose often. (`relight` does quickly what comes last here.)
    """
    carried = carry_head(photograph, person, motion)
    seen = carried.filled(moved, backdrop_of(photograph, person) if backdrop is None else backdrop)
    if moved is edited:
        return seen
    return seen + _with_edges_of(seen, edited - moved, SMOOTH) * carried.follows


@dataclass(frozen=True)
class CarriedHead:
    """The photograph after a motion, and where something else must fill it."""

    photograph: Tensor
    """(1, 3, H, W)"""
    follows: Tensor
    """(1, 1, H, W): where it shows the person."""
    uncovered: Tensor
    """(1, 1, H, W): where the backdrop comes into view."""
    gaps: _Gaps | None
    """Where the head shows what the photograph does not; None: nowhere."""

    def filled(self, moved: Tensor, backdrop: Tensor) -> Tensor:
        """(1, 3, H, W), by G(s_moved) and the backdrop. At the seam, what the generator alone shows takes the photograph's colours, but for
        the inside of mouth and eyes."""
        seen, gaps = self.photograph, self.gaps
        if gaps is not None:
            away = extend(resized(seen - moved, gaps.firm.shape[-1]) * gaps.firm, gaps.firm) * gaps.near
            seam = resized(away, seen.shape[-1]) * (1.0 - gaps.inside)
            seen = torch.lerp(moved + seam, seen, gaps.kept)
        return torch.lerp(seen, backdrop, self.uncovered)


@dataclass(frozen=True)
class _Gaps:
    """Parts of a head that a photograph does not show, and where the colours around them are found."""

    kept: Tensor  # (1, 1, H, W): 0 in the gaps
    inside: Tensor  # (1, 1, H, W), as in Motion
    firm: Tensor  # (1, 1, h, w): 1 outside
    near: Tensor  # (1, 1, h, w): 1 where they begin, 0 far within


@torch.no_grad()
def carry_head(photograph: Tensor, person: Tensor, motion: Motion, largest: int = SMOOTH) -> CarriedHead:
    """What of `compose` needs no generator. `largest`: twice as many px are those at which colours at the seam are found."""
    size = photograph.shape[-1]
    both = carry(torch.cat([photograph, person], dim=1), motion)
    seen, follows = both[:, :3], both[:, 3:]
    uncovered = (motion.flow.square().sum(1, keepdim=True).sqrt() * size / 2).clamp(max=1.0) * (1.0 - follows)
    kept = torch.maximum(_shrink(motion.kept, 1), (follows < 0.1).to(follows))
    if not bool((kept < 1).any()):
        return CarriedHead(seen, follows, uncovered, None)
    kept = _blur(kept, _FEATHER * size / 2)
    firm = (resized(kept, min(size, 2 * largest)) > 0.9).to(kept)
    return CarriedHead(seen, follows, uncovered, _Gaps(kept, motion.inside, firm, _fading(firm, 0.0, _SEAM)))


@dataclass(frozen=True)
class _Mesh:
    """What does not depend on the parameters."""

    faces: NDArray[np.int32]  # (F,3), without lashes
    earless: NDArray[np.int32]  # (E,3): those that are no ears
    ears: NDArray[np.bool_]  # (F,): triangles of the ears
    inner: NDArray[np.bool_]  # (F,): triangles of the parts in _INNER
    follows: NDArray[np.float32]  # (V,): how much of a turn of the head a vertex takes part in
    firm: NDArray[np.int64]  # (N,): vertices that take part in nearly all of it

    @classmethod
    def of(cls, model: FaceModel) -> _Mesh:
        part = model.face_part.cpu().numpy()
        faces = model.faces.to(torch.int32).cpu().numpy()[part != LASHES]
        ears = np.asarray(np.isin(faces, model.regions["ears"].cpu().numpy()).any(1))
        follows = model.rotation_weight.cpu().numpy()
        return cls(faces, faces[~ears], ears, np.isin(part[part != LASHES], _INNER), follows, np.nonzero(follows > 0.9)[0])


@dataclass(frozen=True)
class _View:
    """A head as the camera sees it, in a picture of side x side pixels."""

    mesh: _Mesh
    world: Tensor  # (1,V,3): metres
    surface: Surface
    head: Tensor  # (1,1,H,W): 1 where anything but ears is seen; they come and go behind hair and would drag it along

    @classmethod
    def of(cls, mesh: _Mesh, world: Tensor, camera: Camera, side: int) -> _View:
        bare, places = (np.ascontiguousarray(points[0].cpu().numpy(), np.float32) for points in (world, camera.project(world)))
        head = Surface.of(mesh.earless, bare, places, side).triangle >= 0
        return cls(mesh, world, Surface.of(mesh.faces, bare, places, side), torch.from_numpy(head)[None, None].to(world))

    @cached_property
    def outline(self) -> NDArray[np.int32]:
        """(N, 2): columns and rows along the outline of the head."""
        return _outline(self.head)

    @cached_property
    def firm(self) -> NDArray[np.float32]:
        """(N, 2): NDC of the vertices that follow the head."""
        return self.surface.places[self.mesh.firm, :2]

    def of_faces(self, chosen: NDArray[np.bool_]) -> Tensor:
        """(1, 1, H, W): 1 where one of the chosen triangles (F,) is seen."""
        triangle = self.surface.triangle
        return torch.from_numpy(chosen[triangle] & (triangle >= 0))[None, None].to(self.world)


def _outline_flow(old: _View, new: _View) -> Tensor:
    """(1, 2, H, W): at every pixel, NDC from the nearest place of the outline of the head after the edit to its outline before.

    A point of the outline goes along with the head as a flat picture would, turned and shifted but not seen from another side, and from
    there to the nearest point of the outline before.
    """
    side = new.head.shape[-1]
    after, before = new.outline, old.outline
    if not len(after) or not len(before):
        return new.world.new_zeros(1, 2, side, side)
    share = new.surface.at(new.mesh.follows)[after[:, 1], after[:, 0]][:, None]  # (N,1)
    start, goal = _centres(after, side), _centres(before, side)  # NDC
    moved = _flat_motion(new.firm, old.firm)
    guess = start + share * (moved(start) - start)
    across, up = (guess[:, None, axis] - goal[:, axis] for axis in (0, 1))  # (N,M)
    nearest = goal[(across**2 + up**2).argmin(1)]
    away = cv2.GaussianBlur(nearest - start, (1, 0), sigmaX=1e-3, sigmaY=side / 50, borderType=cv2.BORDER_REFLECT)
    seeds = np.ones((side, side), np.uint8)
    seeds[after[:, 1], after[:, 0]] = 0
    _, label = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_label = np.zeros((int(label.max()) + 1, 2), np.float32)
    of_label[label[after[:, 1], after[:, 0]]] = away
    flow = torch.from_numpy(of_label[label]).permute(2, 0, 1)[None].to(new.world)
    return _blur(flow, side / 60)


def _outline(mask: Tensor) -> NDArray[np.int32]:
    """(N, 2): columns and rows along the outline of the largest thing in a mask (1, 1, H, W), its frame left out."""
    found, _ = cv2.findContours(mask[0, 0].to(torch.uint8).cpu().numpy(), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not found:
        return np.zeros((0, 2), np.int32)
    line = max(found, key=len)[:, 0]
    inside = ((line > 1) & (line < mask.shape[-1] - 2)).all(axis=1)
    return np.asarray(line[inside], np.int32)


def _centres(pixels: NDArray[np.int32], side: int) -> NDArray[np.float32]:
    """Columns and rows (N, 2) as NDC."""
    return np.asarray(((2 * pixels + 1) / side - 1) * np.array([1.0, -1.0]), np.float32)


def _flat_motion(
    points: NDArray[np.float32], goals: NDArray[np.float32]
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """The turn and shift of the plane that takes points (N, 2) nearest to their goals (Kabsch)."""
    centre, goal = points.mean(0), goals.mean(0)
    left, _, right = np.linalg.svd((points - centre).T @ (goals - goal))
    turn = left @ np.diag([1.0, np.sign(np.linalg.det(left @ right))]) @ right
    return lambda places: np.asarray((places - centre) @ turn + goal, np.float32)


def _stretch(flow: Tensor, pinned: Tensor) -> Tensor:
    """The flow (1, 2, H, W) where it is pinned, and in between what a stretched sheet has."""
    free = pinned < 0.5
    sheet = torch.where(free, extend(flow * pinned, pinned), flow)
    # Even sheets are smooth: half of the pixels are enough to find them.
    side = flow.shape[-1] // 2
    half = F.interpolate(sheet, (side, side), mode="area")
    held, loose = half, F.interpolate(free.to(flow), (side, side), mode="area")
    for _ in range(_EASE):
        half = torch.lerp(held, _blur(half, side / 40), loose)
    return torch.where(free, resized(half, flow.shape[-1]), flow)


def _area(places: Tensor) -> Tensor:
    """(1, 1, H, W): area of the picture before that a pixel shows, in pixels, negative where it is folded; `places` (1, 2, H, W) in NDC."""
    step = 2.0 / places.shape[-1]
    across = F.pad(places, (1, 1, 0, 0), mode="replicate").unfold(3, 3, 1)
    down = F.pad(places, (0, 0, 1, 1), mode="replicate").unfold(2, 3, 1)
    right, up = (across[..., 2] - across[..., 0]) / (2 * step), (down[..., 0] - down[..., 2]) / (2 * step)
    return right[:, :1] * up[:, 1:] - right[:, 1:] * up[:, :1]


def _with_edges_of(photograph: Tensor, change: Tensor, largest: int) -> Tensor:
    """A change of colour, in every small window as a linear function of the photograph's colours (guided filter, He et al. 2013).

    The generator's outlines are beside those of the photograph by some pixels, and their change would be seen as a bright and a dark line.
    """
    size = photograph.shape[-1]
    side = min(size, largest)
    guide, wanted = (F.interpolate(image, (side, side), mode="area") for image in (photograph, change))
    sigma = WINDOW * side / 2
    mean_guide, mean_wanted = _blur(guide, sigma), _blur(wanted, sigma)
    spread = _products(guide, guide, sigma) - _outer(mean_guide, mean_guide)  # (1,H,W,3,3)
    shared = _products(guide, wanted, sigma) - _outer(mean_guide, mean_wanted)
    slope = torch.linalg.solve(spread + SAME**2 * torch.eye(3).to(spread), shared)  # from colour to colour of the change
    level = mean_wanted - torch.einsum("bhwij,bihw->bjhw", slope, mean_guide)
    rows = [resized(_blur(slope[..., i, :].permute(0, 3, 1, 2), sigma), size) for i in range(3)]  # (1,3,H,W) each
    changed = torch.stack([row * photograph[:, i : i + 1] for i, row in enumerate(rows)]).sum(0)
    return changed + resized(_blur(level, sigma), size)


def _outer(a: Tensor, b: Tensor) -> Tensor:
    """(1, H, W, 3, 3): a_i b_j of two pictures (1, 3, H, W)."""
    return torch.einsum("bihw,bjhw->bhwij", a, b)


def _products(a: Tensor, b: Tensor, sigma: float) -> Tensor:
    """(1, H, W, 3, 3): the mean of a_i b_j over a window."""
    return torch.stack([_blur(a[:, i : i + 1] * b, sigma) for i in range(3)], dim=1).permute(0, 3, 4, 1, 2)


def resized(image: Tensor, size: int) -> Tensor:
    """Smooth values (1, C, H, W) at size x size pixels, bilinear. No gradients."""
    if image.shape[-1] == size:
        return image
    planes = image[0].cpu().numpy()
    # several times as fast as torch's on one core
    larger = np.stack([cv2.resize(plane, (size, size), interpolation=cv2.INTER_LINEAR) for plane in planes])
    return torch.from_numpy(larger)[None].to(image)


def _blur(picture: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (1, C, H, W), `sigma` in pixels; edges repeat."""
    channels = np.ascontiguousarray(picture[0].permute(1, 2, 0).cpu().numpy(), np.float32)
    blurred = cv2.GaussianBlur(channels, (0, 0), max(sigma, 1e-3), borderType=cv2.BORDER_REPLICATE)
    return torch.from_numpy(blurred.reshape(channels.shape)).permute(2, 0, 1)[None].to(picture)


@cache
def _pixel_places(size: int) -> Tensor:
    """(1, 2, H, W): NDC x and y of the pixel centres. Not to be changed."""
    step = (2 * torch.arange(size) + 1) / size - 1
    return torch.stack([step[None, :].expand(size, size), -step[:, None].expand(size, size)])[None]


def _as_grid(places: Tensor) -> Tensor:
    """NDC places (1, 2, H, W) as `grid_sample` wants them, (1, H, W, 2) with y down."""
    return torch.stack([places[:, 0], -places[:, 1]], dim=-1)


def _fading(mask: Tensor, near: float, reach: float) -> Tensor:
    """(1, 1, H, W): 1 up to `near` outside a mask, then falling with the distance to nothing at `reach` from there; both NDC."""
    outside = (mask[0, 0] <= 0).to(torch.uint8).cpu().numpy()
    distance = np.asarray(cv2.distanceTransform(outside, cv2.DIST_L2, 5)) * (2.0 / mask.shape[-1])  # NDC
    beyond = np.clip((distance - near) / reach, 0.0, 1.0)
    return torch.from_numpy(0.5 + 0.5 * np.cos(np.pi * beyond)).to(mask)[None, None]


@cache
def _frame(side: int) -> Tensor:
    """(1, 1, H, W): 1 inside, falling to 0 at the border of the picture, where what is around it begins. Not to be changed."""
    edge = (1.0 - _pixel_places(side).abs().amax(1, keepdim=True)) / _BORDER
    return 0.5 - 0.5 * torch.cos(math.pi * edge.clamp(max=1.0))


def _without_narrow_holes(mask: Tensor, radius: int) -> Tensor:
    """A mask (1, 1, H, W) whose holes narrower than 2 `radius` + 1 pixels are filled."""
    window = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    closed = cv2.morphologyEx(mask[0, 0].cpu().numpy(), cv2.MORPH_CLOSE, window)
    return torch.from_numpy(closed).to(mask)[None, None]


def _shrink(mask: Tensor, radius: int) -> Tensor:
    """A mask (1, 1, H, W) without its outermost `radius` pixels; edges of the picture are none."""
    window = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return torch.from_numpy(cv2.erode(mask[0, 0].cpu().numpy(), window)).to(mask)[None, None]
