"""Projected discriminator (Sauer et al. 2021, Projected GANs, Sections 3 and 4).

Frozen EfficientNet-Lite0 features are mixed by fixed random convolutions, across channels (1x1) and across scales (3x3,
from coarse to fine), and four small discriminators judge the four scales. Only these are trained.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from crossrig.features import TAP_STRIDES, FeatureTaps


class RandomMixing(nn.Module):
    """Fixed random cross-channel and cross-scale mixing of a feature pyramid to `width` channels per scale.

    features: (B, C_i, h_i, w_i) from fine to coarse, every scale half the one before. The weights (He, from `seed`) are
    buffers: never trained, saved with the discriminator.
    """

    def __init__(self, channels: tuple[int, ...], width: int, seed: int) -> None:
        super().__init__()
        source = torch.Generator().manual_seed(seed)
        self.scales = len(channels)
        for scale, inputs in enumerate(channels):
            across = torch.randn(width, inputs, 1, 1, generator=source) * math.sqrt(2.0 / inputs)
            down = torch.randn(width, width, 3, 3, generator=source) * math.sqrt(2.0 / (width * 9))
            self.register_buffer(f"channel_mix{scale}", across)
            self.register_buffer(f"scale_mix{scale}", down)

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        mixed: list[torch.Tensor] = []
        above: torch.Tensor | None = None
        for scale in reversed(range(self.scales)):  # coarse to fine
            x = F.conv2d(features[scale], self.get_buffer(f"channel_mix{scale}"))
            if above is not None:
                x = x + F.interpolate(above, scale_factor=2, mode="bilinear", align_corners=False)
            above = F.conv2d(x, self.get_buffer(f"scale_mix{scale}"), padding=1)
            mixed.insert(0, above)
        return mixed


class ScaleDiscriminator(nn.Module):
    """A few stride-two, spectrally normalised convolutions down to at most 4 px, then one logit per position."""

    def __init__(self, width: int, resolution: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        while resolution > 4:
            layers += [spectral_norm(nn.Conv2d(width, width, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
            resolution //= 2
        if not layers:  # already small: one convolution at the same size, or the judge would be linear
            layers += [spectral_norm(nn.Conv2d(width, width, 3, padding=1)), nn.LeakyReLU(0.2)]
        layers.append(spectral_norm(nn.Conv2d(width, 1, 3, padding=1)))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(x)
        return logits.flatten(1)


class ProjectedDiscriminator(nn.Module):
    """Images (B, 3, H, W) in [-1, 1] -> logits (B, N): every position of every scale, to be used with the hinge loss.

    size: px at which the frozen network looks (images are resized to it); width: channels after mixing. `parameters()`
    are those to train; the frozen features are not in state_dict(). `features` may be shared with a perceptual loss.
    """

    def __init__(self, size: int = 128, width: int = 64, seed: int = 0, features: FeatureTaps | None = None) -> None:
        super().__init__()
        self.features = FeatureTaps(size) if features is None else features
        if len(self.features.taps) != len(TAP_STRIDES):
            raise ValueError(f"the projected discriminator needs {len(TAP_STRIDES)} taps: got {self.features.taps}")
        self.mixing = RandomMixing(self.features.channels, width, seed)
        self.judges = nn.ModuleList(ScaleDiscriminator(width, self.features.size // stride) for stride in TAP_STRIDES)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat(list(self.judge(self.project(images))), dim=1)

    def project(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The frozen part: images -> mixed features, (B, width, h, w) per scale from fine to coarse.

        Wrap in `torch.no_grad()` for real images and for detached samples: nothing here is trained.
        """
        mixed: list[torch.Tensor] = self.mixing(self.features(images))
        return mixed

    def hold_first(self, convolutions: int) -> None:
        """Freeze the first convolutions of every judge, never its last (FreezeD, Mo et al. 2020).

        The feature network and the mixing are held anyway, which is most of that idea; judges that start from chance gain little by it.
        """
        for judge in self.judges:
            layers = [layer for layer in judge.modules() if isinstance(layer, nn.Conv2d)]
            for layer in layers[: min(convolutions, len(layers) - 1)]:
                layer.requires_grad_(False)

    def judge(self, mixed: list[torch.Tensor]) -> Iterator[torch.Tensor]:
        """The trained part: mixed features -> logits (B, n) of every scale."""
        for discriminator, feature in zip(self.judges, mixed, strict=True):
            yield discriminator(feature)
