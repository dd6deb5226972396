from __future__ import annotations

import pytest
import torch

from crossrig.errors import UserError
from crossrig.face3d.params import ATTRIBUTES, PACKED_SIZE, attribute_size
from crossrig.gan.generator import Generator
from crossrig.rig.baselines.linear import affine_matrix, linear_s, linear_w, w_of
from crossrig.train.codes import sample_styles


def test_directions_in_s_follow_the_parameters() -> None:
    random = torch.Generator().manual_seed(1)
    labels = torch.randn(2000, PACKED_SIZE, generator=random)
    truth = torch.randn(PACKED_SIZE, 12, generator=random)
    editor = linear_s(labels @ truth + 0.01 * torch.randn(2000, 12, generator=random), labels)
    stacked = torch.cat([editor.directions[name] for name in ATTRIBUTES])
    assert stacked.shape == (PACKED_SIZE, 12)
    assert torch.allclose(stacked, truth, atol=0.05)
    styles = torch.zeros(3, 12)
    command = torch.randn(3, attribute_size("pose"), generator=random)
    assert torch.allclose(editor(styles, "pose", command), command @ editor.directions["pose"])
    assert torch.equal(editor(styles, "pose", torch.zeros_like(command)), styles)


def test_w_is_found_back_and_mixtures_are_known(tiny_generator: Generator) -> None:
    random = torch.Generator().manual_seed(3)
    w = tiny_generator.map(torch.randn(30, tiny_generator.config.z_dim, generator=random))
    found, error = w_of(tiny_generator, tiny_generator.affine(w))
    assert torch.allclose(found, w, atol=1e-3)
    assert float(error.max()) < 1e-3
    mixed = sample_styles(tiny_generator, 30, random, mixed=1.0)
    assert float(w_of(tiny_generator, mixed)[1].median()) > 0.05


def test_an_edit_in_w_moves_the_value_commanded(tiny_generator: Generator) -> None:
    """The first ten parameters *are* numbers of w: commands must arrive in w as they are."""
    random = torch.Generator().manual_seed(4)
    w = torch.randn(800, tiny_generator.config.w_dim, generator=random)
    styles = tiny_generator.affine(w)
    labels = torch.zeros(800, PACKED_SIZE)
    labels[:, :10] = w[:, :10]
    editor = linear_w(tiny_generator, styles, labels)
    command = torch.zeros(5, attribute_size("shape"))
    command[:, :10] = torch.randn(5, 10, generator=random)
    moved = w_of(tiny_generator, editor(styles[:5], "shape", command))[0] - w[:5]
    assert torch.allclose(moved[:, :10], command[:, :10], atol=0.05)  # the penalty takes about 1 %
    assert float(moved[:, 10:].abs().max()) < 0.4
    assert affine_matrix(tiny_generator).shape == (tiny_generator.config.w_dim, tiny_generator.style_space.size)


def test_only_mixtures_are_refused(tiny_generator: Generator) -> None:
    mixed = sample_styles(tiny_generator, 40, torch.Generator().manual_seed(5), mixed=1.0)
    with pytest.raises(UserError, match="unmixed"):
        linear_w(tiny_generator, mixed, torch.zeros(40, PACKED_SIZE))
