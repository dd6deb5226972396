"""The network that finds drawn faces, and what its answers say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from crossrig import checkpoint
from crossrig.data.detector import STRIDE, TYPICAL_HALF, DetectorNet, decode, load_detector, save_detector
from crossrig.errors import UserError


def test_decode_takes_peaks_only() -> None:
    output = torch.full((4, 6, 6), -9.0)
    output[1:] = 0.0
    output[0, 2, 3] = 4.0
    output[0, 2, 4] = 3.0  # beside the peak
    output[0, 5, 0] = 1.0
    found = decode(output)
    assert [(x, y) for x, y, _, _ in found] == [(3.5 * STRIDE, 2.5 * STRIDE), (0.5 * STRIDE, 5.5 * STRIDE)]
    assert found[0][2] == pytest.approx(TYPICAL_HALF)


def test_only_the_head_is_trained_and_kept(tmp_path: Path) -> None:
    network = DetectorNet(8)
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    network(images)[:, 0].sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    save_detector(tmp_path / "d.safetensors", network, {})
    tensors, _ = checkpoint.load(tmp_path / "d.safetensors")
    assert not any(name.startswith("features") for name in tensors)


def test_weights_round_trip(tmp_path: Path) -> None:
    network = DetectorNet(8).eval()
    save_detector(tmp_path / "d.safetensors", network, {"steps": 3})
    loaded = load_detector(tmp_path / "d.safetensors")
    image = torch.rand(1, 3, 64, 96) * 2 - 1
    assert torch.equal(loaded(image), network(image))
    assert loaded(image).shape == (1, 4, 8, 12)
    with pytest.raises(UserError, match="no checkpoint"):
        load_detector(tmp_path / "none.safetensors")
