"""The rig of a generator for the same generator trained on: `python scripts/carry_over.py OLD NEW --outdir FOLDER`.

OLD and NEW are generator files, NEW trained by `crossrig train generator --init OLD` with --hold-affine or --hold-latent. What is carried
over is the shipped rig, or that of --rig, and an encoder if one is named; both must belong to OLD. See `rig/growing.py`. --child FILE does
the same to a child of OLD that is stored as its difference, roughly: go on with `crossrig adapt --init`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from crossrig import assets, checkpoint
from crossrig.errors import UserError
from crossrig.gan import difference
from crossrig.gan.weights import load_generator, save_difference
from crossrig.inversion.encoder import load_encoder, save_encoder
from crossrig.rig.growing import check_grown, grown_child, grown_encoder, grown_rig
from crossrig.rig.weights import load_rig, save_rig


def carry_over(old: Path, new: Path, rig: Path, encoder: Path | None, outdir: Path) -> list[Path]:
    """Write manipulation.safetensors and, with `encoder`, encoder.safetensors for `new`. UserError when files do not belong together."""
    larger, digest = load_generator(new), checkpoint.sha256(new)
    check_grown(load_generator(old), larger)
    if encoder is not None and checkpoint.load_header(encoder).get("generator") != checkpoint.sha256(old):
        raise UserError(f"{encoder} was not made for {old}.")
    outdir.mkdir(parents=True, exist_ok=True)
    kept = ("kind", "config", "quantised", "generator", "style_space", "attributes", "manipulators")
    notes = {name: value for name, value in checkpoint.load_header(rig).items() if name not in kept}
    written = [outdir / "manipulation.safetensors"]
    save_rig(written[0], grown_rig(load_rig(rig, checkpoint.sha256(old)), larger.style_space, digest), notes)
    if encoder is not None:
        facts = {name: value for name, value in checkpoint.load_header(encoder).items() if name not in kept}
        written.append(outdir / "encoder.safetensors")
        save_encoder(written[1], grown_encoder(load_encoder(encoder), larger.style_space.w_count), facts | {"generator": digest})
    return written


def carry_child(child: Path, old: Path, new: Path, outdir: Path) -> Path:
    """Write a child's difference for `new`. UserError when it is none, or is none from `old`."""
    stored, header = checkpoint.load(child)
    if header.get("kind") != difference.KIND:
        raise UserError(f"{child} is not stored as a difference: `crossrig export generator {child} --format difference` makes one.")
    before, larger = load_generator(old).state_dict(), load_generator(new)
    try:
        larger.load_state_dict(grown_child(difference.decode(stored, before), before, larger.state_dict()))
    except ValueError as error:
        raise UserError(f"{child} does not fit {old} ({error}).") from None
    outdir.mkdir(parents=True, exist_ok=True)
    facts = {name: value for name, value in header.items() if name not in ("kind", "config", "bits", "parent")}
    save_difference(outdir / child.name, larger, new, facts)
    return outdir / child.name


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path, metavar="OLD", help="generator that rig and encoder were made for")
    parser.add_argument("new", type=Path, metavar="NEW", help="the same generator after it grew")
    parser.add_argument("--rig", type=Path, help="rig of OLD (default: the shipped one)")
    parser.add_argument("--encoder", type=Path, help="encoder of OLD, to be carried over, too")
    parser.add_argument("--child", type=Path, action="append", default=[], help="child of OLD, to be carried over, too; repeatable")
    parser.add_argument("--outdir", type=Path, required=True, help="folder for the files")
    options = parser.parse_args()
    try:
        rig = options.rig or assets.require("manipulation")
        written = carry_over(options.old, options.new, rig, options.encoder, options.outdir)
        for path in [*written, *(carry_child(child, options.old, options.new, options.outdir) for child in options.child)]:
            print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, SHA-256 {checkpoint.sha256(path)}")
    except UserError as error:
        print(f"carry_over: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
