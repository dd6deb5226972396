"""The StyleGAN2 discriminator (Karras et al. 2020, Section 4.1): residual blocks and minibatch standard deviation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from crossrig.gan.ops import EqualConv, EqualLinear, downsample, fir, leaky_relu
from crossrig.gan.stylespace import CONSTANT_RESOLUTION


@dataclass(frozen=True)
class DiscriminatorConfig:
    """resolution: px, a power of two from 4 up. channels: at 4, 8, 16 ... px, entries beyond the resolution dropped.

    stddev_group: images that share one minibatch statistic (a batch is a multiple of it, or smaller).
    """

    resolution: int = 128
    channels: tuple[int, ...] = (256, 256, 128, 64, 32, 16)
    stddev_group: int = 4

    def __post_init__(self) -> None:
        if self.resolution < CONSTANT_RESOLUTION or self.resolution & (self.resolution - 1):
            raise ValueError(f"resolution must be a power of two, at least 4: got {self.resolution}")
        levels = self.resolution.bit_length() - CONSTANT_RESOLUTION.bit_length() + 1
        if len(self.channels) < levels:
            raise ValueError(f"{self.resolution} px needs {levels} channel counts, from 4 px up: got {self.channels}")
        if min(self.stddev_group, *self.channels) < 1:
            raise ValueError(f"channels and group must be positive: got {self}")
        object.__setattr__(self, "channels", tuple(self.channels[:levels]))


class ResidualBlock(nn.Module):
    """(B, inputs, H, W) -> (B, outputs, H/2, W/2); both branches scaled to keep the variance of their sum."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = EqualConv(inputs, inputs, 3)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))  # of the strided convolution
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.weight_gain = 1.0 / math.sqrt(inputs * 9)
        self.skip = EqualConv(inputs, outputs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = leaky_relu(self.conv0(x))
        y = fir(y, padding=2)  # (B, inputs, H+1, W+1)
        y = leaky_relu(F.conv2d(y, self.weight * self.weight_gain, self.bias, stride=2))
        shortcut: torch.Tensor = self.skip(downsample(x))
        return (y + shortcut) * math.sqrt(0.5)


def minibatch_stddev(x: torch.Tensor, group: int) -> torch.Tensor:
    """Appends one channel: the standard deviation over groups of images, averaged over channels and positions.

    (B, C, H, W) -> (B, C+1, H, W); Karras et al. 2018, Section 3. The group shrinks to B when the batch is smaller;
    otherwise B must be a multiple of it (ValueError). A group holds every (B/group)-th image, as in the official code.
    """
    batch, channels, height, width = x.shape
    group = min(group, batch)
    if batch % group:
        raise ValueError(f"a batch of {batch} does not divide into groups of {group} for the minibatch deviation")
    grouped = x.reshape(group, batch // group, channels, height, width)
    variance = (grouped - grouped.mean(dim=0, keepdim=True)).square().mean(dim=0)  # (B/group, C, H, W)
    statistic = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3))  # (B/group,)
    plane = statistic.repeat(group)[:, None, None, None].expand(-1, 1, height, width)
    return torch.cat([x, plane], dim=1)


class Discriminator(nn.Module):
    """Images (B, 3, R, R) in [-1, 1] -> logits (B, 1)."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.channels[::-1]  # from the image down to 4 px
        self.from_rgb = EqualConv(3, widths[0], 1)
        self.blocks = nn.ModuleList(ResidualBlock(inputs, outputs) for inputs, outputs in pairwise(widths))
        last = config.channels[0]
        self.conv = EqualConv(last + 1, last, 3)
        self.hidden = EqualLinear(last * CONSTANT_RESOLUTION**2, last)
        self.logit = EqualLinear(last, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        resolution = self.config.resolution
        if images.shape[1:] != (3, resolution, resolution):
            raise ValueError(f"images must be (B, 3, {resolution}, {resolution}): got {tuple(images.shape)}")
        x = leaky_relu(self.from_rgb(images.contiguous(memory_format=torch.channels_last)))
        for block in self.blocks:
            x = block(x)
        x = leaky_relu(self.conv(minibatch_stddev(x, self.config.stddev_group)))
        logits: torch.Tensor = self.logit(leaky_relu(self.hidden(x.flatten(1))))
        return logits
