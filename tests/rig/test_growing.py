from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from crossrig.errors import UserError
from crossrig.gan.generator import Generator
from crossrig.gan.ops import upsample
from crossrig.gan.weights import grow
from crossrig.inversion.encoder import EncoderConfig, encoder_for
from crossrig.rig.growing import check_grown, grown_child, grown_encoder, grown_rig
from crossrig.rig.manipulation import Rig


@pytest.fixture(params=[(16, 16, 8, 8, 8), (20, 24, 8, 12, 8)], ids=["more pixels", "more channels, too"])
def larger(tiny_generator: Generator, request: pytest.FixtureRequest) -> Generator:
    settings = replace(tiny_generator.config, resolution=64, channels=request.param)
    generator = Generator(settings)
    generator.load_state_dict(grow(tiny_generator.state_dict(), tiny_generator.config, settings))
    return generator.eval().requires_grad_(False)


def test_t_and_m_answer_as_before_whatever_the_new_blocks_styles_are(tiny_rig: Rig, tiny_generator: Generator, larger: Generator) -> None:
    w = tiny_generator.map(torch.randn(4, 32))
    before, after = tiny_generator.affine(w), larger.affine(w)
    sizes = {layer.name: layer.size for layer in tiny_generator.style_space.layers}
    known = torch.cat([torch.arange(layer.size) < sizes.get(layer.name, 0) for layer in larger.style_space.layers])
    torch.testing.assert_close(after[:, known], before)
    rig = grown_rig(tiny_rig, larger.style_space, "1" * 64)
    assert rig.generator == "1" * 64
    torch.testing.assert_close(rig.predict(after).pack(), tiny_rig.predict(before).pack())
    after[:, ~known] += 1.0
    torch.testing.assert_close(rig.predict(after).pack(), tiny_rig.predict(before).pack())
    commands = {"pose": 0.1 * torch.randn(4, 6), "expression": torch.rand(4, 52)}
    moved = rig.move(after, commands, 1)
    torch.testing.assert_close(moved[:, known], tiny_rig.move(before, commands, 1))
    torch.testing.assert_close(moved[:, ~known], after[:, ~known], atol=0, rtol=0)


def test_the_encoder_gives_new_layers_its_common_w(tiny_generator: Generator, larger: Generator) -> None:
    encoder = encoder_for(tiny_generator, EncoderConfig(size=32, hidden=16, rank=4), pretrained=False)
    torch.nn.init.normal_(encoder.offsets)
    torch.nn.init.normal_(encoder.narrow.weight)
    pictures = torch.rand(2, 3, 32, 32)
    grown = grown_encoder(encoder, larger.style_space.w_count)
    w_plus, count = grown(pictures), tiny_generator.style_space.w_count
    torch.testing.assert_close(w_plus[:, :count], encoder(pictures))
    torch.testing.assert_close(w_plus[:, count:], encoder.common_w(pictures)[:, None].expand(-1, w_plus.shape[1] - count, -1))
    with pytest.raises(UserError, match="did not grow"):
        grown_encoder(grown, count)


def test_a_generator_whose_latent_space_moved_is_refused(tiny_rig: Rig, tiny_generator: Generator, larger: Generator) -> None:
    check_grown(tiny_generator, larger)
    moved = copy.deepcopy(larger)
    moved.state_dict()["synthesis.b16.conv0.affine.weight"].add_(0.1)
    with pytest.raises(UserError, match=r"b16\.conv0\.affine\.weight: its affine layers were not held"):
        check_grown(tiny_generator, moved)
    with pytest.raises(UserError, match="lacks layers"):
        grown_rig(grown_rig(tiny_rig, larger.style_space, "1" * 64), tiny_generator.style_space, "2" * 64)


def test_a_child_paints_with_the_larger_generator_what_it_painted_before(tiny_generator: Generator, larger: Generator) -> None:
    child = copy.deepcopy(tiny_generator)
    for parameter in child.synthesis.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    grown = Generator(larger.config)
    grown.load_state_dict(grown_child(child.state_dict(), tiny_generator.state_dict(), larger.state_dict()))
    z = torch.randn(2, 32)
    # its channels that the parent did not have are read by nobody yet, and the block of 64 px is silent
    torch.testing.assert_close(grown(z), upsample(child(z)), rtol=1e-4, atol=1e-4)
