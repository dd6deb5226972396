"""The ablations of M: `python scripts/train_ablations.py --outdir FOLDER [--seen SEEN] [--steps 600] [--minutes M] [--only NAME ...]`.

Trains M again from nothing, on the shipped generator and T and with the shipped selection of layers: once with everything (`full`), and
once for each thing left out or done otherwise. All see the same codes and known pairs for as many steps, and commands drawn alike. An
interrupted run goes on, a finished one is not repeated. At the end stands the command that compares them with everything else; the step
that is left out at edit time, refinement, needs no training: `ours_feedforward` against `ours`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from crossrig import assets
from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.gan.precision import feature_dtype
from crossrig.gan.weights import load_generator
from crossrig.rig.layers import editable
from crossrig.rig.weights import load_reconstruction, load_rig
from crossrig.train import manipulation
from crossrig.train.manipulation import ManipulationTraining
from crossrig.train.pairs import known_pairs

#: Name of the variant -> the settings it changes.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "full": {},
    "no_edit": {"edit_weight": 0.0},
    "no_consistency": {"consistency_weight": 0.0},
    "no_landmarks": {"landmark_weight": 0.0},
    "no_contour": {"contour_weight": 0.0},
    "no_size": {"size_weight": 0.0},
    "no_image": {"image_batch": 0},
    "no_pairs": {"paired_weight": 0.0},
    "misindexed": {"misindexed": True},
    "full_s": {},  # all convolution layers for every attribute
}


def train_ablations(names: list[str], config: ManipulationTraining, people: int) -> dict[str, Path]:
    """Name -> trained rig. `config`: of the variant with everything, outdir the folder of all; people: known pairs are made of."""
    generator = load_generator(config.generator).eval().requires_grad_(False)
    config = replace(config, image_size=min(128, generator.config.resolution))
    network = load_reconstruction(config.reconstruction)
    rig = load_rig(config.layers)
    selected = {name: manipulator.config.layers for name, manipulator in rig.manipulators_by_name().items()}
    everything = dict.fromkeys(selected, editable(rig.space))
    model = FaceModel.load(assets.require("head"))
    pairs = known_pairs(generator, network, people, dtype=feature_dtype(config.precision)) if people else None
    trained = {}
    for number, name in enumerate(names, 1):
        print(f"{name} ({number} of {len(names)})", file=sys.stderr)
        variant = replace(config, outdir=config.outdir / name, **VARIANTS[name])
        trained[name] = variant.outdir / "manipulation.safetensors"
        if not trained[name].exists():
            layers = everything if name == "full_s" else selected
            manipulation.train(variant, pairs, generator, network, rig.predictor, model, layers)
    return trained


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outdir", type=Path, default=Path("runs/ablations"), help="folder of the runs (default: runs/ablations)")
    parser.add_argument("--seen", type=Path, default=None, help="seen.safetensors of T's run: half of the people are drawn from it")
    parser.add_argument("--steps", type=int, default=600, help="training steps of each (default: 600)")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop each after this time; 0: no limit (default: 0)")
    parser.add_argument("--batch", type=int, default=24, help="codes a step (default: 24)")
    parser.add_argument("--people", type=int, default=512, help="people known pairs are made of; 0: no pairs (default: 512)")
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="NAME", help=", ".join(VARIANTS))
    options = parser.parse_args()
    try:
        rig = assets.require("manipulation")
        config = ManipulationTraining(
            generator=assets.require("generator-human"), attributes=rig, layers=rig, reconstruction=assets.require("reconstruction"),
            outdir=options.outdir, steps=options.steps, minutes=options.minutes, batch=options.batch, paired_batch=options.batch,
            image_batch=8, image_noise=0.05, contour_batch=2, seen=options.seen,
        )  # fmt: skip
        trained = train_ablations(options.only, config, options.people)
    except UserError as error:
        print(f"train_ablations: {error}", file=sys.stderr)
        return 1
    print("crossrig eval edits --controls 0 " + " ".join(f"--rig {name}={path}" for name, path in trained.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
