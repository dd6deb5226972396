"""What a child costs as its difference from its parent, and what that does to its pictures.

Usage: python benchmarks/difference.py [--child FILE] [--parent FILE] [--samples 64]

Writes benchmarks/results/difference.json: bytes of the child whole (32 and 16 bits) and as its difference (8 and 6 bits), and the mean and
largest difference of its pictures of random codes, in levels of 255, to those of the 32-bit child. What ships is in 8 bits already and
loses nothing by being stored so once more: name the child that a run left in its folder to see what that cost.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from crossrig import checkpoint
from crossrig.domains.generators import generator_file
from crossrig.gan import difference
from crossrig.gan.generator import Generator
from crossrig.gan.weights import load_generator, save_difference

RESULTS = Path(__file__).parent / "results" / "difference.json"


@torch.no_grad()
def pictures(generator: Generator, samples: int) -> Tensor:
    """(N,3,R,R) in levels of 255."""
    z = torch.randn(samples, generator.config.z_dim, generator=torch.Generator().manual_seed(0))
    painted = [generator(part).clamp(-1, 1) for part in torch.split(z, 16)]
    return (torch.cat(painted) + 1) * 127.5


def rounded(generator: Generator, state: dict[str, Tensor]) -> Generator:
    """A generator of the same architecture with other numbers."""
    other = Generator(generator.config).eval()
    other.load_state_dict(state)
    return other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child", default="toon", help="name or file (default: toon)")
    parser.add_argument("--parent", default="human", help="name or file (default: human)")
    parser.add_argument("--samples", type=int, default=64, help="pictures (default: 64)")
    options = parser.parse_args()
    child, parent = load_generator(generator_file(options.child)), generator_file(options.parent)
    exact = pictures(child, options.samples)
    state = child.state_dict()
    halved = {name: tensor.half().float() for name, tensor in state.items()}
    variants = {"whole_16": rounded(child, halved)}
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, tensors in (("whole_32", state), ("whole_16", {key: tensor.half() for key, tensor in state.items()})):
            checkpoint.save(path := Path(folder) / f"{name}.safetensors", tensors, {"kind": "generator"})
            figures[f"{name}.bytes"] = path.stat().st_size
        for bits in (8, 6):
            save_difference(path := Path(folder) / f"{bits}.safetensors", child, parent, bits=bits)
            figures[f"difference_{bits}.bytes"] = path.stat().st_size
            whole = checkpoint.load(parent)[0]
            variants[f"difference_{bits}"] = rounded(child, difference.decode(difference.encode(state, whole, bits), whole))
    for name, variant in variants.items():
        apart = (pictures(variant, options.samples) - exact).abs()
        figures |= {f"{name}.mean_difference": float(apart.mean()), f"{name}.largest_difference": float(apart.max())}
    print("\n".join(f"{name:32} {value:.4g}" for name, value in figures.items()))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
