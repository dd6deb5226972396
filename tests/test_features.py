from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from crossrig.features import (
    TAP_CHANNELS,
    TAP_STRIDES,
    TAPS,
    FeatureTaps,
    FlattenedTaps,
    PerceptualDistance,
    TextureDifference,
    pretrained_tensors,
    resize,
)


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return pretrained_tensors()


@pytest.fixture(scope="module")
def taps(tensors: dict[str, torch.Tensor]) -> FeatureTaps:
    return FeatureTaps(64, tensors=tensors)


def pictures(count: int, size: int, seed: int = 0) -> torch.Tensor:
    """Smooth random pictures in [-1, 1]."""
    coarse = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, (size, size), mode="bilinear").clamp(-1, 1)


def test_shapes(taps: FeatureTaps) -> None:
    assert taps.channels == TAP_CHANNELS
    features = taps(pictures(2, 64))
    assert [tuple(f.shape) for f in features] == [
        (2, channels, 64 // stride, 64 // stride) for channels, stride in zip(TAP_CHANNELS, TAP_STRIDES, strict=True)
    ]


def test_agrees_with_the_original_network(tensors: dict[str, torch.Tensor]) -> None:
    """Against the published implementation, batch normalisation not folded, at its own 224 px."""
    original = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
    original.load_state_dict(tensors)
    original.eval()
    images = pictures(1, 224)
    ours = FeatureTaps(224, tensors=tensors)(images)
    theirs = []
    with torch.no_grad():
        pixels = (images + 1) * 127.5
        x = original._swish(original._bn0(original._conv_stem((pixels - 127) / 128)))
        for index, block in enumerate(original._blocks):
            x = block(x)
            if index in TAPS:
                theirs.append(x)
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() < 1e-5 * b.abs().max()


def test_a_shorter_trunk_gives_the_same_tap(tensors: dict[str, torch.Tensor], taps: FeatureTaps) -> None:
    short = FeatureTaps(64, taps=(4,), tensors=tensors)
    assert len(short.blocks) == 5
    torch.testing.assert_close(short(pictures(1, 64))[0], taps(pictures(1, 64))[1])


def test_frozen_but_differentiable(taps: FeatureTaps) -> None:
    assert not list(taps.parameters())
    assert not taps.state_dict()
    images = pictures(1, 64).requires_grad_()
    sum(feature.square().mean() for feature in taps(images)).backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert torch.isfinite(images.grad).all()


def test_other_sizes_are_resized(taps: FeatureTaps) -> None:
    large = pictures(1, 200)
    for a, b in zip(taps(large), taps(resize(large, 64)), strict=True):
        torch.testing.assert_close(a, b)
    assert resize(large, 200) is large
    # antialiased: a pixel checkerboard averages to grey instead of aliasing
    board = (torch.arange(128)[:, None] + torch.arange(128)) % 2 * 2.0 - 1.0
    assert resize(board.expand(1, 3, -1, -1), 32)[..., 2:-2, 2:-2].abs().max() < 0.05


def test_distance(taps: FeatureTaps) -> None:
    distance = PerceptualDistance(features=taps)
    images = pictures(3, 64)
    assert distance(images, images).abs().max() < 1e-6
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    near, far = distance(images, images + 0.02 * noise), distance(images, images + 0.3 * noise)
    assert near.shape == (3,)
    assert (near > 0).all()
    assert (far > 2 * near).all()
    torch.testing.assert_close(distance(images, noise), distance(noise, images))
    torch.testing.assert_close(
        distance.compare(distance.describe(images), distance.describe(noise)), distance(images, noise)
    )


def test_distance_leads_back_to_the_target(taps: FeatureTaps) -> None:
    distance = PerceptualDistance(features=taps)
    target = pictures(1, 64)
    guess = (target + 0.3 * torch.randn(target.shape, generator=torch.Generator().manual_seed(2))).requires_grad_()
    start = distance(guess, target).sum()
    (gradient,) = torch.autograd.grad(start, guess)
    step = guess - 0.5 * gradient / gradient.norm()
    assert distance(step, target).sum() < start


@pytest.mark.parametrize("size", [-32, 16, 100])
def test_bad_size(size: int, tensors: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        FeatureTaps(size, tensors=tensors)


def test_pictures_may_be_looked_at_as_they_are(tensors: dict[str, torch.Tensor]) -> None:
    whole, fixed = FeatureTaps(0, tensors=tensors), FeatureTaps(64, tensors=tensors)
    images = pictures(2, 64)
    for one, other in zip(whole(images), fixed(images), strict=True):
        torch.testing.assert_close(one, other)
    assert whole(torch.zeros(1, 3, 64, 96))[0].shape[2:] == (16, 24)


@pytest.mark.parametrize("bad", [(), (4, 2), (2, 2), (0, 16), (-1,)])
def test_bad_taps(bad: tuple[int, ...], tensors: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="taps"):
        FeatureTaps(64, taps=bad, tensors=tensors)


def test_bad_images(taps: FeatureTaps) -> None:
    with pytest.raises(ValueError, match="B, 3, H, W"):
        taps(torch.zeros(2, 1, 64, 64))


def test_every_map_has_the_same_say_whatever_its_size() -> None:
    torch.manual_seed(0)
    flatten = FlattenedTaps((4, 6), (2, 8), (4, 2))
    fine, coarse = torch.randn(3, 4, 4, 4), torch.randn(3, 6, 2, 2)
    vector = flatten([1000.0 * fine, coarse])
    assert vector.shape == (3, flatten.size) == (3, 2 * 16 + 8 * 4)
    torch.testing.assert_close(vector[:, :32].square().mean(), torch.tensor(1.0), rtol=1e-2, atol=0)
    torch.testing.assert_close(vector[:, 32:].square().mean(), torch.tensor(1.0), rtol=1e-2, atol=0)


def test_textures_differ_by_how_much_varies_and_not_by_where() -> None:
    random = torch.Generator().manual_seed(4)
    strands, others = (0.5 * torch.randn(2, 3, 64, 64, generator=random) for _ in range(2))
    texture = TextureDifference(64)
    blurred = F.avg_pool2d(F.pad(strands, (2, 2, 2, 2), mode="reflect"), 5, stride=1)
    same, other, blur = (texture(pictures, strands) for pictures in (strands, others, blurred))
    assert torch.equal(same, torch.zeros(2))
    assert (other < 0.5 * blur).all()
    assert ((strands - others).square().mean() > (strands - blurred).square().mean()).all()  # by pixels it is the other way round


def test_a_step_along_its_gradient_makes_a_blurred_picture_rougher() -> None:
    random = torch.Generator().manual_seed(5)
    strands = 0.5 * torch.randn(1, 3, 64, 64, generator=random)
    blurred = F.avg_pool2d(strands, 5, stride=1, padding=2).requires_grad_()
    texture = TextureDifference(64)
    before = texture(blurred, strands)
    (slope,) = torch.autograd.grad(before.sum(), blurred)
    after = texture(blurred.detach() - 0.2 * slope / slope.norm(), strands)
    assert float(after) < float(before.detach())
