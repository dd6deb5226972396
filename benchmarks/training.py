"""What a training step of a generator costs, beside the published programs and against resolution and batch.

Usage: python benchmarks/training.py [--repeats 5]

A step is styles, synthesis and all gradients of a mean square, without losses or optimiser, of a generator with the channels
of `crossrig train generator`, and 16 at 256 px.
Writes benchmarks/results/training.json and training.png, the table as a heat map:

training.speedup                pictures a second as we train, ours by theirs (128 px, batch 8): ours in bfloat16 where the processor has it
                                (gan/precision.py), theirs in float32, all that they have on a processor
training.speedup_fp32           the same, ours in float32, too
training.ms_{R}px_batch{B}      milliseconds a picture as we train
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from shared.timing import best
from synthesis import as_published, published
from torch import Tensor

from crossrig.data.metadata import DigitalSource, save_picture
from crossrig.evaluation.plots import heat_map
from crossrig.gan.generator import Generator, GeneratorConfig
from crossrig.gan.precision import feature_dtype

RESULTS = Path(__file__).parent / "results"
CHANNELS = (256, 256, 128, 64, 32, 16, 16)
RESOLUTIONS, BATCHES = (32, 64, 128, 256), (1, 4, 8, 16)
_COMPARED = (128, 8)  # px, pictures


def build(resolution: int) -> Generator:
    """An untrained generator."""
    torch.manual_seed(0)
    return Generator(GeneratorConfig(resolution=resolution, channels=CHANNELS, mapping_layers=3))


def step_seconds(network: Generator, batch: int, paint: Callable[[Tensor], Tensor], repeats: int) -> float:
    """Seconds of one step; `paint`: style codes (B, S) -> pictures."""
    z = torch.randn(batch, network.config.z_dim)

    def step() -> None:
        network.zero_grad(set_to_none=True)
        paint(network.affine(network.map(z))).square().mean().backward()  # type: ignore[no-untyped-call]

    return best(step, repeats)


def speedups(repeats: int) -> dict[str, float]:
    """Ours by theirs. Neither keeps the memory that it frees, as the published programs do not."""
    resolution, batch = _COMPARED
    ours = build(resolution)
    other = as_published(ours)
    theirs = step_seconds(other, batch, lambda s: published(other, s), repeats)
    formats = {"training.speedup": feature_dtype("auto"), "training.speedup_fp32": torch.float32}
    return {
        name: theirs / step_seconds(ours, batch, lambda s, dtype=dtype: ours.synthesise(s, dtype=dtype), repeats)  # type: ignore[misc]
        for name, dtype in formats.items()
    }


def cost(repeats: int) -> np.ndarray:
    """Milliseconds a picture, (resolutions, batches)."""
    dtype = feature_dtype("auto")
    table = np.zeros((len(RESOLUTIONS), len(BATCHES)))
    for i, resolution in enumerate(RESOLUTIONS):
        network = build(resolution)
        for j, batch in enumerate(BATCHES):
            seconds = step_seconds(network, batch, lambda s, network=network: network.synthesise(s, dtype=dtype), repeats)  # type: ignore[misc]
            table[i, j] = 1000.0 * seconds / batch
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="runs of which the shortest counts (default: 5)")
    options = parser.parse_args()
    figures = speedups(options.repeats)
    table = cost(options.repeats)
    for i, resolution in enumerate(RESOLUTIONS):
        figures |= {f"training.ms_{resolution}px_batch{batch}": float(table[i, j]) for j, batch in enumerate(BATCHES)}
    print("\n".join(f"{name:34} {value:.4g}" for name, value in figures.items()))
    print(f"{torch.get_num_threads()} threads, {feature_dtype('auto')}, {platform.processor() or platform.machine()}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "training.json").write_text(json.dumps({name: float(f"{value:.4g}") for name, value in figures.items()}, indent=2) + "\n")
    rows, columns = [f"{resolution} px" for resolution in RESOLUTIONS], [f"batch {batch}" for batch in BATCHES]
    plot = heat_map(table, rows, columns, "milliseconds a picture", largest=float(table.max()))
    save_picture(RESULTS / "training.png", plot, DigitalSource.RENDERED, overwrite=True)


if __name__ == "__main__":
    main()
