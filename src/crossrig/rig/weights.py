"""Rig networks on disk: safetensors with a JSON header that is enough to rebuild them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from torch import Tensor, nn

from crossrig import checkpoint
from crossrig.config import from_mapping
from crossrig.errors import UserError
from crossrig.face3d.blocks import FaceSpace
from crossrig.gan.stylespace import StyleSpace
from crossrig.rig.attributes import AttributePredictor, AttributePredictorConfig
from crossrig.rig.baselines.stylerig import RigNet, RigNetConfig, StyleRig
from crossrig.rig.manipulation import Manipulator, ManipulatorConfig, Rig
from crossrig.rig.reconstruction import Reconstruction, ReconstructionConfig

Header = dict[str, object]


def _read(path: Path, kind: str) -> tuple[dict[str, Tensor], Header]:
    tensors, header = checkpoint.load(path)
    if header.get("kind") != kind:
        raise UserError(f"{path} holds a {header.get('kind', 'file of unknown kind')}, and a {kind} is needed; give another file.")
    return dict(tensors), dict(header)


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    try:
        module.load_state_dict(dict(tensors))
    except RuntimeError as error:
        raise UserError(f"{path}: the weights do not fit the architecture in its header; the file is damaged, get it again.") from error
    module.eval().requires_grad_(False)


def _mapping(value: object, path: Path) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise UserError(f"{path}: the header lacks the architecture; the file is damaged, get it again.")
    return value


def _about(notes: Mapping[str, object], space: FaceSpace) -> dict[str, object]:
    """The beginning of a header; it names the face model unless that is our own."""
    return dict(notes) | ({} if space == FaceSpace() else {"face_space": asdict(space)})


def _space(header: Mapping[str, object], path: Path) -> FaceSpace:
    found = header.get("face_space")
    return FaceSpace() if found is None else from_mapping(FaceSpace, _mapping(found, path), str(path))


def _trained_for(header: Mapping[str, object], path: Path, generator: str | None) -> str:
    """SHA-256 of the generator in a header; raises UserError when it is not `generator`."""
    trained_for = str(header.get("generator"))
    if generator is not None and trained_for != generator:
        raise UserError(
            f"{path} was trained for the generator {trained_for[:12]}, not for {generator[:12]}: "
            "codes of one generator mean nothing to another; use the rig that came with the generator or train one."
        )
    return trained_for


def save_reconstruction(path: Path, network: Reconstruction, notes: Mapping[str, object]) -> None:
    """Write a reconstruction network or judge; `notes` (data, seed, figures ...) go into the header."""
    checkpoint.save(path, network.state_dict(), _about(notes, network.space) | {"kind": "reconstruction", "config": asdict(network.config)})


def load_reconstruction(path: Path) -> Reconstruction:
    """Read a reconstruction network or judge, frozen and in evaluation mode. Raises UserError when the file is of another kind."""
    tensors, header = _read(path, "reconstruction")
    config = from_mapping(ReconstructionConfig, _mapping(header.get("config"), path), str(path))
    network = Reconstruction(config, space=_space(header, path))
    _fill(network, tensors, path)
    return network


def save_attributes(path: Path, predictor: AttributePredictor, notes: Mapping[str, object]) -> None:
    """Write T; `notes` must say which generator it reads ("generator": SHA-256)."""
    header = _about(notes, predictor.space) | {"kind": "attributes", "config": asdict(predictor.config)}
    checkpoint.save(path, predictor.state_dict(), header)


def load_attributes(path: Path) -> AttributePredictor:
    """Read T, frozen and in evaluation mode, from a file of its own or from a rig. Raises UserError when the file is of another kind."""
    if checkpoint.load_header(path).get("kind") == "rig":
        return load_rig(path).predictor
    tensors, header = _read(path, "attributes")
    config = from_mapping(AttributePredictorConfig, _mapping(header.get("config"), path), str(path))
    predictor = AttributePredictor(config, space=_space(header, path))
    _fill(predictor, tensors, path)
    return predictor


def save_rig(path: Path, rig: Rig, notes: Mapping[str, object]) -> None:
    """Write T and every M into one file. The header names the generator (SHA-256 in `rig.generator`) and the layers of each attribute."""
    header = _about(notes, rig.predictor.space) | {
        "kind": "rig",
        "generator": rig.generator,
        "style_space": {"resolution": rig.space.resolution, "channels": {str(r): n for r, n in rig.space.channels.items()}},
        "attributes": asdict(rig.predictor.config),
        "manipulators": {name: asdict(manipulator.config) for name, manipulator in rig.manipulators_by_name().items()},
    }
    checkpoint.save(path, rig.state_dict(), header)


def load_rig(path: Path, generator: str | None = None) -> Rig:
    """Read T and every M, frozen.

    With `generator` (a SHA-256; that of the parent for a latent-consistent child) raises UserError when the rig was trained for another.
    """
    return rig_of(*_read(path, "rig"), path, generator)


def rig_of(tensors: Mapping[str, Tensor], header: Mapping[str, object], path: Path, generator: str | None = None) -> Rig:
    """The rig of a checkpoint's tensors and header, as :func:`load_rig` reads it; `path` is named when they do not fit."""
    trained_for = _trained_for(header, path, generator)
    config = from_mapping(AttributePredictorConfig, _mapping(header.get("attributes"), path), str(path))
    predictor = AttributePredictor(config, space=_space(header, path))
    manipulators = {
        name: Manipulator(from_mapping(ManipulatorConfig, _mapping(config, path), str(path)))
        for name, config in _mapping(header.get("manipulators"), path).items()
    }
    table = _mapping(header.get("style_space"), path)
    channels = {int(resolution): int(str(count)) for resolution, count in _mapping(table.get("channels"), path).items()}
    rig = Rig(predictor, manipulators, StyleSpace(int(str(table.get("resolution"))), channels), trained_for)
    _fill(rig, tensors, path)
    return rig


def save_stylerig(path: Path, stylerig: StyleRig, notes: Mapping[str, object]) -> None:
    """Write a StyleRig. The header names its space, the generator (SHA-256 in `stylerig.generator`) and the layers of each network."""
    header = dict(notes) | {
        "kind": "stylerig",
        "generator": stylerig.generator,
        "space": stylerig.space,
        "networks": {name: asdict(network.config) for name, network in stylerig.networks_by_name().items()},
    }
    checkpoint.save(path, stylerig.state_dict(), header)


def load_stylerig(path: Path, generator: str | None = None) -> StyleRig:
    """Read a StyleRig, frozen. With `generator` (a SHA-256) raises UserError when it was trained for another."""
    tensors, header = _read(path, "stylerig")
    trained_for = _trained_for(header, path, generator)
    networks = {
        name: RigNet(from_mapping(RigNetConfig, _mapping(config, path), str(path)))
        for name, config in _mapping(header.get("networks"), path).items()
    }
    space = header.get("space")
    if space != "wplus" and space != "s":
        raise UserError(f"{path}: the header names no latent space; the file is damaged, get it again.")
    stylerig = StyleRig(networks, space, trained_for)
    _fill(stylerig, tensors, path)
    return stylerig
