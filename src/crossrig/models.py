"""Rigged generators of one's own: generator, T, M and encoder in one file, found by name.

`crossrig rig` makes such a file; `crossrig edit --model NAME` edits with it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs
from torch import Tensor

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.gan.generator import Generator
from crossrig.gan.weights import KIND as GENERATOR
from crossrig.gan.weights import generator_of, load_generator
from crossrig.inversion.encoder import Encoder, encoder_of
from crossrig.rig.manipulation import Rig
from crossrig.rig.weights import rig_of

#: Environment variable naming the folder of models; without it they are with the user's data.
FOLDER_VARIABLE = "CROSSRIG_MODELS"
KIND = "model"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Model:
    """A generator with its rig."""

    name: str
    generator: Generator
    rig: Rig
    encoder: Encoder | None
    """None: inversions start at the mean w and take longer."""
    facts: Mapping[str, Any]
    """Hashes of the parts, and the figures of the evaluation."""


def folder() -> Path:
    """Where models are kept."""
    own = os.environ.get(FOLDER_VARIABLE)
    return Path(own) if own else Path(platformdirs.user_data_dir("crossrig", appauthor=False)) / "models"


def check_name(name: str) -> str:
    """The name itself. Raises :class:`UserError` for one that is no plain file name, or that a shipped domain has."""
    if not _NAME.fullmatch(name) or name in ("auto", "human", "toon"):
        raise UserError(f'A model cannot be called "{name}": use letters, digits, dots and dashes, and not auto, human or toon.')
    return name


def path_of(name: str) -> Path:
    """The file of a model, by its name."""
    return folder() / f"{check_name(name)}.safetensors"


def find(name: str) -> Path:
    """The file of a model that exists, by its name or its path. Raises :class:`UserError` naming those there are."""
    if name.endswith(".safetensors"):
        return Path(name)
    path = path_of(name)
    if not path.is_file():
        known = sorted(file.stem for file in folder().glob("*.safetensors"))
        there = f"there are {', '.join(known)}" if known else "there is none yet; `crossrig rig GENERATOR --name NAME` makes one"
        raise UserError(f'There is no model "{name}" in {folder()}: {there}.')
    return path


def save(path: Path, name: str, generator: Path, rig: Path, encoder: Path | None, facts: Mapping[str, Any]) -> None:
    """Write the model made of these checkpoints; `facts` are added to its header.

    Raises :class:`UserError` when the rig was trained for another generator.
    """
    whole = load_generator(generator)  # a child stored as a difference is stored whole here
    tensors: dict[str, Tensor] = {f"generator.{key}": tensor for key, tensor in whole.state_dict().items()}
    headers: dict[str, Any] = {"generator": {"kind": GENERATOR, "config": asdict(whole.config)}}
    for part, file in {"rig": rig, "encoder": encoder}.items():
        if file is not None:
            found, headers[part] = checkpoint.load(file)
            tensors |= {f"{part}.{key}": tensor for key, tensor in found.items()}
    tensors = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}
    owner = checkpoint.sha256(generator)
    if headers["rig"].get("generator") != owner:
        raise UserError(f"{rig} was trained for another generator than {generator}; rig this one anew.")
    checkpoint.save(path, tensors, dict(facts) | {"kind": KIND, "name": name, "parts": headers, "generator_sha256": owner})


def load(name: str) -> Model:
    """Read a model by its name or its path. Raises :class:`UserError` when there is none or the file is something else."""
    path = find(name)
    tensors, header = checkpoint.load(path)
    parts = header.get("parts")
    if header.get("kind") != KIND or not isinstance(parts, dict) or not {"generator", "rig"} <= parts.keys():
        raise UserError(f"{path} holds no rigged generator; `crossrig rig GENERATOR --name NAME` makes one.")

    def part(which: str) -> tuple[dict[str, Tensor], dict[str, Any], Path]:
        own = {key.removeprefix(f"{which}."): tensor for key, tensor in tensors.items() if key.startswith(f"{which}.")}
        return own, parts[which], path

    encoder = encoder_of(*part("encoder")) if "encoder" in parts else None
    return Model(str(header.get("name", path.stem)), generator_of(*part("generator")), rig_of(*part("rig")), encoder, header)
