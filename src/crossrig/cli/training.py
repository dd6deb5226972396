"""`crossrig train` and `rig`."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossrig.cli.parser import Parser, add
from crossrig.config import add_options, from_options, load_toml
from crossrig.errors import UserError


@dataclass(frozen=True)
class Recipe:
    """A training recipe: `train(config)` of a module, with the dataclass of its settings."""

    module: str
    settings: str
    meaning: str
    fixed: tuple[tuple[str, str], ...] = ()
    """Settings that make it this recipe."""


#: Name on the command line -> recipe. Modules are loaded when asked for: each brings a good part of the library along.
RECIPES: Mapping[str, Recipe] = {
    "generator": Recipe("crossrig.train.generator", "GeneratorTraining", "StyleGAN2 of human faces"),
    "reconstruction": Recipe("crossrig.train.reconstruction", "ReconstructionTraining", "picture -> face parameters"),
    "judge": Recipe(
        "crossrig.train.reconstruction", "ReconstructionTraining",
        "a second reconstruction network, for evaluation only", (("role", "judge"),),
    ),
    "encoder": Recipe("crossrig.train.encoder", "EncoderTraining", "picture -> W+ of a generator"),
    "mapping": Recipe("crossrig.train.mapping", "MappingTraining", "a mapping network for the people whom an encoder sees"),
    "attributes": Recipe("crossrig.train.attributes", "AttributesTraining", "T: style code -> face parameters"),
    "layers": Recipe("crossrig.train.layers", "LayersTraining", "which style layers belong to which attribute"),
    "manipulation": Recipe("crossrig.train.manipulation", "ManipulationTraining", "M: moves style codes as commanded"),
    "stylerig": Recipe("crossrig.train.stylerig", "StyleRigTraining", "StyleRig, a baseline for M and a probe for the layers"),
    "child": Recipe("crossrig.train.child", "ChildTraining", "a child generator, from people drawn in another style"),
    "detector": Recipe("crossrig.train.detector", "DetectorTraining", "finder of drawn faces"),
}  # fmt: skip


def train_command(commands: Any, words: Sequence[str]) -> None:
    parser: Parser = commands.add_parser("train", help="Train a network.", description="Train a network.")
    parser.set_defaults(parser=parser)
    recipes = parser.add_subparsers(title="recipes", metavar="RECIPE", parser_class=Parser, required=True)
    for name, recipe in RECIPES.items():
        epilog = "A run that was interrupted continues when the same command is given again."
        child = add(recipes, name, _train, f"Train: {recipe.meaning}.", epilog)
        child.set_defaults(recipe=name)
        child.add_argument("--config", type=Path, metavar="FILE.toml", help="settings; options given here go before them")
        if list(words[:2]) == ["train", name]:
            settings, _ = load_recipe(name)
            add_options(child, settings)


def load_recipe(name: str) -> tuple[type[Any], Callable[[Any], Path]]:
    """Settings class and training function of a recipe."""
    recipe = RECIPES[name]
    try:
        module = importlib.import_module(recipe.module)
    except ModuleNotFoundError as error:
        if error.name != recipe.module:
            raise
        raise UserError(f"This version of crossrig has no recipe for {name}.") from error
    return getattr(module, recipe.settings), module.train


def _train(options: argparse.Namespace) -> None:
    settings, train = load_recipe(options.recipe)
    for field, value in RECIPES[options.recipe].fixed:
        setattr(options, field, value)
    base = load_toml(settings, options.config) if options.config is not None else None
    if options.recipe == "judge" and not hasattr(options, "outdir") and base is None:
        options.outdir = "runs/judge"
    report(train(from_options(settings, options, base)))


def rig_command(commands: Any, words: Sequence[str]) -> None:
    parser = add(
        commands, "rig", _rig, "Rig a generator of faces: train T and M for it, measure them, and make one file that `edit --model` takes.",
        "A rigging that was interrupted continues when the same command is given again.\n\n"
        "example:\n  crossrig import generator ffhq.pkl -o ffhq.safetensors\n"
        "  crossrig rig ffhq.safetensors --name ffhq --device cuda\n  crossrig edit photo.jpg -o out.png --model ffhq --yaw 25",
    )  # fmt: skip
    parser.add_argument("generator", type=Path, metavar="GENERATOR", help="generator.safetensors, trained here or imported")
    if list(words[:1]) == ["rig"]:
        from crossrig.train.rig import RigTraining

        add_options(parser, RigTraining, leave_out=("generator",))


def _rig(options: argparse.Namespace) -> None:
    from crossrig.train.rig import RigTraining, train

    report(train(from_options(RigTraining, options)))


def report(result: Path) -> None:
    """Print what a recipe has made; of several processes that made it together, one does."""
    from crossrig.train.parallel import Processes

    if Processes.join().first:
        print(result)
