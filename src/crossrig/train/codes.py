"""Style codes of random people, and their labels: what T and M are trained on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from crossrig import checkpoint
from crossrig.data.portrait_set import PortraitSet
from crossrig.errors import UserError
from crossrig.features import PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.inversion.encoder import Encoder
from crossrig.inversion.optimise import invert
from crossrig.rig.reading import see
from crossrig.rig.reconstruction import Reconstruction
from crossrig.train.parallel import Processes

_SHARD = 256  # codes that are labelled and kept together
_SEARCHED = 8  # portraits that are searched for and kept together


@torch.no_grad()
def sample_w_plus(
    generator: Generator,
    count: int,
    random: torch.Generator,
    mixed: float = 0.5,
    most: int = 5,
    truncation: float = 1.0,
    seen: Tensor | None = None,
) -> Tensor:
    """(count, L, W) codes in W+. A share `mixed` of them joins 2 to `most` people over the layers (CDDFM3D: up to five z, truncation 1).

    `seen` (N, L, W): codes in W+ that an encoder found in pictures. Half of the people are then drawn from it instead of from z: pictures
    of the world are inverted to codes like these, and they differ more than what the mapping network makes up.
    """
    layers = generator.style_space.w_count
    z = torch.randn(count, generator.config.z_dim, generator=random)
    w_plus = generator.broadcast(generator.map(z, truncation)).clone()  # (N,L,W)
    if seen is not None:
        found = seen[torch.randint(len(seen), (count,), generator=random)]
        w_plus = torch.where(torch.rand(count, 1, 1, generator=random) < 0.5, found, w_plus)
    is_mixed = torch.rand(count, generator=random) < mixed
    people = torch.randint(2, most + 1, (count, 1), generator=random)
    # Which of its people each layer belongs to: runs of neighbouring layers, cut at random.
    part = (torch.rand(count, layers, generator=random).sort(1).values * people).long()  # (N,L) in 0..people-1, rising
    offset = torch.randint(1, max(count, 2), (count, most), generator=random)
    offset[:, 0] = 0
    source = (torch.arange(count)[:, None] + offset.gather(1, part)) % count  # (N,L)
    source = torch.where(is_mixed[:, None], source, torch.arange(count)[:, None])
    return w_plus[source, torch.arange(layers)[None]]


@torch.no_grad()
def sample_styles(
    generator: Generator,
    count: int,
    random: torch.Generator,
    mixed: float = 0.5,
    most: int = 5,
    truncation: float = 1.0,
    seen: Tensor | None = None,
) -> Tensor:
    """(count, S): the style codes of `sample_w_plus`."""
    return generator.affine(sample_w_plus(generator, count, random, mixed, most, truncation, seen))


@torch.no_grad()
def labelled_codes(
    generator: Generator,
    network: Reconstruction,
    count: int,
    held_out: int,
    mixed: float,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    seen: Tensor | None = None,
    shards: Path | None = None,
    processes: Processes | None = None,
    dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """Styles (N,S) and labels (N,213), N = count + held_out, the last `held_out` of unmixed people: what T is trained on.

    `progress(shard, shards)` is called after every shard that was painted and looked at. `seen` as in `sample_styles`, but for the
    held-out codes. `shards`: a folder where labels are kept as they are found, so that an interrupted labelling goes on where it was; they
    are taken for those of these very arguments, and are deleted at the end. `processes` share every shard; all get all labels. `dtype`: of
    the painted features.
    """
    random = torch.Generator().manual_seed(seed)
    training = sample_styles(generator, count, random, mixed, seen=seen)
    styles = torch.cat([training, sample_styles(generator, held_out, random, mixed=0.0)])
    return styles, in_shards(styles, lambda part: see(network, generator, part, dtype).pack(), _SHARD, progress, shards, processes)


def in_shards(
    rows: Tensor,
    make: Callable[[Tensor], Tensor],
    size: int,
    progress: Callable[[int, int], None] | None = None,
    shards: Path | None = None,
    processes: Processes | None = None,
) -> Tensor:
    """`make` of all rows, `size` at a time, as `labelled_codes` says of its labels: kept in the folder `shards`, shared by `processes`."""
    processes = processes or Processes()
    parts, made = torch.split(rows, size), []
    for number, part in enumerate(parts):
        file = shards / f"{number:05d}.safetensors" if shards is not None else None
        found = processes.of_first(partial(_kept, file))
        if found is None:
            padding = part[-1:].repeat(-len(part) % processes.count, *[1] * (part.dim() - 1))  # the last shard may not be shared evenly
            found = processes.gather(make(processes.share(torch.cat([part, padding]))))[: len(part)]
            if file is not None and processes.first:
                checkpoint.save(file, {"made": found}, {"kind": "shard"})
        made.append(found)
        if progress is not None:
            progress(number + 1, len(parts))
    if shards is not None and processes.first:
        shutil.rmtree(shards)
    return torch.cat(made)


def _kept(file: Path | None) -> Tensor | None:
    """What was made of a shard before."""
    return checkpoint.load(file)[0]["made"] if file is not None and file.exists() else None


@torch.no_grad()
def seen_people(encoder: Callable[[Tensor], Tensor], portraits: PortraitSet, batch: int = 64) -> Tensor:
    """What an encoder finds in portraits: (N, L, W), or (N, W) with its `common_w` in its place."""
    return torch.cat([encoder(portraits.batch(index)[0]) for index in torch.split(torch.arange(len(portraits)), batch)])


def search_offsets(
    generator: Generator,
    encoder: Encoder,
    portraits: PortraitSet,
    count: int,
    steps: int,
    progress: Callable[[int, int], None] | None = None,
    shards: Path | None = None,
    processes: Processes | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """(count, L, W): what a search of some steps in W+ (`inversion.optimise`) adds to what the encoder finds in the first portraits.

    An encoder's codes lie next to W, where T reads well. Codes that are edited have been searched for, and lie further off: T that never
    saw such offsets reads the light of inverted portraits with an R2 of 0.85 instead of 0.96. The other arguments as in `labelled_codes`.
    """
    perceptual = PerceptualDistance()

    def search(index: Tensor) -> Tensor:
        images = portraits.batch(index)[0]
        with torch.no_grad():
            started: Tensor = encoder(images)  # (B,L,W)
        found = [
            invert(image[None], generator, steps=steps, perceptual=perceptual, start=start[None], dtype=dtype).w_plus
            for image, start in zip(images, started, strict=True)
        ]
        return torch.cat(found) - started

    return in_shards(torch.arange(count), search, _SEARCHED, progress, shards, processes)


def load_seen(path: Path | None, generator: Generator) -> Tensor | None:
    """`seen` of `sample_styles` from a T run's `seen.safetensors`; None for None. Raises UserError when it does not fit the generator."""
    if path is None:
        return None
    tensors, header = checkpoint.load(path)
    wanted = (generator.style_space.w_count, generator.config.w_dim)
    if header.get("kind") != "seen" or "w_plus" not in tensors or tensors["w_plus"].shape[1:] != wanted:
        raise UserError(f"{path} holds no W+ codes of this generator's; give the seen.safetensors of T's run.")
    return tensors["w_plus"]


def load_codes(path: Path, generator: str) -> tuple[Tensor, Tensor]:
    """The training part of a run's `codes.safetensors`: styles (N,S) and labels (N,213), without the held-out end.

    Raises UserError when the file is of another kind or its codes are those of another generator than `generator` (a SHA-256).
    """
    tensors, header = checkpoint.load(path)
    if header.get("kind") != "codes":
        kind = header.get("kind", "file of unknown kind")
        raise UserError(f"{path} holds a {kind}, not labelled codes; give the codes.safetensors of T's run.")
    if header.get("generator") != generator:
        raise UserError(
            f"{path} has codes of the generator {str(header.get('generator'))[:12]}, not of {generator[:12]}; label codes of this one."
        )
    cut = len(tensors["styles"]) - int(str(header.get("held_out", 0)))
    return tensors["styles"].narrow(0, 0, cut), tensors["labels"].narrow(0, 0, cut)
