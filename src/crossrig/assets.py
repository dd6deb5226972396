"""Finding the weights that ship with the package, and saying how to get those that are missing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from crossrig import checkpoint
from crossrig.errors import UserError

#: Environment variable naming a folder whose files are preferred to the shipped ones (own networks, tests).
FOLDER_VARIABLE = "CROSSRIG_ASSETS"

#: Name -> (what it is, how to make it).
ASSETS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "head": ("3D face model", "python scripts/build_face_model.py"),
        "scalp": ("hair roots and the space around the head", "python scripts/build_scalp.py"),
        "generator-human": ("human generator", "crossrig train generator"),
        "generator-toon": ("toon generator", "crossrig train child"),
        "generator-painting": ("generator of paintings", "crossrig train child"),
        "generator-sketch": ("generator of pencil drawings", "crossrig train child"),
        "generator-statue": ("generator of statues", "crossrig train child"),
        "generator-avatar": ("generator of avatars", "crossrig train child"),
        "reconstruction": ("picture -> face parameters", "crossrig train reconstruction"),
        "judge": ("second reconstruction network, for evaluation only", "crossrig train judge"),
        "encoder": ("picture -> W+ of the human generator", "crossrig train encoder"),
        "manipulation": ("T and M together: the rig", "crossrig train manipulation"),
        "detector": ("finder of drawn faces", "crossrig train detector"),
    }
)


@dataclass(frozen=True)
class Asset:
    """One network or model file and what is known about it."""

    name: str
    meaning: str
    path: Path | None
    """None when it is missing."""
    sha256: str | None
    """64 hexadecimal digits."""
    size: int
    """Bytes."""
    problem: str | None
    """One sentence when the file is missing or cannot be used."""


def shipped_folder() -> Path:
    """Where the package keeps its weights."""
    return Path(__file__).parent / "assets"


def folders() -> tuple[Path, ...]:
    """Folders searched, in order."""
    own = os.environ.get(FOLDER_VARIABLE)
    return (Path(own), shipped_folder()) if own else (shipped_folder(),)


def find(name: str) -> Path | None:
    """The file of an asset, or None when it is missing. KeyError for a name that is not in ``ASSETS``."""
    if name not in ASSETS:
        raise KeyError(f"no asset '{name}'; there are {', '.join(ASSETS)}")
    for folder in folders():
        path = folder / f"{name}.safetensors"
        if path.is_file():
            return path
    return None


def require(name: str) -> Path:
    """The file of an asset. Raises :class:`UserError` saying how to get it when it is missing."""
    path = find(name)
    if path is None:
        raise UserError(_missing(name))
    return path


def parent_of(path: str | Path, header: Mapping[str, Any]) -> Path:
    """The file of the parent of a child that is stored as its difference (`gan/difference.py`), from the child's path and header.

    It is looked for by its name beside the child and among the networks in use, and known by its hash. UserError when it is not there.
    """
    parent = header.get("parent")
    name, sha256 = (parent.get("name"), parent.get("sha256")) if isinstance(parent, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(sha256, str) or Path(name).name != name:
        raise UserError(f"the header of {path} does not name the parent that it is a difference from; download or make it again")
    places = dict.fromkeys([Path(path).parent, *folders()])
    for folder in places:
        file = folder / f"{name}.safetensors"
        if file.is_file() and checkpoint.sha256(file) == sha256:
            return file
    raise UserError(
        f"{path} is a difference from the {name}.safetensors with the SHA-256 {sha256[:12]}..., and that very file is not in "
        f"{' or '.join(str(folder) for folder in places)}: put it there, or use a whole generator."
    )


def inventory() -> list[Asset]:
    """Every asset, with its hash, or why it cannot be used."""
    return [_inspect(name) for name in ASSETS]


def _inspect(name: str) -> Asset:
    meaning = ASSETS[name][0]
    path = find(name)
    if path is None:
        return Asset(name, meaning, None, None, 0, _missing(name))
    problem = None
    try:
        header = checkpoint.load_header(path)
        if "parent" in header:
            parent_of(path, header)
    except UserError as error:
        problem = str(error)
    return Asset(name, meaning, path, checkpoint.sha256(path), path.stat().st_size, problem)


def _missing(name: str) -> str:
    meaning, recipe = ASSETS[name]
    where = " or ".join(str(folder) for folder in folders())
    return (
        f"{name}.safetensors ({meaning}) is missing from {where}: install a release that contains it, or make it with "
        f"`{recipe}` and put it there."
    )
