"""Search codes for portraits as an edit does, for children to learn from (`train/child.py`).

Kept are the codes W+ of the first portraits of an archive: what the encoder finds, and what a search adds. Several processes
(`train/parallel.py`) share the portraits; an interrupted run goes on where it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from crossrig import checkpoint
from crossrig.config import setting
from crossrig.data.portrait_set import load_portraits
from crossrig.errors import UserError
from crossrig.gan.generator import Generator
from crossrig.gan.precision import Precision, feature_dtype
from crossrig.gan.weights import load_generator
from crossrig.inversion.encoder import load_encoder
from crossrig.memory import keep_freed_memory
from crossrig.train.codes import search_offsets, seen_people
from crossrig.train.parallel import Processes
from crossrig.train.run import Run


@dataclass(frozen=True)
class SearchTraining:
    """Settings of a search."""

    generator: Path
    encoder: Path
    outdir: Path
    data: tuple[Path, ...] = setting((), "portrait archive, of which the first portraits are searched for")
    count: int = setting(640, "portraits")
    steps: int = setting(25, "steps of each search, as `crossrig edit` takes")
    precision: Precision = setting("auto", "number format of painted features; auto: the fastest on this machine (gan/precision.py)")


def train(config: SearchTraining) -> Path:
    """Search, or go on searching; returns `searched.safetensors` with `w_plus` (count, L, W) in it.

    Raises UserError when the archive holds fewer portraits.
    """
    keep_freed_memory()
    generator = load_generator(config.generator).eval().requires_grad_(False)
    encoder = load_encoder(config.encoder)
    portraits = load_portraits(config.data, generator.config.resolution, config.count)
    if len(portraits) < config.count:
        raise UserError(f"There are {len(portraits)} portraits to search for, not {config.count}: ask for fewer with --count.")
    path = config.outdir / "searched.safetensors"
    with Run.open(config.outdir, config) as run:
        processes: Processes = run.processes
        dtype = processes.of_first(lambda: feature_dtype(config.precision))
        started = seen_people(encoder, portraits)[: config.count]
        shards = config.outdir / "shards"
        offsets = search_offsets(generator, encoder, portraits, config.count, config.steps, run.progress, shards, processes, dtype)
        facts = {"kind": "searched", "generator": checkpoint.sha256(config.generator), "data": [path.name for path in config.data]}
        processes.of_first(lambda: checkpoint.save(path, {"w_plus": started + offsets}, facts))
    return path


def load_searched(path: Path, generator: Generator) -> Tensor:
    """(N, L, W): the codes in a run's `searched.safetensors`. Raises UserError when they are something else or of another W+."""
    tensors, header = checkpoint.load(path)
    wanted = (generator.style_space.w_count, generator.config.w_dim)
    if header.get("kind") != "searched" or "w_plus" not in tensors or tuple(tensors["w_plus"].shape[1:]) != wanted:
        raise UserError(f"{path} holds no searched W+ codes of this generator's parent; make them with `crossrig train search`.")
    return tensors["w_plus"]
