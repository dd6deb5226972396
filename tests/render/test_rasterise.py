"""The rasteriser: fast against readable, fill rule, perspective, gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from crossrig.check import ShapeError
from crossrig.render.camera import Camera, pixel_centres
from crossrig.render.rasterise import Fragments, interpolate, rasterise
from crossrig.render.zbuffer import raster_kernel, raster_reference

Buffers = tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]


def buffers(height: int, width: int) -> Buffers:
    """Empty depth, triangle and barycentric buffers."""
    return (
        np.full((height, width), np.inf, np.float32),
        np.full((height, width), -1, np.int32),
        np.zeros((height, width, 3), np.float32),
    )


def draw(kernel: Callable[..., None], points: NDArray[np.float32], faces: NDArray[np.int32], size: int) -> Buffers:
    out = buffers(size, size)
    kernel(points, faces, *out)
    return out


near_frame = st.floats(-1.5, 1.5, width=32)
on_grid = st.integers(-18, 18).map(lambda k: k / 16)  # pixel centres and corners of the 16-pixel test picture
huge = st.floats(-1e6, 1e6, width=32)
off_frame = st.floats(3, 20, width=32)
in_front = st.floats(0.25, 4, width=32)


@st.composite
def triangles(draw_: st.DrawFn) -> list[list[float]]:
    """One triangle [[x, y, depth] * 3] of an ordinary or an awkward kind."""
    kind = draw_(st.sampled_from(["plain", "grid", "huge", "off", "behind", "point", "line", "nan", "flat"]))
    xy = {"grid": on_grid, "huge": huge, "off": off_frame}.get(kind, near_frame)
    corners = [[draw_(xy), draw_(xy), draw_(in_front)] for _ in range(3)]
    if kind == "behind":
        corners[draw_(st.integers(0, 2))][2] = draw_(st.sampled_from([-1.0, 0.0, 0.005, math.inf, -math.inf]))
    elif kind == "point":
        corners = [corners[0]] * 3
    elif kind == "line":
        corners[2] = corners[1]
    elif kind == "nan":
        corners[draw_(st.integers(0, 2))][draw_(st.integers(0, 2))] = math.nan
    elif kind == "flat":  # facing the camera: equal depths meet other flat triangles
        corners = [[x, y, 1.0] for x, y, _ in corners]
    return corners


@settings(max_examples=200, deadline=None)
@given(st.lists(triangles(), min_size=1, max_size=12), st.booleans())
def test_fast_kernel_agrees_with_reference(corners: list[list[list[float]]], cull: bool) -> None:
    points = np.array(corners, np.float32).reshape(-1, 3)
    faces = np.arange(len(points), dtype=np.int32).reshape(-1, 3)
    fast, readable = buffers(16, 16), buffers(16, 16)
    raster_kernel(points, faces, *fast, 7, cull)
    raster_reference(points, faces, *readable, 7, cull)
    np.testing.assert_array_equal(fast[1], readable[1])
    np.testing.assert_allclose(fast[0], readable[0], rtol=1e-6)
    np.testing.assert_allclose(fast[2], readable[2], atol=1e-5)
    seen = fast[1] >= 0
    assert (fast[1][seen] >= 7).all()
    assert (fast[2][seen] >= 0).all()
    np.testing.assert_allclose(fast[2][seen].sum(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize("scale", [0.01, 0.05, 1.0, 500.0])
def test_agree_on_many_triangles(scale: float) -> None:
    rng = np.random.default_rng(3)
    centre = rng.uniform(-1.1, 1.1, (150, 1, 2))
    points = np.concatenate((centre + scale * rng.normal(size=(150, 3, 2)), rng.uniform(1, 2, (150, 3, 1))), axis=2)
    points = points.reshape(-1, 3).astype(np.float32)
    faces = np.arange(450, dtype=np.int32).reshape(150, 3)
    fast, readable = (draw(kernel, points, faces, 53) for kernel in (raster_kernel, raster_reference))
    assert (fast[1] >= 0).any()
    np.testing.assert_array_equal(fast[1], readable[1])
    np.testing.assert_allclose(fast[2], readable[2], atol=1e-5)


@pytest.mark.parametrize("jitter", [0.0, 0.4])
def test_a_closed_surface_has_neither_holes_nor_overlaps(jitter: float) -> None:
    # Without jitter all vertices lie exactly on pixel centres and all edges run through them: the fill rule decides.
    size, cells = 24, 12
    ticks = (2 * np.arange(cells + 1) * (size // cells) + 1) / size - 1
    x, y = np.meshgrid(ticks, ticks)
    inner = np.zeros((cells + 1, cells + 1))
    inner[1:-1, 1:-1] = 1
    rng = np.random.default_rng(0)
    step = ticks[1] - ticks[0]
    points = np.stack((x, y, np.ones_like(x)), axis=-1)
    points[..., :2] += jitter * step * inner[..., None] * rng.uniform(-1, 1, (cells + 1, cells + 1, 2))
    index = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate((np.stack((a, b, c), -1).reshape(-1, 3), np.stack((a, c, d), -1).reshape(-1, 3)))
    flat = points.reshape(-1, 3).astype(np.float32)
    count = np.zeros((size, size), int)
    for face in faces.astype(np.int32):
        count += draw(raster_kernel, flat, face[None], size)[1] >= 0
    # The left edge of the mesh runs through the first column, which it owns; the lower edge through the last row, which
    # it does not.
    assert (count[:-1] == 1).all()
    assert (count[-1] == 0).all()


def test_nearest_wins_whatever_the_order_and_calls_add_up() -> None:
    near = np.array([[-1, -1, 1.0], [1, -1, 1.0], [0, 1, 1.0]], np.float32)
    far = near + np.array([0, 0, 0.5], np.float32)
    face = np.array([[0, 1, 2]], np.int32)
    for first, second, winner in ((near, far, 100), (far, near, 200)):
        out = buffers(9, 9)
        raster_kernel(first, face, *out, 100)
        raster_kernel(second, face, *out, 200)
        assert set(np.unique(out[1])) == {-1, winner}
        assert out[0].min() == pytest.approx(1.0)


def test_interpenetrating_triangles_split_along_their_intersection() -> None:
    points = np.array([[-1, -1, 1], [-1, 1, 1], [1, 0, 3], [1, -1, 1], [1, 1, 1], [-1, 0, 3]], np.float32)
    triangle = draw(raster_kernel, points, np.array([[0, 1, 2], [3, 4, 5]], np.int32), 32)[1]
    assert (triangle[16, :15] == 0).all()
    assert (triangle[16, 17:] == 1).all()


def test_culling_drops_clockwise_triangles() -> None:
    points = np.array([[-1, -1, 1], [1, -1, 1], [0, 1, 1]], np.float32)  # counter-clockwise: faces the camera
    for face, kept in (([0, 1, 2], True), ([0, 2, 1], False)):
        out = buffers(8, 8)
        raster_kernel(points, np.array([face], np.int32), *out, 0, True)
        assert (out[1] >= 0).any() == kept


def test_barycentric_buffer_may_be_left_out_and_pictures_need_not_be_square() -> None:
    points = np.array([[-1, -1, 1], [1, -1, 1], [-1, 1, 2]], np.float32)
    faces = np.array([[0, 1, 2]], np.int32)
    with_weights, without = buffers(6, 10), buffers(6, 10)
    raster_kernel(points, faces, *with_weights)
    raster_kernel(points, faces, without[0], without[1], np.empty((0, 0, 3), np.float32))
    np.testing.assert_array_equal(with_weights[1], without[1])
    readable = buffers(6, 10)
    raster_reference(points, faces, *readable)
    np.testing.assert_array_equal(with_weights[1], readable[1])


def slanted(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Two strongly slanted triangles in head space (1, 6, 3) and their faces."""
    first = [[-0.2, -0.2, 0.5], [0.25, -0.1, -0.4], [0.0, 0.2, 0.1]]
    second = [[0.15, 0.1, 0.3], [-0.1, -0.15, -0.6], [0.2, -0.2, 0.0]]
    return torch.tensor([first + second], dtype=dtype), torch.tensor([[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_interpolation_meets_the_ray_through_the_pixel(backend: str) -> None:
    camera, size = Camera(), 40
    points, faces = slanted()
    fragments = rasterise(camera.project(points), faces, size, backend)  # type: ignore[arg-type]
    where = interpolate(fragments, faces, points)[0]  # (H, W, 3) head space
    x, y = (torch.from_numpy(axis).float() for axis in pixel_centres(size))
    y, x = torch.meshgrid(y, x, indexing="ij")
    rays = torch.stack((x, y, torch.full_like(x, -camera.focal)), dim=-1)
    eye = torch.tensor([0, 0, camera.distance])
    for number, face in enumerate(faces):
        a, b, c = points[0, face]
        normal = torch.linalg.cross(b - a, c - a)
        reach = ((a - eye) @ normal) / (rays @ normal)
        hit = eye + reach[..., None] * rays
        seen = fragments.triangle[0] == number
        assert seen.sum() > 40
        torch.testing.assert_close(where[seen], hit[seen], atol=2e-5, rtol=0)
        torch.testing.assert_close(fragments.depth[0][seen], (camera.distance - hit[..., 2])[seen], atol=2e-5, rtol=0)


def test_backends_give_the_same_fragments() -> None:
    points, faces = slanted()
    batch = Camera().project(torch.cat((points, points.flip(1) * 0.7)))
    fast, readable = rasterise(batch, faces, 33), rasterise(batch, faces, 33, "reference")
    assert torch.equal(fast.triangle, readable.triangle)
    torch.testing.assert_close(fast.barycentric, readable.barycentric, atol=1e-5, rtol=0)
    torch.testing.assert_close(fast.depth, readable.depth, atol=1e-5, rtol=0)


def test_torch_barycentrics_match_the_kernel() -> None:
    points, faces = slanted()
    projected = Camera().project(points)
    kernel = draw(raster_kernel, projected[0].numpy(), faces.numpy().astype(np.int32), 50)
    fragments = rasterise(projected, faces, 50)
    # The kernel works from corners rounded to 1/4096 pixel, torch from the exact ones.
    np.testing.assert_allclose(fragments.barycentric[0].numpy(), kernel[2], atol=1e-4)


def test_smoke_shapes_and_empty_pixels() -> None:
    points, faces = slanted()
    fragments = rasterise(Camera().project(points.expand(3, -1, -1) * 0.3), faces, 20)
    assert fragments.triangle.shape == (3, 20, 20)
    assert fragments.triangle.dtype == torch.int32
    assert fragments.barycentric.shape == (3, 20, 20, 3)
    empty = fragments.triangle < 0
    assert empty.any()
    assert not empty.all()
    assert fragments.barycentric[empty].abs().max() == 0
    assert torch.isinf(fragments.depth[empty]).all()
    values = interpolate(fragments, faces, torch.ones(3, 6, 4))
    assert values.shape == (3, 20, 20, 4)
    torch.testing.assert_close(values[..., 0], (~empty).float())


def test_nothing_in_view_is_an_empty_picture() -> None:
    points, faces = slanted()
    fragments = rasterise(Camera().project(points + torch.tensor([9.0, 0, 0])), faces, 8)
    assert (fragments.triangle == -1).all()
    assert interpolate(fragments, faces, points).abs().max() == 0


def test_batch_is_drawn_picture_by_picture() -> None:
    points, faces = slanted()
    batch = Camera().project(torch.cat((points, points * 0.5)))
    together = rasterise(batch, faces, 16)
    for b in range(2):
        alone = rasterise(batch[b : b + 1], faces, 16)
        assert torch.equal(together.triangle[b], alone.triangle[0])
        torch.testing.assert_close(together.barycentric[b], alone.barycentric[0])


def test_slivers_do_not_extrapolate() -> None:
    thin = torch.tensor([[[-1.0, 0.0, 1.0], [1.0, 1e-5, 1.0], [1.0, -1e-5, 2.0], [0.0, 1e-9, 1.5]]], requires_grad=True)
    fragments = rasterise(thin, torch.tensor([[0, 1, 2], [0, 3, 1]]), 65)
    seen = fragments.triangle >= 0
    assert seen.any()
    assert fragments.barycentric.min() >= 0
    assert fragments.barycentric.max() <= 1
    fragments.barycentric[..., 0].sum().backward()
    assert thin.grad is not None
    assert torch.isfinite(thin.grad).all()


def test_gradcheck() -> None:
    points, faces = slanted(torch.float64)
    projected = Camera().project(points).requires_grad_()
    colours = torch.rand(1, 6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def picture(corners: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        fragments: Fragments = rasterise(corners, faces, 7)
        depth = torch.where(fragments.triangle >= 0, fragments.depth, 0.0)
        return interpolate(fragments, faces, values), depth

    assert torch.autograd.gradcheck(picture, (projected, colours))


def test_bad_calls_are_refused() -> None:
    points, faces = slanted()
    projected = Camera().project(points)
    with pytest.raises(ShapeError, match="projected"):
        rasterise(projected[0], faces, 8)
    with pytest.raises(ShapeError, match="faces"):
        rasterise(projected, faces.T.repeat(2, 2), 8)
    with pytest.raises(ValueError, match="at least 1 pixel"):
        rasterise(projected, faces, 0)
    with pytest.raises(ValueError, match="backend"):
        rasterise(projected, faces, 8, "cuda")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"vertices 1\.\.6"):
        rasterise(projected, faces + 1, 8)
    with pytest.raises(ValueError, match="batch 2"):
        interpolate(rasterise(projected, faces, 8), faces, torch.zeros(2, 6, 1))
