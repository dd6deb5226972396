from __future__ import annotations

import pytest
import torch

from crossrig.gan.augment import AdaptiveProbability, Augmentation, translate

ALL = Augmentation()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 4, size: int = 16) -> torch.Tensor:
    return torch.randn(count, 3, size, size, dtype=torch.float64, generator=seeded(9)).clamp(-1, 1)


def test_probability_zero_changes_nothing() -> None:
    images = pictures()
    assert ALL(images, 0.0) is images
    with pytest.raises(ValueError, match="between 0 and 1"):
        ALL(images, 1.5)


def test_probability_is_the_share_of_touched_images() -> None:
    only = Augmentation(brightness=0.4, saturation=0, contrast=0, shift=0, cutout=0)
    images = torch.zeros(4000, 3, 2, 2)
    touched = (only(images, 0.3, seeded()).abs().amax(dim=(1, 2, 3)) > 0).double().mean()
    assert touched.item() == pytest.approx(0.3, abs=0.03)


def test_repeatable() -> None:
    images = pictures()
    assert torch.equal(ALL(images, 1.0, seeded()), ALL(images, 1.0, seeded()))
    assert not torch.allclose(ALL(images, 1.0, seeded()), ALL(images, 1.0, seeded(1)))


@pytest.mark.parametrize("name", ["brightness", "saturation", "contrast", "shift", "cutout"])
def test_differentiable_one_at_a_time(name: str) -> None:
    off = {"brightness": 0.0, "saturation": 0.0, "contrast": 0.0, "shift": 0.0, "cutout": 0.0}
    one = Augmentation(**{**off, name: getattr(ALL, name)})
    images = pictures(2, 8).requires_grad_()
    assert not torch.allclose(one(images, 1.0, seeded()), images)
    assert torch.autograd.gradcheck(lambda x: one(x, 1.0, seeded()), images)


def test_saturation_keeps_grey_and_contrast_keeps_the_mean() -> None:
    grey = pictures()[:, :1].expand(-1, 3, -1, -1)
    saturated = Augmentation(brightness=0, contrast=0, shift=0, cutout=0)(grey, 1.0, seeded())
    torch.testing.assert_close(saturated, grey)
    images = pictures()
    contrasted = Augmentation(brightness=0, saturation=0, shift=0, cutout=0)(images, 1.0, seeded())
    torch.testing.assert_close(contrasted.mean(dim=(1, 2, 3)), images.mean(dim=(1, 2, 3)))
    assert not torch.allclose(contrasted, images)


def test_translate_written_out() -> None:
    images = torch.arange(16.0).reshape(1, 1, 4, 4).repeat(3, 1, 1, 1)
    moved = translate(images, right=torch.tensor([0.25, 0.0, -0.5]), down=torch.tensor([0.0, 0.5, 0.0]))
    assert moved[0, 0, 0].tolist() == [0.0, 0.0, 1.0, 2.0]
    assert moved[1, 0, :, 0].tolist() == [0.0, 0.0, 0.0, 4.0]
    assert moved[2, 0, 0].tolist() == [2.0, 3.0, 0.0, 0.0]
    assert torch.equal(translate(images, torch.zeros(3), torch.zeros(3)), images)


def test_cutout_erases_a_square() -> None:
    only = Augmentation(brightness=0, saturation=0, contrast=0, shift=0, cutout=0.5)
    holes = 1.0 - only(torch.ones(64, 1, 20, 20), 1.0, seeded())[:, 0]
    area = holes.sum(dim=(1, 2))
    assert area.min() >= 25  # a corner: a quarter of 10 x 10
    assert area.max() <= 100
    for hole in holes:
        rows, columns = hole.amax(dim=1), hole.amax(dim=0)
        assert torch.equal(hole, rows[:, None] * columns[None, :])


def test_adaptive_probability() -> None:
    state = AdaptiveProbability(ramp=1000.0)
    confident = torch.ones(100, 4)
    for _ in range(5):
        state = state.updated(confident)
    assert state.probability == pytest.approx(0.5)
    for _ in range(10):
        state = state.updated(confident)
    assert state.probability == pytest.approx(0.8)  # the limit
    state = state.updated(-confident)
    assert state.probability == pytest.approx(0.7)
    for _ in range(10):
        state = state.stepped(sign=0.2, images=100)
    assert state.probability == 0.0
