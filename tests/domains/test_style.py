from __future__ import annotations

import pytest
import torch
from torch import Tensor

from crossrig.domains.style import StyleDistance


@pytest.fixture(scope="module")
def sets() -> tuple[Tensor, Tensor]:
    """Pictures of bars that stand and of bars that lie, 24 each."""
    random = torch.Generator().manual_seed(0)
    standing = torch.full((24, 3, 64, 64), -0.8)
    for picture, at in zip(standing, torch.randint(8, 48, (24,), generator=random).tolist(), strict=True):
        picture[:, :, at : at + 8] = 0.8
    return standing, standing.transpose(2, 3).contiguous()


def test_parent_and_domain_are_the_ends(sets: tuple[Tensor, Tensor]) -> None:
    domain, parent = sets
    distance = StyleDistance(domain, parent)
    assert distance(parent) == pytest.approx(1.0, abs=1e-5)
    assert distance(domain) == pytest.approx(0.0, abs=1e-5)


def test_it_falls_as_more_pictures_are_of_the_domain(sets: tuple[Tensor, Tensor]) -> None:
    domain, parent = sets
    distance = StyleDistance(domain, parent)
    found = [distance(torch.cat([domain[:count], parent[count:]])) for count in (0, 8, 16, 24)]
    assert found == sorted(found, reverse=True)
    assert found[1] < 0.9


def test_pictures_without_variety_are_not_of_the_domain(sets: tuple[Tensor, Tensor]) -> None:
    domain, parent = sets
    assert StyleDistance(domain, parent)(domain[:1].expand(24, -1, -1, -1)) > 0.02


def test_one_picture_is_enough(sets: tuple[Tensor, Tensor]) -> None:
    domain, parent = sets
    assert 0 < StyleDistance(domain[:1], parent)(domain) < 1
