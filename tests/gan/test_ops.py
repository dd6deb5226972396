from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from crossrig.gan import ops


def doubles(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("size", "up"), [(1, False), (3, False), (3, True)])
@pytest.mark.parametrize("demodulate", [False, True])
def test_modulated_conv_agrees_with_the_reference(up: bool, demodulate: bool, size: int) -> None:
    inputs = [doubles(3, 4, 6, 5, seed=1), doubles(7, 4, size, size, seed=2), doubles(3, 4, seed=3)]

    def run(function: Callable[..., torch.Tensor]) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        leaves = [tensor.clone().requires_grad_() for tensor in inputs]
        y = function(*leaves, up=up, demodulate=demodulate)
        return y.detach(), torch.autograd.grad((y * doubles(*y.shape, seed=4)).sum(), leaves)

    fast, fast_gradients = run(ops.modulated_conv)
    slow, slow_gradients = run(ops.modulated_conv_reference)
    assert fast.shape == ((3, 7, 12, 10) if up else (3, 7, 6, 5))
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-11)
    for a, b in zip(fast_gradients, slow_gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("up", [False, True])
def test_modulated_conv_is_twice_differentiable(up: bool) -> None:
    x, w, s = (t.requires_grad_() for t in (doubles(1, 2, 3, 3), doubles(2, 2, 3, 3, seed=1), doubles(1, 2, seed=2)))

    def function(x: torch.Tensor, w: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        return ops.modulated_conv(x, w, s, up=up)

    assert torch.autograd.gradcheck(function, (x, w, s))
    assert torch.autograd.gradgradcheck(function, (x, w, s))


def test_demodulation_gives_unit_norm_weights() -> None:
    weight, style = doubles(5, 4, 3, 3), doubles(2, 4, seed=1)
    factor = ops.demodulation(ops.energy_of(weight), style)
    scaled = weight[None] * style[:, None, :, None, None] * factor[:, :, None, None, None]
    torch.testing.assert_close(scaled.square().sum(dim=(2, 3, 4)), torch.ones(2, 5, dtype=torch.float64))


@pytest.mark.parametrize("up", [False, True])
def test_the_order_in_memory_changes_no_weight(up: bool) -> None:
    weight = doubles(5, 4, 3, 3)
    laid = ops.laid_out(weight, up)
    assert torch.equal(laid, weight)
    inputs, outputs = laid.stride(1), laid.stride(0)
    assert (outputs if up else inputs) == 1
    assert ops.laid_out(laid, up).data_ptr() == laid.data_ptr()  # nothing left to do
    torch.testing.assert_close(ops.energy_of(laid), weight.square().sum(dim=(2, 3)))


def test_upsample_agrees_with_the_reference() -> None:
    x = doubles(2, 3, 5, 4).requires_grad_()
    torch.testing.assert_close(ops.upsample(x), ops.upsample_reference(x), rtol=1e-12, atol=1e-13)
    weights = doubles(2, 3, 10, 8, seed=1)
    (a,) = torch.autograd.grad((ops.upsample(x) * weights).sum(), x)
    (b,) = torch.autograd.grad((ops.upsample_reference(x) * weights).sum(), x)
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


def test_resampling_keeps_a_constant() -> None:
    x = torch.full((1, 2, 8, 8), 3.0, dtype=torch.float64)
    torch.testing.assert_close(ops.upsample(x)[:, :, 1:-1, 1:-1], torch.full((1, 2, 14, 14), 3.0, dtype=torch.float64))
    torch.testing.assert_close(ops.downsample(x)[:, :, 1:-1, 1:-1], torch.full((1, 2, 2, 2), 3.0, dtype=torch.float64))
    assert ops.downsample(x).shape == (1, 2, 4, 4)


def test_insert_zeros() -> None:
    x = torch.tensor([[[[1.0, 2.0]]]])
    assert ops.insert_zeros(x).tolist() == [[[[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]]


def test_fir_kernel() -> None:
    kernel = ops.fir_kernel(torch.zeros(1, dtype=torch.float64), gain=4.0)
    assert kernel.sum().item() == pytest.approx(4.0)
    assert kernel[0, 0].item() == pytest.approx(4 / 64)
    assert torch.equal(kernel, kernel.flip(0, 1))


def test_activations_keep_their_scale() -> None:
    x = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    assert ops.leaky_relu(x).square().mean().item() == pytest.approx(1.04, abs=0.02)  # (1 + 0.2^2) / 2 * 2
    z = 5.0 * torch.randn(3, 512, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ops.pixel_norm(z).square().mean(dim=1), torch.ones(3))


@pytest.mark.parametrize("lr_mul", [1.0, 0.01])
def test_equalised_linear(lr_mul: float) -> None:
    torch.manual_seed(0)
    layer = ops.EqualLinear(256, 400, bias=1.0, lr_mul=lr_mul)
    assert layer.weight.std().item() == pytest.approx(1 / lr_mul, rel=0.02)
    y = layer(torch.randn(300, 256)) - 1.0  # the initial bias does not depend on the multiplier
    assert y.mean().item() == pytest.approx(0.0, abs=0.02)
    assert y.std().item() == pytest.approx(1.0, rel=0.05)


def test_equalised_convolution() -> None:
    torch.manual_seed(0)
    layer = ops.EqualConv(64, 100, 3)
    y = layer(torch.randn(4, 64, 12, 12))
    assert y.shape == (4, 100, 12, 12)
    assert y[:, :, 1:-1, 1:-1].std().item() == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("taps", [(1.0,), (1.0, 1.0), (1.0, 2.0, 1.0), (1.0, 3.0, 3.0, 1.0), (1.0, 5.0, 10.0, 10.0, 5.0, 1.0)])
def test_any_filter_keeps_sizes_and_commutes_with_convolution(taps: tuple[float, ...]) -> None:
    x, weight = doubles(2, 3, 6, 6), doubles(4, 3, 3, 3, seed=1)
    assert ops.downsample(x, taps).shape == (2, 3, 3, 3)
    assert ops.upsample(x, taps).shape == (2, 3, 12, 12)
    assert ops.strided_convolve(x, weight, torch.zeros(4, dtype=torch.float64), taps).shape == (2, 4, 3, 3)
    # filtering before the true convolution is the same as after it, away from the border
    before = torch.nn.functional.conv2d(ops.upsample_reference(x, taps), weight.flip(2, 3), padding=1)
    after = ops.convolve(x, weight, True, taps)
    torch.testing.assert_close(after[..., 4:8, 4:8], before[..., 4:8, 4:8])


def test_taps_must_be_a_low_pass_filter() -> None:
    assert ops.check_taps([1, 3, 3, 1]) == ops.FIR_TAPS
    for taps in ((), (1.0, 2.0), (-1.0, -1.0), (1.0,) * 17, (float("nan"),)):
        with pytest.raises(ValueError, match="symmetric"):
            ops.check_taps(taps)


def test_clip() -> None:
    x = doubles(5)
    assert ops.clip(x, None) is x
    assert ops.clip(x, 0.1).abs().max() == 0.1
