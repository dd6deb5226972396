"""Portraits per second on this machine, at several sizes and numbers of workers: python benchmarks/synth.py [--count 256]."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from crossrig.data.synth import synthesise


def portraits_per_second(count: int, size: int, workers: int, seed: int = 1) -> float:
    """Sustained rate: the start of the worker processes is timed apart, with a short run, and taken off."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        synthesise(workers * 16, size, seed, Path(folder), workers=workers, progress=False, first=10**6)
        middle = time.perf_counter()
        synthesise(workers * 16 + count, size, seed, Path(folder), workers=workers, progress=False)
        return count / (time.perf_counter() - middle - (middle - start))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=256)
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    print(f"{'pixels':>6} {'workers':>8} {'portraits/s':>12}")
    for size in (64, 128, 256):
        for workers in sorted({1, cores}):
            print(f"{size:6d} {workers:8d} {portraits_per_second(options.count, size, workers):12.1f}", flush=True)


if __name__ == "__main__":
    main()
