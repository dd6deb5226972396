"""Put a trained network into the package, hash printed: `python scripts/ship_weights.py NAME FILE`, in half precision, or with
`--parent NAME` a child generator as its difference from a shipped one, in 8 bits (gan/difference.py). `--mean-with FILE` ships the mean
of the weights of two runs of which one began with the other. `--bits 8` stores any network in 8 bits (crossrig/quantise.py).

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


def ship(name: str, source: Path, other: Path | None = None, bits: int | None = None) -> Path:
    """Write `source`, or the mean of its weights and those of `other`, as the asset `name`, 32-bit floats halved; returns its path.

    `bits`: store weights as integers of so many bits instead (`crossrig/quantise.py`).

    UserError when one is no checkpoint, or the two do not fit.
    """
    tensors, header = checkpoint.load(source)
    if other is not None:
        tensors, header = mean(tensors, checkpoint.load(other)[0], source, other), header | {"mean_with": checkpoint.sha256(other)}
    half = {key: tensor.half() if tensor.dtype == torch.float32 else tensor for key, tensor in tensors.items()}
    if any(not tensor.isfinite().all() for tensor in half.values() if tensor.is_floating_point()):
        raise UserError(f"{source} has values too large for half precision: it cannot be shipped as it is.")
    target = shipped_folder() / f"{name}.safetensors"
    checkpoint.save(target, half, header, bits)
    return target


def mean(
    first: dict[str, torch.Tensor], second: dict[str, torch.Tensor], *files: Path
) -> dict[str, torch.Tensor]:
    """The mean of two states; what is no float must be equal. UserError, naming the files, when they do not fit."""
    if {name: tensor.shape for name, tensor in first.items()} != {name: tensor.shape for name, tensor in second.items()}:
        raise UserError(f"{' and '.join(map(str, files))} hold different tensors: only runs of one architecture have a mean.")
    for name, tensor in first.items():
        if not tensor.is_floating_point() and not torch.equal(tensor, second[name]):
            raise UserError(f"{' and '.join(map(str, files))} differ in {name}, which is no weight: they have no mean.")
    return {
        name: tensor.lerp(second[name].to(tensor.dtype), 0.5) if tensor.is_floating_point() else tensor for name, tensor in first.items()
    }


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
    parser.add_argument("--mean-with", type=Path, metavar="FILE", help="another checkpoint of the same network")
    parser.add_argument("--bits", type=int, choices=range(2, 9), metavar="N", help="weights in 2 to 8 bits instead of half precision")
    options = parser.parse_args()
    try:
        if options.parent is not None and (options.mean_with or options.bits):
            raise UserError("--parent does not go together with --mean-with or --bits; leave one of them out.")
        if options.parent is None:
            target = ship(options.name, options.file, options.mean_with, options.bits)
        else:
            target = ship_difference(options.name, options.file, options.parent)
    except UserError as error:
        print(f"ship_weights: {error}", file=sys.stderr)
        return 2
    print(f"{target.name}: {target.stat().st_size / 1e6:.1f} MB, SHA-256 {checkpoint.sha256(target)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
