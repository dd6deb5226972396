"""The StyleGAN2 discriminator (Karras et al. 2020, Section 4.1): residual blocks and minibatch standard deviation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from crossrig.gan.mapping import Mapping
from crossrig.gan.ops import (
    FIR_TAPS,
    EqualConv,
    EqualLinear,
    check_taps,
    clip,
    downsample,
    leaky_relu,
    strided_convolve,
)
from crossrig.gan.stylespace import CONSTANT_RESOLUTION


@dataclass(frozen=True)
class DiscriminatorConfig:
    """resolution: px, a power of two from 4 up. channels: at 4, 8, 16 ... px, entries beyond the resolution dropped.

    stddev_group: images that share one minibatch statistic (a batch is a multiple of it, or smaller); None: the batch.

    The rest is for networks of others. c_dim: length of the class vector, 0 for none; then the logit is the projection
    of cmap_dim features (None: channels at 4 px) on the class as a mapping network of mapping_layers layers of width
    mapping_dim (None: cmap_dim) after an embedding of embed_dim (None: cmap_dim) maps it. clamp: bound of the features
    of convolutions (None: none). taps: the low-pass filter for changes of resolution.
    """

    resolution: int = 128
    channels: tuple[int, ...] = (256, 256, 128, 64, 32, 16)
    stddev_group: int | None = 4
    c_dim: int = 0
    cmap_dim: int | None = None
    mapping_layers: int = 8
    mapping_lr_mul: float = 0.01
    embed_dim: int | None = None
    mapping_dim: int | None = None
    clamp: float | None = None
    taps: tuple[float, ...] = FIR_TAPS

    def __post_init__(self) -> None:
        if self.resolution < CONSTANT_RESOLUTION or self.resolution & (self.resolution - 1):
            raise ValueError(f"resolution must be a power of two, at least 4: got {self.resolution}")
        levels = self.resolution.bit_length() - CONSTANT_RESOLUTION.bit_length() + 1
        if len(self.channels) < levels:
            raise ValueError(f"{self.resolution} px needs {levels} channel counts, from 4 px up: got {self.channels}")
        if min(1 if self.stddev_group is None else self.stddev_group, *self.channels) < 1:
            raise ValueError(f"channels and group must be positive: got {self}")
        widths = [1 if width is None else width for width in (self.cmap_dim, self.embed_dim, self.mapping_dim)]
        if self.c_dim < 0 or min(self.mapping_layers, *widths) < 1 or not self.mapping_lr_mul > 0:
            raise ValueError(f"the class vector and the widths of its mapping must be positive: got {self}")
        if self.clamp is not None and not self.clamp > 0:
            raise ValueError(f"clamp must be positive or None: got {self.clamp}")
        object.__setattr__(self, "taps", check_taps(self.taps))
        object.__setattr__(self, "channels", tuple(self.channels[:levels]))


class ResidualBlock(nn.Module):
    """(B, inputs, H, W) -> (B, outputs, H/2, W/2); both branches scaled to keep the variance of their sum."""

    def __init__(self, inputs: int, outputs: int, taps: tuple[float, ...] = FIR_TAPS, clamp: float | None = None) -> None:
        super().__init__()
        self.taps, self.clamp = taps, clamp
        self.conv0 = EqualConv(inputs, inputs, 3)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))  # of the strided convolution
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.weight_gain = 1.0 / math.sqrt(inputs * 9)
        self.skip = EqualConv(inputs, outputs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = clip(leaky_relu(self.conv0(x)), self.clamp)
        y = strided_convolve(y, self.weight * self.weight_gain, self.bias, self.taps)
        y = clip(leaky_relu(y), self.clamp)
        shortcut: torch.Tensor = self.skip(downsample(x, self.taps))
        return (y + shortcut) * math.sqrt(0.5)


def minibatch_stddev(x: torch.Tensor, group: int | None) -> torch.Tensor:
    """Appends one channel: the standard deviation over groups of images, averaged over channels and positions.

    (B, C, H, W) -> (B, C+1, H, W); Karras et al. 2018, Section 3. The group shrinks to B when the batch is smaller (or
    with None always is B); otherwise B must be a multiple of it (ValueError). A group holds every (B/group)-th image, as
    in the official code.
    """
    batch, channels, height, width = x.shape
    group = batch if group is None else min(group, batch)
    if batch % group:
        raise ValueError(f"a batch of {batch} does not divide into groups of {group} for the minibatch deviation")
    grouped = x.reshape(group, batch // group, channels, height, width)
    variance = (grouped - grouped.mean(dim=0, keepdim=True)).square().mean(dim=0)  # (B/group, C, H, W)
    statistic = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3))  # (B/group,)
    plane = statistic.repeat(group)[:, None, None, None].expand(-1, 1, height, width)
    return torch.cat([x, plane], dim=1)


class Discriminator(nn.Module):
    """Images (B, 3, R, R) in [-1, 1], and their class vectors c (B, c_dim) if it has classes -> logits (B, 1)."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.channels[::-1]  # from the image down to 4 px
        self.from_rgb = EqualConv(3, widths[0], 1)
        self.blocks = nn.ModuleList(
            ResidualBlock(inputs, outputs, config.taps, config.clamp) for inputs, outputs in pairwise(widths)
        )
        last = config.channels[0]
        self.conv = EqualConv(last + 1, last, 3)
        self.hidden = EqualLinear(last * CONSTANT_RESOLUTION**2, last)
        features = config.cmap_dim or last
        self.logit = EqualLinear(last, features if config.c_dim else 1)
        self.mapping = (
            Mapping(
                0,
                features,
                config.mapping_layers,
                config.mapping_lr_mul,
                hidden=config.mapping_dim or features,
                c_dim=config.c_dim,
                embed_dim=config.embed_dim or features,
            )
            if config.c_dim
            else None
        )

    def forward(self, images: torch.Tensor, c: torch.Tensor | None = None) -> torch.Tensor:
        """ValueError when images or classes do not fit the network or each other."""
        resolution = self.config.resolution
        if images.shape[1:] != (3, resolution, resolution):
            raise ValueError(f"images must be (B, 3, {resolution}, {resolution}): got {tuple(images.shape)}")
        clamp = self.config.clamp
        x = clip(leaky_relu(self.from_rgb(images.contiguous(memory_format=torch.channels_last))), clamp)
        for block in self.blocks:
            x = block(x)
        x = clip(leaky_relu(self.conv(minibatch_stddev(x, self.config.stddev_group))), clamp)
        logits: torch.Tensor = self.logit(leaky_relu(self.hidden(x.flatten(1))))  # (B, 1), or (B, cmap_dim)
        if self.mapping is None:
            if c is not None:
                raise ValueError("this discriminator has no classes: leave c out")
            return logits
        classes: torch.Tensor = self.mapping(None, c)  # (B, cmap_dim)
        if len(classes) != len(logits):
            raise ValueError(f"{len(logits)} images need as many class vectors: got {len(classes)}")
        return (logits * classes).sum(dim=1, keepdim=True) / math.sqrt(classes.shape[1])
