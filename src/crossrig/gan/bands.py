"""A block of the synthesis painted in bands of rows, for pictures larger than the processor's cache.

At 1024 px the passes over features between two convolutions (styles, noise, activation, filters) take as long as the convolutions, because
every one of them fetches a hundred megabytes. Here one sample's block goes from the features below to its RGB for some rows at a time, and
everything between stays in the cache. Style and demodulation go into the weights, which are the sample's own, so a single pass is left
between two convolutions. The same numbers as `SynthesisBlock` up to rounding, without gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from crossrig.gan.ops import ACTIVATION_GAIN, LEAKY_SLOPE, clip, demodulation, laid_out, up_convolve_rows, upsample

if TYPE_CHECKING:
    from crossrig.gan.generator import Prepared, StyledConv, SynthesisBlock

#: Bytes of the features of a band, and of those of a block that is painted in bands.
_BAND = 8 * 2**20


def pays(block: SynthesisBlock, x: Tensor) -> bool:
    """Whether a block that gets features x (B, I, H, W) is better painted in bands: on a processor, where nothing is differentiated,
    recorded or listened to."""
    if block.conv0 is None or x.device.type != "cpu" or torch.is_grad_enabled():
        return False
    recorded = torch.jit.is_tracing() or torch.compiler.is_compiling()  # type: ignore[attr-defined, no-untyped-call]
    if recorded or block.conv0._forward_hooks or block.conv1._forward_hooks:
        return False
    return _row_bytes(block, x) * 2 * x.shape[2] > _BAND


def _row_bytes(block: SynthesisBlock, x: Tensor) -> int:
    """Bytes of a row of one sample's features."""
    return block.conv1.weight.shape[0] * 2 * x.shape[3] * x.element_size()


def paint(
    block: SynthesisBlock,
    x: Tensor,
    image: Tensor,
    styles: Mapping[str, Tensor],
    prepare: Callable[[StyledConv], Prepared],
    last: bool,
) -> tuple[Tensor, Tensor]:
    """Features (B, I, H, H) and picture (B, 3, H, H) below -> features (B, O, 2H, 2H) and picture (B, 3, 2H, 2H), as the block gives them.

    `last`: nobody asks for the features, and they are not kept: (B, 0, 2H, 2H).
    """
    assert block.conv0 is not None
    side, outputs = 2 * x.shape[2], block.conv1.weight.shape[0]
    features = x.new_empty(len(x), side, side, 0 if last else outputs).permute(0, 3, 1, 2)  # channels last
    picture = upsample(image, block.taps)
    ready = prepare(block.conv0), prepare(block.conv1)
    for sample in range(len(x)):
        own = slice(sample, sample + 1)
        first, second = (part.of(sample) for part in ready)
        weights = _folded(block.conv0, styles["conv0"][own], first), _folded(block.conv1, styles["conv1"][own], second)
        for rows in _bands(side, max(1, _BAND // _row_bytes(block, x))):
            above, under = int(rows.start > 0), int(rows.stop < side)  # rows of its neighbours that the second convolution sees
            wide = slice(rows.start - above, rows.stop + under)
            made = up_convolve_rows(x[own], weights[0], wide, block.taps, first.bias.flatten())
            made = _activated(block.conv0, made, first, wide)
            if not (above and under):
                made = F.pad(made, (0, 0, 1 - above, 1 - under))
            made = F.conv2d(made, weights[1], second.bias.flatten(), padding=(0, 1))
            made = _activated(block.conv1, made, second, rows)
            picture[own, :, rows] += block.torgb(made, styles["torgb"][own])
            if not last:
                features[own, :, rows] = made
    return features, picture


def _bands(side: int, height: int) -> Iterator[slice]:
    """Rows 0 to `side`, some at a time."""
    for start in range(0, side, height):
        yield slice(start, min(side, start + height))


def _folded(conv: StyledConv, style: Tensor, prepared: Prepared) -> Tensor:
    """(O, I, 3, 3): the weight with style (1, I), demodulation and the gain of the activation in it."""
    style = style * conv.weight_gain
    factor = demodulation(prepared.energy, style) * ACTIVATION_GAIN  # (1, O)
    weight = conv.weight * (factor[0][:, None] * style[0])[:, :, None, None]
    return laid_out(weight.to(prepared.weight.dtype), conv.up)


def _activated(conv: StyledConv, x: Tensor, prepared: Prepared, rows: slice) -> Tensor:
    """Noise of these rows added to features (1, O, H, W), in place, and the activation."""
    if prepared.noise is not None:
        x = x.add_(prepared.noise[:, rows].permute(0, 3, 1, 2))
    return clip(F.leaky_relu_(x, LEAKY_SLOPE), conv.clamp)
