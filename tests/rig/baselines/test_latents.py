from __future__ import annotations

import pytest
import torch

from crossrig.gan.generator import Generator
from crossrig.rig.baselines.latents import InS, InWPlus, Latents, Space, latents_of
from crossrig.rig.layers import editable
from crossrig.train.codes import sample_styles, sample_w_plus


def offsets_of(latents: Latents, count: int) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(8)
    return {name: torch.randn(count, size, generator=random) for name, size in latents.sizes.items()}


def test_the_layers_of_both_spaces(tiny_generator: Generator) -> None:
    assert tuple(latents_of("s", tiny_generator).sizes) == editable(tiny_generator.style_space)
    wplus = latents_of("wplus", tiny_generator)
    assert wplus.sizes == {f"w{index}": 32 for index in range(tiny_generator.style_space.w_count)}


@pytest.mark.parametrize("space", ["s", "wplus"])
def test_no_offset_moves_no_bit(tiny_generator: Generator, space: Space) -> None:
    latents = latents_of(space, tiny_generator)
    styles = sample_styles(tiny_generator, 4, torch.Generator().manual_seed(1))
    nothing = {name: torch.zeros(4, size) for name, size in latents.sizes.items()}
    assert torch.equal(latents.moved(styles, nothing), styles)


def test_in_s_convolutions_move_and_torgb_stays(tiny_generator: Generator) -> None:
    latents, space = InS(tiny_generator), tiny_generator.style_space
    styles = sample_styles(tiny_generator, 4, torch.Generator().manual_seed(1))
    offsets = offsets_of(latents, 4)
    change = space.split(latents.moved(styles, offsets) - styles)
    for layer in space.layers:
        expected = offsets[layer.name] if layer.kind == "conv" else torch.zeros(4, layer.size)
        torch.testing.assert_close(change[layer.name], expected, atol=1e-5, rtol=0)


def test_in_w_plus_a_moved_code_is_the_style_code_of_the_moved_vectors(tiny_generator: Generator) -> None:
    latents = InWPlus(tiny_generator)
    w_plus = sample_w_plus(tiny_generator, 4, torch.Generator().manual_seed(1), mixed=1.0)
    offsets = offsets_of(latents, 4)
    expected = tiny_generator.affine(w_plus + torch.stack(list(offsets.values()), 1))
    torch.testing.assert_close(latents.moved(tiny_generator.affine(w_plus), offsets), expected, atol=1e-4, rtol=1e-4)


def test_the_w_of_an_unmixed_code_is_found(tiny_generator: Generator) -> None:
    w = tiny_generator.map(torch.randn(5, 32, generator=torch.Generator().manual_seed(2)))
    found = InWPlus(tiny_generator).of_styles(tiny_generator.affine(w))
    for vector in found.values():
        torch.testing.assert_close(vector, w, atol=1e-3, rtol=1e-3)


def test_the_w_plus_of_any_code_has_this_style_code_and_stays_near_one_w(tiny_generator: Generator) -> None:
    latents = InWPlus(tiny_generator)
    w_plus = sample_w_plus(tiny_generator, 5, torch.Generator().manual_seed(3), mixed=0.0)
    w_plus = w_plus + 0.1 * torch.randn(w_plus.shape, generator=torch.Generator().manual_seed(4))
    styles = tiny_generator.affine(w_plus)
    found = torch.stack(list(latents.of_styles(styles).values()), 1)
    torch.testing.assert_close(tiny_generator.affine(found), styles, atol=1e-4, rtol=1e-4)
    # Layers with fewer styles than w has entries leave a choice, and the choice is the modest one.
    apart = (found - found.mean(1, keepdim=True)).norm(), (w_plus - w_plus.mean(1, keepdim=True)).norm()
    assert float(apart[0]) < float(apart[1])
