"""Put a trained network into the package, hash printed: `python scripts/ship_weights.py NAME FILE`, in half precision, or with
`--parent NAME` a child generator as its difference from a shipped one, in 8 bits (gan/difference.py).

NAME is one of the assets that `crossrig doctor` lists. The rig is trained for one generator file, known by its hash: ship the
generator first, train T and M on the shipped file, then ship them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from crossrig import checkpoint
from crossrig.assets import ASSETS, shipped_folder
from crossrig.errors import UserError
from crossrig.gan.weights import load_generator, save_difference


def ship(name: str, source: Path) -> Path:
    """Write `source` as the asset `name`, 32-bit floats halved; returns its path. UserError when `source` is no checkpoint."""
    tensors, header = checkpoint.load(source)
    half = {key: tensor.half() if tensor.dtype == torch.float32 else tensor for key, tensor in tensors.items()}
    if any(not tensor.isfinite().all() for tensor in half.values() if tensor.is_floating_point()):
        raise UserError(f"{source} has values too large for half precision: it cannot be shipped as it is.")
    target = shipped_folder() / f"{name}.safetensors"
    checkpoint.save(target, half, header)
    return target


def ship_difference(name: str, source: Path, parent: str) -> Path:
    """Write the generator `source` as the asset `name`, as its difference from the shipped generator `parent`; returns its path.

    UserError when `source` is no child of it. The parent can no longer be replaced without shipping the child again.
    """
    target = shipped_folder() / f"{name}.safetensors"
    facts = {key: value for key, value in checkpoint.load_header(source).items() if key != "parent"}
    save_difference(target, load_generator(source), shipped_folder() / f"{parent}.safetensors", facts)
    return target


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(ASSETS), help="which asset it becomes")
    parser.add_argument("file", type=Path, help="checkpoint that a recipe left in its run folder")
    parser.add_argument("--parent", choices=sorted(name for name in ASSETS if name.startswith("generator-")), help="shipped parent")
    options = parser.parse_args()
    try:
        if options.parent is None:
            target = ship(options.name, options.file)
        else:
            target = ship_difference(options.name, options.file, options.parent)
    except UserError as error:
        print(f"ship_weights: {error}", file=sys.stderr)
        return 2
    print(f"{target.name}: {target.stat().st_size / 1e6:.1f} MB, SHA-256 {checkpoint.sha256(target)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
