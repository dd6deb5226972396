"""`crossrig sample` and `synth`: people who do not exist."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossrig.cli.parser import add, add_common, check_device, make_folder
from crossrig.data.style_names import STYLES
from crossrig.errors import UserError

if TYPE_CHECKING:
    import torch


#: Largest number of pictures one `sample` command makes.
_MOST_SEEDS = 100_000


def sample_command(commands: Any) -> None:
    parser = add(commands, "sample", _sample, "Make pictures of people who do not exist.")
    parser.add_argument("--seeds", default="0-7", metavar="LIST", help="for example 0-7 or 1,5,9-12 (default: 0-7)")
    parser.add_argument("--domain", default="human", metavar="NAME", help="human, toon, or a domain of your own (default: human)")
    parser.add_argument("--network", type=Path, metavar="FILE", help="a generator checkpoint instead of the shipped one")
    parser.add_argument("--trunc", type=float, default=0.8, metavar="PSI", help="truncation: 1 all variety, 0 the mean face (default: 0.8)")
    parser.add_argument("--class", type=int, default=None, metavar="N", dest="label", help="class of a network with classes, from 0")
    parser.add_argument("--outdir", type=Path, default=Path("samples"), help="folder for seedNNNN.png and grid.png (default: samples)")
    add_common(parser)


def _sample(options: argparse.Namespace) -> None:
    import torch

    from crossrig.data.align import to_pixels
    from crossrig.data.metadata import DigitalSource, check_destination, save_picture
    from crossrig.domains.generators import generator_file
    from crossrig.gan.weights import load_generator
    from crossrig.memory import keep_freed_memory
    from crossrig.sheets import grid

    keep_freed_memory()
    seeds = parse_seeds(options.seeds)
    if not 0.0 <= options.trunc <= 2.0:
        raise UserError(f"--trunc must be between 0 and 2, not {options.trunc:g}.")
    device = check_device(options.device)
    path = options.network if options.network is not None else generator_file(options.domain)
    generator = load_generator(path).to(device).eval().requires_grad_(False)
    c = class_vector(generator.config.c_dim, options.label)
    folder = make_folder(options.outdir)
    names = [folder / f"seed{seed:04d}.png" for seed in seeds] + [folder / "grid.png"]
    for name in names:
        check_destination(name, options.overwrite)
    images = []
    with torch.no_grad():
        for seed, name in zip(seeds, names, strict=False):
            z = generator.sample_z(seed).to(device)
            image = generator(z, options.trunc, c=None if c is None else c.to(device))
            save_picture(name, to_pixels(image), DigitalSource.TRAINED, options.overwrite)
            images.append(image)
    save_picture(names[-1], grid(torch.cat(images), min(8, len(images))), DigitalSource.TRAINED, options.overwrite)
    print(names[-1])


def class_vector(classes: int, label: int | None) -> torch.Tensor | None:
    """The one-hot vector (1, classes) of `--class`, or None for a network without classes."""
    import torch

    if not classes:
        if label is not None:
            raise UserError("--class: this network has no classes; leave it out.")
        return None
    if label is None or not 0 <= label < classes:
        raise UserError(f"--class must be between 0 and {classes - 1} for this network; say which.")
    return torch.eye(classes)[label][None]


def parse_seeds(text: str) -> list[int]:
    """`0-7` or `1,5,9-12` as numbers."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})(?:-(\d{1,18}))?\s*", part)
        if match is None:
            raise UserError(f'--seeds {text}: "{part}" is no number or range; write for example 0-7 or 1,5,9-12.')
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last - first >= _MOST_SEEDS:
            raise UserError(f"--seeds {text}: {part} must rise and hold at most {_MOST_SEEDS} seeds.")
        seeds.extend(range(first, last + 1))
    return seeds


def synth_command(commands: Any) -> None:
    parser = add(commands, "synth", _synth, "Render labelled portraits of synthetic people into a stylegan2-ada ZIP.")
    parser.add_argument("--count", type=int, metavar="N", help="portraits")
    parser.add_argument("--size", type=int, default=128, metavar="PX", help="pixels a side (default: 128)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="stream of people (default: 0)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first portrait of the stream (default: 0)")
    parser.add_argument("--outdir", type=Path, required=True, help="folder for the archive")
    parser.add_argument("--style", choices=STYLES, default="photo", help="how they are drawn (default: photo)")
    text = "share of the people who wear hair, and of those who wear clothes, of registered packs (crossrig assets add; default: 0)"
    parser.add_argument("--packs", type=float, default=0.0, metavar="SHARE", help=text)
    text = "share of the people who stand in the light that was set for the next one (default: 0); only labels say so"
    parser.add_argument("--relit", type=float, default=0.0, metavar="SHARE", help=text)
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes; the result is the same (default: all cores)")
    parser.add_argument("--shard", metavar="I/N", help="make only this part, for example 2/4 on the second of four machines")
    parser.add_argument("--join", type=Path, nargs="+", metavar="FILE", help="put shards together to one archive instead")


def _synth(options: argparse.Namespace) -> None:
    from crossrig.data.packs import installed_packs
    from crossrig.data.shards import Shard, join_shards
    from crossrig.data.synth import synthesise
    from crossrig.data.wardrobe import Wardrobe

    if options.join is not None:
        if options.count is not None or options.shard is not None:
            raise UserError("--join makes no portraits: leave out --count and --shard.")
        print(join_shards(options.join, make_folder(options.outdir)))
        return
    if options.count is None:
        raise UserError("--count is missing: say how many portraits.")
    first, count = options.first, options.count
    if options.shard is not None:
        numbers = Shard.parse(options.shard).numbers(count, first)
        first, count = numbers.start, len(numbers)
    wardrobe = Wardrobe.of(installed_packs(), options.packs) if options.packs else None
    folder = make_folder(options.outdir)
    style, relit = options.style, options.relit
    print(synthesise(count, options.size, options.seed, folder, options.workers, style, first, wardrobe=wardrobe, relit=relit))
