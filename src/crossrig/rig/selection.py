"""A selection of layers on disk: what `rig.layers` chose, as JSON, or the layers that a rig was made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from crossrig.errors import UserError
from crossrig.face3d.params import ATTRIBUTES
from crossrig.files import write_text
from crossrig.gan.stylespace import StyleSpace
from crossrig.rig.layers import Scores, editable
from crossrig.rig.weights import load_rig


def save_selection(path: Path, chosen: Mapping[str, tuple[str, ...]], scores: Scores, notes: Mapping[str, object]) -> None:
    """Write the selection as JSON: {"layers": {attribute: [names]}, "scores": {attribute: {layer: score}}, ...}, atomically."""
    text = json.dumps(dict(notes) | {"layers": {name: list(layers) for name, layers in chosen.items()}, "scores": scores}, indent=1)
    write_text(path, text + "\n")


def load_selection(path: Path, space: StyleSpace) -> dict[str, tuple[str, ...]]:
    """Attribute -> layer names: of a selection, or the one that a rig (.safetensors) was made with.

    Raises UserError when the file does not name convolution layers of this style space for every attribute.
    """
    try:
        if path.suffix == ".safetensors":
            made_with = {name: manipulator.config.layers for name, manipulator in load_rig(path).manipulators_by_name().items()}
        else:
            made_with = json.loads(path.read_text(encoding="utf-8"))["layers"]
        chosen = {name: tuple(str(layer) for layer in made_with[name]) for name in ATTRIBUTES}
    except FileNotFoundError:
        raise UserError(f"There is no layer selection {path}: make one with `crossrig train layers`.") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is not a layer selection for every attribute: make it again with `crossrig train layers`.") from None
    for attribute, layers in chosen.items():
        unknown = [layer for layer in layers if layer not in editable(space)]
        if unknown or not layers:
            raise UserError(f"{path}: {attribute} names {unknown or 'no layer'}; layers that can be edited: {', '.join(editable(space))}.")
    return chosen
