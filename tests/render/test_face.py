"""Differentiable pictures of the face model."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import BLOCKS, FaceParams
from crossrig.render.face import Rendering, render_face, shade
from crossrig.render.shading import directional_light


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return FaceModel.load()


@pytest.fixture(scope="module")
def ball() -> FaceModel:
    """A tiny double-precision stand-in, an uneven ball with random bases: gradients of the real one take minutes."""
    rows, columns = 7, 12
    polar = torch.linspace(0.05, math.pi - 0.05, rows)[:, None]
    around = torch.arange(columns) * (2 * math.pi / columns)
    ball = torch.stack((polar.sin() * around.sin(), polar.cos().expand(-1, columns), polar.sin() * around.cos()), dim=-1)
    index = torch.arange(rows * columns).reshape(rows, columns)
    right, down = index.roll(-1, dims=1), index[1:]
    a, b, c, d = index[:-1], right[:-1], right[1:], down
    faces = torch.cat((torch.stack((a, d, b), dim=-1).flatten(0, 1), torch.stack((b, d, c), dim=-1).flatten(0, 1)))
    count = rows * columns
    generator = torch.Generator().manual_seed(7)
    tensors = {
        "faces": faces,
        "uv": torch.zeros(count, 2),
        "mean": ball.reshape(count, 3) * torch.tensor([0.08, 0.11, 0.09]),
        "shape_basis": 1e-3 * torch.randn(BLOCKS["shape"], count, 3, generator=generator),
        "expression_basis": 1e-3 * torch.randn(BLOCKS["expression"], count, 3, generator=generator),
        "albedo_mean": 0.3 + 0.4 * torch.rand(count, 3, generator=generator),
        "albedo_basis": 1e-2 * torch.randn(BLOCKS["albedo"], count, 3, generator=generator),
        "rotation_weight": torch.rand(count, generator=generator),
        "face_part": torch.zeros(len(faces), dtype=torch.uint8),
        "occlusion": torch.rand(count, generator=generator),
        "eye_direction": torch.zeros(count, 3),
        "base_vertex": torch.arange(count),
        "landmark_index": torch.arange(68),
    }
    return FaceModel(tensors).double()


def turned(yaw: float, dtype: torch.dtype = torch.float32) -> FaceParams:
    return FaceParams.neutral().to(dtype=dtype).replace(rotation=torch.tensor([[0.0, yaw, 0.0]], dtype=dtype))


def test_smoke(model: FaceModel) -> None:
    out = render_face(model, FaceParams.neutral(2), size=48, regions=True)
    assert out.image.shape == (2, 3, 48, 48)
    assert out.alpha.shape == (2, 1, 48, 48)
    assert out.landmarks.shape == (2, 68, 2)
    assert set(out.regions) == set(model.regions)
    assert all(mask.shape == (2, 1, 48, 48) for mask in out.regions.values())
    assert out.image.min() == -1
    assert out.image.max() <= 1
    assert (out.image.amax(dim=1, keepdim=True)[out.alpha == 0] == -1).all()
    face = out.alpha[0, 0]
    assert face[24, 24] == 1, "the face must be in the middle of the picture"
    assert face[:24, [0, 1, -2, -1]].max() == 0, "and there must be air on both sides of it"
    assert 0.2 < face.mean() < 0.8


def test_regions_lie_where_they_should(model: FaceModel) -> None:
    out = render_face(model, FaceParams.neutral(), size=96, regions=True)
    rows = torch.arange(96.0)[:, None]

    def height(name: str) -> float:
        mask = out.regions[name][0, 0]
        assert mask.sum() > 0, name
        assert (mask <= out.alpha[0, 0]).all(), name
        return float((mask * rows).sum() / mask.sum())

    assert height("brows") < height("eyes") < height("nose") < height("lips") < height("neck")


def test_landmarks_fall_on_the_face_and_follow_yaw(model: FaceModel) -> None:
    front = render_face(model, turned(0.0), size=64)
    left = render_face(model, turned(0.4), size=64)
    inner = front.landmarks[0, 17:]  # without the jaw line, which lies on the silhouette
    column, row = ((inner * torch.tensor([1.0, -1.0]) + 1) * 32).long().unbind(dim=1)
    assert front.alpha[0, 0, row, column].min() == 1
    tip = list(model.landmarks).index("nose_bridge_3")
    assert left.landmarks[0, tip, 0] > front.landmarks[0, tip, 0] + 0.1, "+yaw moves the nose to the picture's right"


def test_light_from_the_left_lights_the_left(model: FaceModel) -> None:
    light = directional_light(torch.tensor([[-1.0, 0.0, 0.0]]), torch.ones(1, 3))
    image = render_face(model, FaceParams.neutral().replace(illumination=light), size=64).image
    assert image[..., :32].mean() > image[..., 32:].mean() + 0.1


def test_shade_known_answer() -> None:
    # White even light of strength 1 shows the albedo itself, whatever the normal's direction and length.
    albedo = torch.tensor([[[0.214041, 0.5, 1.0]]])
    white = FaceParams.neutral().illumination
    encoded = shade(torch.tensor([[[0.0, 0.3, -2.0]]]), albedo, white)
    torch.testing.assert_close(encoded, torch.tensor([[[0.5, 0.735357, 1.0]]]), atol=1e-4, rtol=0)


def test_creases_are_darker_but_white_walls_are_not() -> None:
    white = FaceParams.neutral().illumination
    normal, half = torch.tensor([[[0.0, 0.0, 1.0]]]), torch.tensor([[[0.5]]])
    grey = shade(normal, torch.full((1, 1, 3), 0.214041), white, half)
    assert grey.max() < 0.4
    torch.testing.assert_close(shade(normal, torch.ones(1, 1, 3), white, half), torch.ones(1, 1, 3))


def test_backends_agree(model: FaceModel) -> None:
    fast = render_face(model, turned(0.3), size=10, regions=True)
    readable = render_face(model, turned(0.3), size=10, regions=True, backend="reference")
    assert torch.equal(fast.alpha, readable.alpha)
    torch.testing.assert_close(fast.image, readable.image, atol=1e-5, rtol=0)
    for name, mask in fast.regions.items():
        assert torch.equal(mask, readable.regions[name])


def test_supersampling_softens_edges_only(model: FaceModel) -> None:
    plain = render_face(model, turned(0.0), size=64)
    smooth = render_face(model, turned(0.0), size=64, supersample=2)
    assert set(plain.alpha.unique().tolist()) == {0.0, 1.0}
    assert set(smooth.alpha.unique().tolist()) == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert (plain.image - smooth.image).abs().mean() < 0.03


def test_over_a_background() -> None:
    image = torch.tensor([[[[-0.5, -1.0]]]]).expand(1, 3, 1, 2)
    alpha = torch.tensor([[[[0.5, 0.0]]]])
    out = Rendering(image, alpha, torch.zeros(1, 68, 2)).over(torch.tensor(1.0))
    torch.testing.assert_close(out[0, 0, 0], torch.tensor([0.5, 1.0]))


@pytest.mark.parametrize("block", list(BLOCKS))
def test_every_block_has_a_gradient(model: FaceModel, block: str) -> None:
    params = turned(0.2)
    values = getattr(params, block).clone().requires_grad_()
    render_face(model, params.replace(**{block: values}), size=32).image.square().sum().backward()
    assert values.grad is not None
    assert torch.isfinite(values.grad).all()
    assert values.grad.abs().max() > 0


def picture_of(model: FaceModel, block: str, start: FaceParams) -> Callable[[Tensor], Tensor]:
    """The picture as a function of one block."""

    def picture(values: Tensor) -> Tensor:
        return render_face(model, start.replace(**{block: values}), size=8).image

    return picture


@pytest.mark.parametrize("block", list(BLOCKS))
def test_gradcheck(ball: FaceModel, block: str) -> None:
    start = turned(0.2, torch.float64)
    # Half light: no colour saturates at 1, where the slope jumps.
    start = start.replace(illumination=start.illumination * 0.5)
    values = getattr(start, block).clone().requires_grad_()
    # A small step: no pixel may change its triangle.
    assert torch.autograd.gradcheck(picture_of(ball, block, start), (values,), eps=1e-7, atol=1e-5, rtol=1e-4)


def test_bad_calls_are_refused(model: FaceModel) -> None:
    with pytest.raises(ValueError, match="supersample"):
        render_face(model, FaceParams.neutral(), size=8, supersample=0)
    with pytest.raises(ValueError, match="size"):
        render_face(model, FaceParams.neutral(), size=0)
