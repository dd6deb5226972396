"""The numerical operators of StyleGAN2 (Karras et al. 2020, Sections 2.2 and 4), each as fast code and as a reference.

`modulated_conv` scales activations by the style before a plain convolution and by the demodulation factor after it;
`modulated_conv_reference` builds every sample's weights and runs a grouped convolution, as the paper writes it. Both
are exact and differentiable twice; the tests compare them. Likewise `upsample` and `upsample_reference`.

Images and features are (B, C, H, W); on the CPU the channels-last memory format is the fast one throughout. For the
up-convolution a strided transposed convolution followed by a depthwise FIR was 3-8 times faster there, forward and
backward, than one transposed convolution or four polyphase convolutions with the FIR folded into the kernel: folding
quadruples the multiply-adds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

FIR_TAPS = (1.0, 3.0, 3.0, 1.0)  # StyleGAN2's low-pass filter for changes of resolution
DEMODULATION_EPS = 1e-8
LEAKY_SLOPE = 0.2
ACTIVATION_GAIN = math.sqrt(2.0)


def leaky_relu(x: torch.Tensor) -> torch.Tensor:
    """Leaky ReLU, slope 0.2, times sqrt(2) to keep the variance."""
    return F.leaky_relu(x, LEAKY_SLOPE) * ACTIVATION_GAIN


def pixel_norm(x: torch.Tensor) -> torch.Tensor:
    """(B, C) scaled to a mean square of one per row."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


def check_taps(taps: Sequence[float]) -> tuple[float, ...]:
    """`taps` as a tuple, once they are a low-pass filter: 1 to 16, symmetric, of positive sum; ValueError otherwise."""
    taps = tuple(float(tap) for tap in taps)
    if not 1 <= len(taps) <= 16 or taps != taps[::-1] or not 0.0 < sum(taps) < math.inf:
        raise ValueError(f"filter taps must be 1 to 16, symmetric, with a positive sum: got {taps}")
    return taps


def fir_kernel(like: torch.Tensor, gain: float = 1.0, taps: tuple[float, ...] = FIR_TAPS) -> torch.Tensor:
    """(n, n) outer product of the n `taps` with sum `gain`, in the dtype and on the device of `like`."""
    line = torch.tensor(taps, dtype=like.dtype, device=like.device)
    return torch.outer(line, line) * (gain / line.sum().square())


def fir(
    x: torch.Tensor,
    padding: int | tuple[int, int],
    gain: float = 1.0,
    stride: int = 1,
    taps: tuple[float, ...] = FIR_TAPS,
) -> torch.Tensor:
    """Depthwise FIR of x after zero padding: `padding` on all sides, or (before, after) on both axes."""
    before, after = padding if isinstance(padding, tuple) else (padding, padding)
    return _filtered(x, (before, after, before, after), gain, stride, taps)


def _filtered(
    x: torch.Tensor,
    sides: tuple[int, int, int, int],
    gain: float = 1.0,
    stride: int = 1,
    taps: tuple[float, ...] = FIR_TAPS,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Depthwise FIR of x after adding rows or columns of zeros left, right, above and below, and then `bias` (C,)."""
    left, right, above, below = sides
    padding = (above, left)
    if left != right or above != below or min(sides) < 0:  # convolutions pad both sides alike
        x, padding = F.pad(x, sides), (0, 0)
    channels = x.shape[1]
    kernel = fir_kernel(x, gain, taps).expand(channels, 1, -1, -1)
    return F.conv2d(x, kernel, bias, padding=padding, stride=stride, groups=channels)


def upsample(x: torch.Tensor, taps: tuple[float, ...] = FIR_TAPS) -> torch.Tensor:
    """(B, C, H, W) -> (B, C, 2H, 2W) by zero insertion and FIR.

    The two phases of the usual filter are (1, 3)/4 and (3, 1)/4, which is bilinear interpolation with zeros outside.
    """
    if taps != FIR_TAPS:
        return upsample_reference(x, taps)
    padded = F.pad(x, (1, 1, 1, 1))
    return F.interpolate(padded, scale_factor=2, mode="bilinear", align_corners=False)[:, :, 2:-2, 2:-2]


def upsample_reference(x: torch.Tensor, taps: tuple[float, ...] = FIR_TAPS) -> torch.Tensor:
    """`upsample` as written in the paper: insert zeros, then filter with gain 4."""
    return fir(insert_zeros(x), ((len(taps) + 1) // 2, len(taps) // 2 - 1), gain=4.0, taps=taps)


def insert_zeros(x: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) -> (B, C, 2H, 2W) with x at the even positions and zeros elsewhere."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels, height, 1, width, 1)
    return F.pad(x, (0, 1, 0, 0, 0, 1)).reshape(batch, channels, 2 * height, 2 * width)


def downsample(x: torch.Tensor, taps: tuple[float, ...] = FIR_TAPS) -> torch.Tensor:
    """(B, C, H, W) -> (B, C, H/2, W/2) by FIR and dropping every second sample."""
    return fir(x, ((len(taps) - 1) // 2, len(taps) // 2 - 1), stride=2, taps=taps)


def laid_out(weight: torch.Tensor, up: bool) -> torch.Tensor:
    """`weight` (O, I, k, k) in the order in memory that `convolve` wants for features with channels last, which it is else copied into at
    every call: inputs last, or for an up-convolution outputs last."""
    across = weight.transpose(0, 1) if up else weight  # a transposed convolution has its inputs first
    across = across.contiguous(memory_format=torch.channels_last)
    return across.transpose(0, 1) if up else across


def energy_of(weight: torch.Tensor) -> torch.Tensor:
    """(O, I): what every input channel adds to the squared norm of every output channel of `weight` (O, I, k, k)."""
    if weight.stride(0) < weight.stride(1):  # outputs last: a sum that writes across the order in memory takes ten times as long
        return energy_of(weight.transpose(0, 1)).t()
    return weight.flatten(2).square().sum(dim=2)


def demodulation(energy: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
    """(B, O) factors that give every output channel of a weight, of this `energy_of` (O, I), scaled by `style` (B, I) unit norm."""
    return (style.square() @ energy.t() + DEMODULATION_EPS).rsqrt()


def strided_convolve(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, taps: tuple[float, ...] = FIR_TAPS) -> torch.Tensor:
    """FIR, then a 3x3 convolution of stride two: (B, I, H, W), (O, I, 3, 3), (O,) -> (B, O, H/2, W/2)."""
    x = fir(x, ((len(taps) + 1) // 2, len(taps) // 2), taps=taps)  # (B, I, H+1, W+1)
    return F.conv2d(x, weight, bias, stride=2)


def clip(x: torch.Tensor, limit: float | None) -> torch.Tensor:
    """x with its values held within +-`limit`; None: x itself."""
    return x if limit is None else x.clamp(-limit, limit)


def convolve(x: torch.Tensor, weight: torch.Tensor, up: bool, taps: tuple[float, ...] = FIR_TAPS) -> torch.Tensor:
    """Same-size correlation, or a factor-two up-convolution: zero insertion, true convolution, FIR of gain 4."""
    if not up:
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)
    x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)  # (B, O, 2H+1, 2W+1)
    return fir(x, ((len(taps) - 1) // 2, len(taps) // 2 - 1), gain=4.0, taps=taps)


def up_convolve_rows(
    x: torch.Tensor, weight: torch.Tensor, rows: slice, taps: tuple[float, ...] = FIR_TAPS, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """`convolve(x, weight, up=True, taps)[:, :, rows]` from the rows of x that these depend on, rows.start and .stop within the result,
    plus `bias` (O,)."""
    height, before, after = x.shape[2], (len(taps) - 1) // 2, len(taps) // 2 - 1
    # Row r of the result is the filter over rows r - before to r + len(taps) - 1 - before of the transposed convolution y, zero outside,
    first, stop = rows.start - before, rows.stop - before + len(taps) - 1
    # and row r of y depends on rows (r - 2) / 2 to r / 2 of x.
    low, high = max(0, (first - 1) // 2), min(height, (stop - 1) // 2 + 1)
    y = F.conv_transpose2d(x[:, :, low:high], weight.transpose(0, 1), stride=2)  # rows 2 low to 2 high + 1
    within = slice(max(first, 0), min(stop, 2 * height + 1))
    y = y[:, :, within.start - 2 * low : within.stop - 2 * low]
    return _filtered(y, (before, after, within.start - first, stop - within.stop), 4.0, taps=taps, bias=bias)


def modulated_conv(
    x: torch.Tensor, weight: torch.Tensor, style: torch.Tensor, *, up: bool = False, demodulate: bool = True
) -> torch.Tensor:
    """Modulated convolution with one shared weight: (B, I, H, W), (O, I, k, k), (B, I) -> (B, O, H', W')."""
    y = convolve(x * style[:, :, None, None], weight, up)
    return y * demodulation(energy_of(weight), style)[:, :, None, None] if demodulate else y


def modulated_conv_reference(
    x: torch.Tensor, weight: torch.Tensor, style: torch.Tensor, *, up: bool = False, demodulate: bool = True
) -> torch.Tensor:
    """`modulated_conv` as the paper writes it: weights of every sample, zero insertion, one grouped convolution."""
    batch, inputs, height, width = x.shape
    outputs, _, size, _ = weight.shape
    w = weight[None] * style[:, None, :, None, None]  # (B, O, I, k, k)
    if demodulate:
        w = w * (w.square().sum(dim=(2, 3, 4), keepdim=True) + DEMODULATION_EPS).rsqrt()
    if up:
        x = insert_zeros(x)
        height, width = 2 * height, 2 * width
        # a true convolution whose border of size - 1 lets the FIR below see all of its non-zero outputs
        w = w.flip(3, 4)
        padding = size - 1
    else:
        padding = size // 2
    y = F.conv2d(
        x.reshape(1, batch * inputs, height, width), w.flatten(0, 1), padding=padding, groups=batch
    )  # (1, B*O, ..., ...)
    y = y.reshape(batch, outputs, *y.shape[2:])
    return fir(y, padding=(1, 0), gain=4.0) if up else y


class EqualLinear(nn.Module):
    """Linear layer with equalised learning rate: the stored weight is ~N(0, 1/lr_mul), scaled at run time.

    (B, inputs) -> (B, outputs). Karras et al. 2018, Section 4.1; `lr_mul` as in StyleGAN's mapping network.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, lr_mul: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_mul)
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr_mul))
        self.weight_gain = lr_mul / math.sqrt(inputs)
        self.bias_gain = lr_mul

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x * self.weight_gain, self.weight, self.bias * self.bias_gain)


class EqualConv(nn.Module):
    """Same-size convolution with equalised learning rate: (B, inputs, H, W) -> (B, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, size: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.weight_gain = 1.0 / math.sqrt(inputs * size * size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight * self.weight_gain, self.bias, padding=self.weight.shape[-1] // 2)
