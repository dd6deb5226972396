"""`crossrig import`, `export` and `assets`: files of other programs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from crossrig.cli.parser import Parser, add
from crossrig.errors import UserError


def import_command(commands: Any) -> None:
    meaning = "Read files of other programs."
    parser: Parser = commands.add_parser("import", help=meaning, description=meaning)
    parser.set_defaults(parser=parser)
    things = parser.add_subparsers(title="things", metavar="THING", parser_class=Parser, required=True)
    child = add(
        things, "generator", _import_generator, "Read a StyleGAN2 of NVIDIA's (.pkl) or rosinality's (.pt).",
        "Nothing in the file is executed; a file that wants something executed is refused.",
    )  # fmt: skip
    child.add_argument("file", type=Path, metavar="FILE", help="the network file")
    child.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.safetensors", help="our checkpoint of the generator")
    child.add_argument(
        "--which", choices=("G_ema", "G"), default="G_ema",
        help="the averaged generator, or the one trained last (default: G_ema)",
    )  # fmt: skip
    child.add_argument("--discriminator", type=Path, metavar="OUT.safetensors", help="also write the discriminator there")
    child.add_argument("--overwrite", action="store_true", help="replace files that exist")
    child = add(
        things, "face-model", _import_face_model,
        "Read a 3D face model: Basel's (.mat, .h5), FLAME (.pkl, .npz, .json) or ICT-FaceKit (a folder).",
        "Nothing in the files is executed. Licences are the authors': most forbid to pass the model on, and what is made from it.",
    )  # fmt: skip
    child.add_argument("file", type=Path, metavar="FILE", help="the model's file, or the folder FaceXModel of ICT-FaceKit")
    child.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.safetensors", help="our file of the face model")
    landmarks = "the 68 landmarks: vertex numbers from 0, or FLAME's landmark_embedding.npy"
    child.add_argument("--landmarks", type=Path, metavar="FILE", help=landmarks)
    child.add_argument("--expressions", type=Path, metavar="FILE", help="Exp_Pca.bin, for the Basel Face Model of 2009")
    child.add_argument("--overwrite", action="store_true", help="replace a file that exists")


def _import_face_model(options: argparse.Namespace) -> None:
    from crossrig import checkpoint
    from crossrig.data.metadata import check_destination
    from crossrig.face3d.importers.face_models import import_face_model

    check_destination(options.output, options.overwrite, what="face models", endings=(".safetensors",))
    model = import_face_model(options.file, options.landmarks, options.expressions)
    checkpoint.save(options.output, model.tensors, model.header)
    print(options.output)
    for note in model.notes:
        print(note)
    print(f"It stays under {model.licence}; so does what is made from it.")


def _import_generator(options: argparse.Namespace) -> None:
    from crossrig.checkpoint import sha256
    from crossrig.data.metadata import check_destination
    from crossrig.gan.importers.generators import import_networks
    from crossrig.gan.weights import save_discriminator, save_generator

    for path in (options.output, options.discriminator):
        if path is not None:
            check_destination(path, options.overwrite, what="networks", endings=(".safetensors",))
    if options.discriminator == options.output:
        raise UserError(f"{options.output}: the generator and the discriminator need two names.")
    networks = import_networks(options.file, options.which)
    if options.discriminator is not None and networks.discriminator is None:
        raise UserError(" ".join((f"{options.file}: holds no discriminator to import.", *networks.notes)))
    source = {"file": options.file.name, "sha256": sha256(options.file), "layout": networks.layout}
    save_generator(options.output, networks.generator, {"imported": {**source, "network": options.which}})
    print(options.output)
    if options.discriminator is not None and networks.discriminator is not None:
        save_discriminator(options.discriminator, networks.discriminator, {"imported": source})
        print(options.discriminator)
    for note in networks.notes:
        print(note, file=sys.stderr)


def export_command(commands: Any) -> None:
    meaning = "Write networks for other programs."
    parser: Parser = commands.add_parser("export", help=meaning, description=meaning)
    parser.set_defaults(parser=parser)
    things = parser.add_subparsers(title="things", metavar="THING", parser_class=Parser, required=True)
    child = add(things, "generator", _export_generator, "Write a generator in rosinality's layout, as ONNX, or as its difference.")
    child.add_argument("network", type=Path, metavar="NET.safetensors", help="a generator checkpoint")
    child.add_argument(
        "--format", choices=("pt", "onnx", "difference"), required=True,
        help="pt: rosinality's PyTorch layout; difference: what a child changed in its parent, in 8 bits, a quarter of its size or less",
    )  # fmt: skip
    child.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="a name that ends in .pt, .onnx or .safetensors")
    child.add_argument("--parent", default="human", metavar="NAME", help="of a difference: name or file of the parent (default: human)")
    child.add_argument("--from", choices=("z", "s"), default="z", dest="start", help="what the ONNX network takes (default: z)")
    child.add_argument("--overwrite", action="store_true", help="replace files that exist")


def _export_generator(options: argparse.Namespace) -> None:
    from crossrig.checkpoint import sha256
    from crossrig.data.metadata import check_destination
    from crossrig.domains.generators import generator_file
    from crossrig.gan.export import export_onnx, export_rosinality
    from crossrig.gan.weights import load_generator, save_difference

    ending = ".safetensors" if options.format == "difference" else f".{options.format}"
    check_destination(options.output, options.overwrite, what="these networks", endings=(ending,))
    generator = load_generator(options.network).requires_grad_(False)
    notes: tuple[str, ...] = ()
    if options.format == "pt":
        notes = export_rosinality(options.output, generator)
    elif options.format == "difference":
        parent = generator_file(options.parent)
        save_difference(options.output, generator, parent, {"source": sha256(options.network)})
        notes = (f"It is read only where {parent.name} is: beside it, or among the networks in use.",)
    else:
        export_onnx(options.output, generator, options.start)
    print(options.output)
    for note in notes:
        print(note, file=sys.stderr)


def assets_command(commands: Any) -> None:
    meaning = "Optional packs of hair and clothes."
    parser: Parser = commands.add_parser("assets", help=meaning, description=meaning)
    parser.set_defaults(parser=parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", parser_class=Parser, required=True)
    register = add(actions, "add", _assets_add, "Register a folder with MakeHuman packs for `crossrig synth`.")
    register.add_argument("folder", type=Path, metavar="FOLDER", help="a folder with .mhclo and .obj files")


def _assets_add(options: argparse.Namespace) -> None:
    from crossrig.data import packs

    if not options.folder.is_dir():
        raise UserError(f"{options.folder}: there is no such folder.")
    print(packs.add(options.folder))
