"""The ablations of adaptation: `python scripts/adapt_ablations.py --images SET --pictures OTHERS --judge JUDGE --outdir FOLDER`.

Adapts the shipped human generator to one set of cut-out heads again and again, each time with one thing held, let go or left out, or from
fewer pictures; all see as many pictures, from one seed, and none is stopped. Each child is then measured by `crossrig eval domains`, on the
same unseen codes and pictures. An interrupted run goes on, a finished one is not repeated, and a table is printed at the end; sheet.png
shows the same people by the parent and by every child.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from crossrig import checkpoint
from crossrig.data.align import to_pixels
from crossrig.data.metadata import DigitalSource, save_picture
from crossrig.domains.blend import blend, shares_by_resolution
from crossrig.domains.generators import generator_file
from crossrig.errors import UserError
from crossrig.evaluate import unseen_styles
from crossrig.evaluation.domains import DOMAIN_CODES_SEED, DomainRequest, Figures, evaluate_domain
from crossrig.files import write_text
from crossrig.gan.weights import load_generator, save_generator
from crossrig.memory import keep_freed_memory
from crossrig.sheets import contact_sheet
from crossrig.train.adapt import AdaptTraining, train

#: Name of the variant -> the settings it changes. `held` is what the shipped children were made with.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "held": {},
    "everything": {"hold_latent": False, "freeze": ()},
    "latent": {"freeze": ()},
    "freeze_d": {"freeze_discriminator": 1},
    "no_augmentation": {"augment_most": 0.0},
    "no_structure": {"structure_weight": 0.0},
    "pictures_1000": {"limit": 1000},
    "pictures_300": {"limit": 300},
    "pictures_100": {"limit": 100},
}
#: The swap of `everything` (texture, from 16 px on) and its parent (structure): no training of its own.
SWAPPED = "swapped"
#: People in a row of the sheet.
SHOWN = 8

_ATTRIBUTES = ("pose", "expression", "illumination", "albedo", "shape")
#: Columns of the table: heading -> figures of `crossrig eval domains`.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "consistency: yaw, expression, light": ("consistency.yaw", "consistency.expression", "consistency.illumination"),
    "obedience: pose, expression, light, albedo, shape": tuple(f"obedience.{name}" for name in _ATTRIBUTES),
    "leak of these": tuple(f"leak.{name}" for name in _ATTRIBUTES),
    "Frechet, beside the parent's": ("style_frechet", "style_frechet_parent"),
    "diversity": ("diversity_share",),
    "moved: affine, b4, b16, b32": ("moved.affine", "moved.b4", "moved.b16", "moved.b32"),
}


def train_variants(names: list[str], config: AdaptTraining) -> dict[str, Path]:
    """Name -> child. `config`: of the variant with everything, outdir the folder of all."""
    trained = {}
    for number, name in enumerate(names, 1):
        print(f"{name} ({number} of {len(names)})", file=sys.stderr)
        variant = replace(config, outdir=config.outdir / name, **VARIANTS[name])
        trained[name] = train(variant)
    if "everything" in trained:
        trained[SWAPPED] = config.outdir / f"{SWAPPED}.safetensors"
        parent, child = (load_generator(file).requires_grad_(False) for file in (generator_file(config.parent), trained["everything"]))
        mixed = blend(parent, child, shares_by_resolution(parent.style_space, {16: 1.0}))
        save_generator(trained[SWAPPED], mixed, {"blended": [config.parent, "everything"]})
    return trained


def measured(child: Path, request: DomainRequest) -> Figures:
    """The figures of a child, read back when this very file was measured so before; their names without that of the domain."""
    kept = child.with_name(f"{child.stem}-{request.samples}.json")
    mark = checkpoint.sha256(child)
    if kept.exists() and (found := json.loads(kept.read_text()))["child"] == mark:
        return dict(found["figures"])
    figures, _ = evaluate_domain(replace(request, domain=str(child)))
    figures = {name.split(".", 1)[1]: value for name, value in figures.items()}
    write_text(kept, json.dumps({"child": mark, "figures": figures}, indent=1))
    return figures


def save_sheet(path: Path, parent: Path, children: Mapping[str, Path]) -> None:
    """Write one row of the same unseen people by the parent and by every child, name -> file."""
    rows = []
    for name, file in {"parent": parent, **children}.items():
        generator = load_generator(file).eval().requires_grad_(False)
        styles = unseen_styles(generator, SHOWN, DOMAIN_CODES_SEED)
        rows.append([(name if not number else "", to_pixels(generator.synthesise(s[None]))) for number, s in enumerate(styles)])
    save_picture(path, contact_sheet(rows, cell=160), DigitalSource.TRAINED, overwrite=True)


def table(figures: Mapping[str, Figures]) -> str:
    """Markdown: a line for every variant."""
    lines = [f"| | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, found in figures.items():
        cells = [", ".join(f"{found[key]:.0f}" if "frechet" in key else f"{found[key]:.2f}" for key in keys) for keys in COLUMNS.values()]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="archive or folder of cut-out heads of the domain")
    parser.add_argument("--pictures", type=Path, nargs="+", required=True, help="others of the domain, to compare children with")
    parser.add_argument("--judge", type=Path, default=None, help="a judge that saw the domain (default: the shipped one)")
    parser.add_argument("--outdir", type=Path, default=Path("runs/adapt-ablations"), help="folder (default: runs/adapt-ablations)")
    parser.add_argument("--kimg", type=float, default=4.0, help="thousands of pictures that each is trained with (default: 4)")
    parser.add_argument("--samples", type=int, default=128, help="unseen codes, and as many pictures (default: 128)")
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="NAME", help=", ".join(VARIANTS))
    options = parser.parse_args()
    keep_freed_memory()
    try:
        config = AdaptTraining(
            outdir=options.outdir, images=options.images, name="ablation", aligned=True, freeze=("b4", "b8"), kimg=options.kimg,
            least_yaw=-1.0, least_expression=-1.0, patience=0,
        )  # fmt: skip
        request = DomainRequest("", pictures=tuple(options.pictures), judge=options.judge, samples=options.samples)
        children = train_variants(options.only, config)
        save_sheet(options.outdir / "sheet.png", generator_file(config.parent), children)
        figures = {name: measured(child, request) for name, child in children.items()}
    except UserError as error:
        print(f"adapt_ablations: {error}", file=sys.stderr)
        return 1
    print(table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
