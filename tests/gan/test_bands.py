"""Blocks painted in bands give what they give whole."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from crossrig.gan import bands
from crossrig.gan.generator import Generator, GeneratorConfig, NoiseMode
from crossrig.gan.ops import FIR_TAPS, convolve, up_convolve_rows


def network(**settings: Any) -> Generator:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(resolution=32, z_dim=16, w_dim=16, channels=(8, 8, 8, 6), mapping_layers=1, **settings))
    for name, parameter in generator.named_parameters():
        if name.endswith(("noise_strength", "bias")):
            torch.nn.init.normal_(parameter, std=0.5)
    return generator.eval().requires_grad_(False)


@pytest.mark.parametrize("taps", [FIR_TAPS, (1.0,), (1.0, 2.0, 1.0), (1.0, 5.0, 10.0, 10.0, 5.0, 1.0)])
@pytest.mark.parametrize("rows", [(0, 14), (0, 1), (13, 14), (3, 9), (4, 5), (1, 12)])
def test_some_rows_of_an_up_convolution(rows: tuple[int, int], taps: tuple[float, ...]) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 7, 5), torch.randn(4, 3, 3, 3)
    whole = convolve(x, weight, up=True, taps=taps)
    some = up_convolve_rows(x, weight, slice(*rows), taps)
    torch.testing.assert_close(some, whole[:, :, slice(*rows)], rtol=1e-5, atol=1e-5)
    bias = torch.randn(4)
    torch.testing.assert_close(up_convolve_rows(x, weight, slice(*rows), taps, bias), some + bias[:, None, None], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("height", [1, 5, 16])
@pytest.mark.parametrize("noise", ["const", "random", "none"])
@pytest.mark.parametrize("settings", [{}, {"clamp": 0.8, "taps": (1.0, 2.0, 1.0)}])
def test_a_picture_in_bands_is_the_picture(
    height: int, noise: NoiseMode, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = network(**settings)
    s = generator.affine(generator.map(torch.randn(3, 16)))

    def paint(**options: Any) -> torch.Tensor:
        torch.manual_seed(5)  # of the random noise
        return generator.synthesise(s, noise, **options)

    with torch.enable_grad():
        whole, coarse = paint(), paint(resolution=16)
    painted: list[int] = []
    real = bands.paint
    monkeypatch.setattr(bands, "paint", lambda block, x, *rest, last: (painted.append(2 * x.shape[2]), real(block, x, *rest, last=last))[1])
    monkeypatch.setattr(bands, "_BAND", height * 8 * 16 * 4)
    with torch.no_grad():
        torch.testing.assert_close(paint(), whole, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(paint(resolution=16), coarse, rtol=1e-4, atol=1e-5)
    assert 32 in painted
    assert (16 in painted) == (height < 16)


def test_bfloat16_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = network()
    s = generator.affine(generator.map(torch.randn(2, 16)))
    whole = generator.synthesise(s)
    monkeypatch.setattr(bands, "_BAND", 1024)
    with torch.no_grad():
        made = generator.synthesise(s, dtype=torch.bfloat16)
    assert float((made - whole).norm() / whole.norm()) < 2e-2
    assert made.dtype == torch.float32


def test_where_bands_do_not_pay() -> None:
    generator = network()
    block = generator.synthesis.get_submodule("b32")
    x = torch.zeros(1, 8, 16, 16)
    with torch.no_grad():
        assert not bands.pays(block, x)  # type: ignore[arg-type]
        assert bands.pays(block, torch.zeros(1, 8, 1024, 512))  # type: ignore[arg-type]
        assert not bands.pays(generator.synthesis.get_submodule("b4"), torch.zeros(1, 8, 1024, 512))  # type: ignore[arg-type]
        handle = block.get_submodule("conv1").register_forward_hook(lambda *_: None)
        assert not bands.pays(block, torch.zeros(1, 8, 1024, 512))  # type: ignore[arg-type]
        handle.remove()
    with torch.enable_grad():
        assert not bands.pays(block, torch.zeros(1, 8, 1024, 512))  # type: ignore[arg-type]
