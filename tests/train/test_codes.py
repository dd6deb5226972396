from __future__ import annotations

import torch

from crossrig.gan.generator import Generator
from crossrig.train.codes import sample_styles


def test_unmixed_codes_are_those_of_z(tiny_generator: Generator) -> None:
    styles = sample_styles(tiny_generator, 5, torch.Generator().manual_seed(1), mixed=0.0)
    z = torch.randn(5, tiny_generator.config.z_dim, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(styles, tiny_generator.affine(tiny_generator.map(z)))


def test_mixed_codes_join_two_to_five_people_in_runs_of_layers(tiny_generator: Generator) -> None:
    count = 200
    styles = sample_styles(tiny_generator, count, torch.Generator().manual_seed(1), mixed=1.0)
    pure = sample_styles(tiny_generator, count, torch.Generator().manual_seed(1), mixed=0.0)
    space = tiny_generator.style_space
    mixed, people = space.split(styles), space.split(pure)
    convolutions = [layer.name for layer in space.layers if layer.kind == "conv"]
    owners = torch.stack(
        [(mixed[name][:, None] - people[name][None]).abs().amax(-1).argmin(1) for name in convolutions], dim=1
    )  # (N, layers)
    for name, owner in zip(convolutions, owners.unbind(1), strict=True):
        torch.testing.assert_close(mixed[name], people[name][owner])
    kinds = torch.tensor([len(set(row.tolist())) for row in owners])
    assert int(kinds.max()) <= 5
    assert float((kinds >= 2).float().mean()) > 0.7


def test_the_seed_decides(tiny_generator: Generator) -> None:
    first = sample_styles(tiny_generator, 4, torch.Generator().manual_seed(1))
    assert torch.equal(first, sample_styles(tiny_generator, 4, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, sample_styles(tiny_generator, 4, torch.Generator().manual_seed(2)))
