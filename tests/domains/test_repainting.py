from __future__ import annotations

import pytest
import torch

from crossrig.domains.repainting import Repainting
from crossrig.gan.generator import Generator
from crossrig.inversion.encoder import Encoder, EncoderConfig, encoder_for


@pytest.fixture
def encoder(tiny_generator: Generator) -> Encoder:
    torch.manual_seed(0)
    return encoder_for(tiny_generator, EncoderConfig(size=32, hidden=16, rank=4))


class _Knowing(Encoder):
    """Finds the codes that it was told of in whatever it sees."""

    def __init__(self, w_plus: torch.Tensor) -> None:
        super().__init__(EncoderConfig(size=32, hidden=16, rank=4, layers=w_plus.shape[1], w_dim=w_plus.shape[2]), pretrained=False)
        self.told = w_plus

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.told


def test_it_is_least_for_the_very_codes(tiny_generator: Generator) -> None:
    torch.manual_seed(0)
    w_plus = tiny_generator.broadcast(tiny_generator.map(torch.randn(4, tiny_generator.config.z_dim)))
    pictures = tiny_generator.synthesise(tiny_generator.affine(w_plus)).detach()
    right, wrong = (
        Repainting(_Knowing(found), 32, structure_size=8)(pictures, tiny_generator, tiny_generator, tiny_generator.synthesise)
        for found in (w_plus, w_plus.roll(1, 0))
    )
    assert float(right) < 0.02
    assert float(wrong) > 5 * float(right)


def test_the_structure_alone_teaches_the_encoder_when_the_child_is_blind(encoder: Encoder, tiny_generator: Generator) -> None:
    """Pictures that do not depend on the code say nothing; what the parent paints for it does."""
    torch.manual_seed(1)
    pictures = torch.rand(4, 3, 32, 32) * 2 - 1

    def gradient(weight: float) -> float:
        encoder.zero_grad()
        repainting = Repainting(encoder, 32, weight, structure_size=8)
        repainting(pictures, tiny_generator, tiny_generator, lambda s: pictures + 0.0 * s.sum()).backward()
        return sum(float(p.grad.abs().sum()) for p in encoder.parameters() if p.grad is not None)

    assert gradient(0.0) == 0.0
    assert gradient(1.0) > 0.0
