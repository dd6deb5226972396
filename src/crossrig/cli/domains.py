"""`crossrig translate`, `blend` and `adapt`: other domains."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crossrig.cli.parser import add, add_common, at_least, check_device, show_progress
from crossrig.cli.training import report
from crossrig.config import add_options, from_options, load_toml
from crossrig.errors import UserError


def translate_command(commands: Any) -> None:
    parser = add(
        commands, "translate", _translate, "Show the person in a picture in another domain.",
        "The head alone is written, at the resolution of the generators.\nexample:\n  crossrig translate photo.jpg --to toon -o drawn.png",
    )  # fmt: skip
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="PNG, JPEG, WebP, TIFF, BMP or GIF")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.png", help="the head there: .png, .jpg or .webp")
    names = "human, toon, a domain of your own or a generator checkpoint"
    parser.add_argument("--to", required=True, metavar="NAME", dest="target", help=f"domain to go to: {names}")
    parser.add_argument(
        "--from", default="auto", metavar="NAME", dest="source",
        help=f"domain of the picture: {names}; auto takes the shipped one that comes nearest (default: auto)",
    )  # fmt: skip
    parser.add_argument(
        "--blend", default=None, metavar="PX=SHARE,...",
        help="take only this share of the new domain's layers from each resolution on, in [0, 1]; 16 alone keeps the build of the head",
    )  # fmt: skip
    parser.add_argument("--sheet", action="store_true", help="also write OUT-sheet.png: input, inversion, translation")
    parser.add_argument("--steps", type=int, default=None, metavar="N", help="steps of the inversion; more is slower and closer")
    add_common(parser)


def _translate(options: argparse.Namespace) -> None:
    from crossrig.data.align import to_pixels
    from crossrig.data.metadata import DigitalSource, check_destination, save_picture
    from crossrig.data.pictures import read_picture
    from crossrig.domains.blend import check_fit, parse_steps, shares_by_resolution
    from crossrig.domains.generators import domain_label, generator_file
    from crossrig.domains.translate import translate
    from crossrig.gan.weights import load_generator
    from crossrig.memory import keep_freed_memory
    from crossrig.session import EditSession, Effort, Networks
    from crossrig.sheets import contact_sheet

    if options.source == options.target:
        raise UserError(f"--from and --to are both {options.target}; choose two domains.")
    steps = None if options.blend is None else parse_steps(options.blend, "--blend")
    check_destination(options.output, options.overwrite)
    sheet = options.output.with_name(f"{options.output.stem}-sheet.png")
    if options.sheet:
        check_destination(sheet, options.overwrite)
    picture = read_picture(options.picture)
    usual = Effort()
    # No tuning: the other generator must understand the code without a part of the picture in its weights.
    effort = replace(usual, steps=at_least(options.steps, 1, "--steps", usual.steps), tuning_steps=0, detail=False)
    device = check_device(options.device)
    target = load_generator(generator_file(options.target)).requires_grad_(False)
    networks = Networks.shipped(options.source, device)
    for generator in networks.generators.values():  # before the slow part
        check_fit(generator.cpu(), target)
        generator.to(device)
    if steps is not None:
        shares_by_resolution(target.style_space, steps)
    keep_freed_memory()
    session = EditSession(options.source, device, networks, effort, show_progress)
    notes = [note for note in session.set_image(picture) if not note.startswith("Edited in the")]
    found, goal = session.domain, domain_label(options.target)
    if found == goal:
        raise UserError(
            f"{options.picture}: looks like a picture of the {found} domain already; say with --from which it is, or choose another --to."
        )
    translated = to_pixels(translate(session.style_code.cpu(), networks.generators[session.domain].cpu(), target, steps))
    if options.sheet:
        cells = [("input", session.input_crop()), (f"inversion ({found})", session.inverted_crop()), (goal, translated)]
        save_picture(sheet, contact_sheet([cells]), DigitalSource.EDITED, options.overwrite)
    save_picture(options.output, translated, DigitalSource.EDITED, options.overwrite)
    for note in (*notes, f"Taken as a picture of the {found} domain."):
        print(note, file=sys.stderr)
    print(options.output)
    if options.sheet:
        print(sheet)


def blend_command(commands: Any) -> None:
    parser = add(
        commands, "blend", _blend, "Swap layers of two generators: the structure of one, the texture of the other.",
        "A and B: human, toon, a domain of your own, or a checkpoint; they must share a latent space, as a child and its parent do.\n"
        "example:\n  crossrig blend human toon -o human-painted.safetensors --from-resolution 32",
    )  # fmt: skip
    parser.add_argument("first", metavar="A", help="whose structure is taken: everything below the resolution")
    parser.add_argument("second", metavar="B", help="whose texture is taken: everything from the resolution on")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.safetensors", help="the blended generator")
    parser.add_argument(
        "--from-resolution", type=int, default=None, metavar="PX",
        help="first resolution of B, its convolutions and toRGB; lower ones take more of B's shapes (default: 16)",
    )  # fmt: skip
    parser.add_argument(
        "--shares", default=None, metavar="PX=SHARE,...",
        help="instead: how much of B from each resolution on, in [0, 1]; 8=0.5,32=1 passes over gradually",
    )  # fmt: skip
    parser.add_argument("--reverse", action="store_true", help="the other way round: structure of B, texture of A")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")


def _blend(options: argparse.Namespace) -> None:
    from crossrig.checkpoint import sha256
    from crossrig.data.metadata import check_destination
    from crossrig.domains.blend import blend, parse_steps, shares_by_resolution
    from crossrig.domains.generators import generator_file
    from crossrig.gan.weights import load_generator, save_generator

    if options.shares is not None and options.from_resolution is not None:
        raise UserError("--from-resolution and --shares say the same thing; give one of them.")
    first = 16 if options.from_resolution is None else options.from_resolution
    steps = {first: 1.0} if options.shares is None else parse_steps(options.shares)
    check_destination(options.output, options.overwrite, what="networks", endings=(".safetensors",))
    files = [generator_file(word) for word in (options.first, options.second)]
    if options.reverse:
        files.reverse()
    structure, texture = (load_generator(file).requires_grad_(False) for file in files)
    shares = shares_by_resolution(structure.style_space, steps)
    mixed = blend(structure, texture, shares)
    facts = {"structure": sha256(files[0]), "texture": sha256(files[1]), "shares": {str(size): share for size, share in shares.items()}}
    save_generator(options.output, mixed, {"blended": facts})
    print(options.output)


def adapt_command(commands: Any, words: Sequence[str]) -> None:
    parser = add(
        commands, "adapt", _adapt, "Teach a generator a new domain from a folder of pictures of faces.",
        "A run that was interrupted continues when the same command is given again.\n"
        "example:\n  crossrig adapt --images clay-heads --name clay --freeze b4,b8\n"
        "  crossrig translate photo.jpg --to runs/clay/generator-clay.safetensors -o clay.png",
    )  # fmt: skip
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="settings; options given here go before them")
    if list(words[:1]) == ["adapt"]:
        from crossrig.train.adapt import AdaptTraining

        add_options(parser, AdaptTraining)
        parser.add_argument("--from", dest="parent", metavar="TEXT", default=argparse.SUPPRESS, help="another word for --parent")


def _adapt(options: argparse.Namespace) -> None:
    from crossrig.evaluation.progress import TimeLeft
    from crossrig.train.adapt import AdaptTraining, train

    base = load_toml(AdaptTraining, options.config) if options.config is not None else None
    if base is None and hasattr(options, "name") and not hasattr(options, "outdir"):
        options.outdir = str(Path("runs") / options.name)
    progress = TimeLeft(show_progress)
    report(train(from_options(AdaptTraining, options, base), progress=lambda done, total: progress("pictures", done, total)))
