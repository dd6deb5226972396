"""The network that finds drawn faces: frozen features of EfficientNet-Lite0, and a small head on them that says where a head is.

A drawing is not found by what photographs of faces have in common, but features that were learned from a million pictures of everything
(`features.py`) see eyes, noses and lips in both. They belong to their own package, so the weights of this network are those of its head.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.features import FeatureTaps

STRIDE = 8
"""Pixels between neighbouring cells of the network's output."""
SIDES = 32
"""Sides of pictures are multiples of this, in pixels."""
TYPICAL_HALF = 36.0
"""Half side, in pixels of a pyramid level, whose logarithm the size output is relative to."""
HALF_RANGE = (20.0, 66.0)
"""Half sides, in pixels of a pyramid level, that the network is trained to find there."""

_TAPS = (4, 10, 15)  # blocks of EfficientNet-Lite0 that are looked at: strides 8, 16 and 32
_THRESHOLD = 0.7


class DetectorNet(nn.Module):
    """Pictures (B, 3, H, W) in [-1, 1], sides multiples of 32 -> (B, 4, H/8, W/8).

    Channels: logit of a head centred in the cell; offset of its centre from the cell's centre, x and y, in cells; and
    log(half side / ``TYPICAL_HALF``). A centre network (after Zhou et al. 2019, *Objects as points*) on the sum of three strides.
    """

    def __init__(self, width: int = 48) -> None:
        """width: channels of the head, a multiple of 8."""
        super().__init__()
        self.width = width
        self.features = FeatureTaps(0, _TAPS)  # not in the state: the weights belong to their package
        self.narrowed = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.GroupNorm(8, width)) for channels in self.features.channels
        )
        self.mixed = nn.Sequential(*(_block(width, dilation) for dilation in (1, 2, 1)))
        self.head = nn.Conv2d(width, 4, 1)
        nn.init.zeros_(self.head.weight)
        assert self.head.bias is not None
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor([-4.0, 0.0, 0.0, 0.0]))  # most cells hold no head

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            maps = self.features(images)
        narrow = [layer(x) for layer, x in zip(self.narrowed, maps, strict=True)]  # (B, width, H/8, W/8), then H/16 and H/32
        fine = narrow[0]
        for coarse in narrow[1:]:
            fine = fine + F.interpolate(coarse, fine.shape[2:], mode="bilinear", align_corners=False)
        out: Tensor = self.head(self.mixed(F.relu(fine)))
        return out


def _block(channels: int, dilation: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, 1, dilation, dilation=dilation, bias=False), nn.GroupNorm(8, channels), nn.ReLU()
    )


def save_detector(path: str | Path, network: DetectorNet, header: dict[str, Any]) -> None:
    """Write the network with the facts in ``header``."""
    checkpoint.save(path, network.state_dict(), header | {"kind": "detector", "config": {"width": network.width}})


def load_detector(path: str | Path) -> DetectorNet:
    """Read a detector. Raises :class:`UserError` when the file is of another kind."""
    tensors, header = checkpoint.load(path)
    if header.get("kind") != "detector":
        raise UserError(f"{path} holds a '{header.get('kind')}', not a detector; give a detector checkpoint.")
    network = DetectorNet(int(header["config"]["width"]))
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise UserError(f"{path}: the weights do not fit a detector; get the file again.") from error
    return network.eval().requires_grad_(False)


def decode(output: Tensor, threshold: float = _THRESHOLD) -> list[tuple[float, float, float, float]]:
    """Local maxima of one output (4, h, w) of the network: (x, y, half side, score), in pixels of its input."""
    heat = output[0].sigmoid()
    peak = F.max_pool2d(heat[None, None], 3, 1, 1)[0, 0]
    rows, columns = torch.nonzero((heat >= threshold) & (heat == peak), as_tuple=True)
    found = []
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        score, right, down, size = (float(output[channel, row, column]) for channel in range(4))
        x, y = (column + 0.5 + right) * STRIDE, (row + 0.5 + down) * STRIDE
        found.append((x, y, TYPICAL_HALF * math.exp(max(-2.0, min(2.0, size))), 1.0 / (1.0 + math.exp(-score))))
    return found
