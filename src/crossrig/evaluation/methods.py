"""The methods that are compared, by the names of their figures.

    linear_w, linear_s   directions of a regression in W and in S           rig/baselines/linear.py
    channels             the best single StyleSpace channel per parameter   rig/baselines/channels.py
    ours_feedforward     M alone                                            rig/manipulation.py
    ours_passes          M twice: the second pass commands what T still finds missing
    ours                 M, then Gauss-Newton steps by T                    rig/refine.py
    ours_picture         M, then the same steps by what the reconstruction network sees in the picture
    stylerig_wplus, _s   StyleRig as published, and in S; trained weights are given   rig/baselines/stylerig.py

The first three baselines get the strength with which T is obeyed best (rig/baselines/gain.py).

Another method is one more entry in the mapping that `evaluate_edits` takes: anything that fulfils `rig.editors.Editor`. Another rig file
(an ablation: full S, a loss left out) is added by `rig_editor`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from crossrig.errors import UserError
from crossrig.evaluation.edits import OURS, RENDERED, TARGET
from crossrig.face3d.params import FaceParams
from crossrig.gan.generator import Generator
from crossrig.rig.baselines.channels import channels
from crossrig.rig.baselines.gain import amplified
from crossrig.rig.baselines.latents import Space, latents_of
from crossrig.rig.baselines.linear import linear_s, linear_w
from crossrig.rig.baselines.stylerig import StyleRigEditor
from crossrig.rig.editors import Editor, FeedForward, Refined
from crossrig.rig.manipulation import Rig
from crossrig.rig.reconstruction import Reconstruction
from crossrig.rig.refine import Refiner, picture_reader
from crossrig.rig.units import Units
from crossrig.rig.weights import load_stylerig

BASELINES: tuple[str, ...] = ("linear_w", "linear_s", "channels")
METHODS: tuple[str, ...] = (OURS, "ours_feedforward", "ours_passes", "ours_picture", *BASELINES)
#: Latent space of a StyleRig -> name of the method; there when its trained weights are given.
STYLERIGS: Mapping[Space, str] = MappingProxyType({"wplus": "stylerig_wplus", "s": "stylerig_s"})
#: What is evaluated unless a person says otherwise.
USUAL: tuple[str, ...] = (OURS, "ours_feedforward", *BASELINES)


def check_methods(names: Sequence[str]) -> tuple[str, ...]:
    """The names, once it is sure that all of them exist; raises UserError otherwise."""
    if trained := [name for name in names if name in STYLERIGS.values()]:
        raise UserError(f"The method {trained[0]} is not named but given: --stylerig FILE, with the weights of `crossrig train stylerig`.")
    unknown = [name for name in names if name not in METHODS]
    if unknown or not names:
        raise UserError(f"There is no method {', '.join(unknown) or '(none named)'}; the methods are {', '.join(METHODS)}.")
    return tuple(dict.fromkeys(names))


def check_name(name: str, taken: Sequence[str]) -> str:
    """The name of one more rig as a method: letters, digits and underscores, not taken. Raises UserError otherwise."""
    if not name.isidentifier() or name in (*METHODS, *STYLERIGS.values(), TARGET, RENDERED, "mean", "unedited", *taken):
        raise UserError(f'"{name}" cannot name a method: use letters, digits and underscores, and no name that is there already.')
    return name


@torch.no_grad()
def build_editors(
    names: Sequence[str],
    rig: Rig,
    generator: Generator,
    network: Reconstruction,
    units: Units,
    codes: tuple[Tensor, Tensor] | None,
) -> dict[str, Editor]:
    """Name -> editor, in the order of `names`. codes: styles (N,S) and labels (N,213) that T was trained on, for the baselines.

    Raises UserError when a baseline is wanted and there are no codes.
    """
    editors: dict[str, Editor] = {}
    for name in check_methods(names):
        if name in BASELINES:
            if codes is None:
                raise UserError(f"The method {name} learns from labelled codes, and none were given.")
            editors[name] = amplified(_baseline(name, rig, generator, *codes), rig.predictor, units, *codes)
        elif name in ("ours_feedforward", "ours_passes"):
            editors[name] = FeedForward(rig, passes=1 if name == "ours_feedforward" else 2)
        else:
            population = codes[0] if codes is not None else generator.affine(generator.map(_noise(generator)))
            spread = units.spread(FaceParams.concatenate([rig.predict(part) for part in torch.split(population, 1024)]))
            reader = picture_reader(generator, network) if name == "ours_picture" else None
            editors[name] = Refined(rig, Refiner(rig, units, spread, reader=reader))
    return editors


def _noise(generator: Generator, count: int = 1024) -> Tensor:
    return torch.randn(count, generator.config.z_dim, generator=torch.Generator().manual_seed(0))


def _baseline(name: str, rig: Rig, generator: Generator, styles: Tensor, labels: Tensor) -> Editor:
    if name == "linear_w":
        return linear_w(generator, styles, labels)
    if name == "linear_s":
        return linear_s(styles, labels)
    return channels(rig.predictor, styles, labels)


def stylerig_editors(files: Sequence[Path], generator: Generator, owner: str, rig: Rig) -> dict[str, Editor]:
    """Name -> StyleRig, as trained, without another strength. owner: SHA-256 of the generator.

    Raises UserError for files of another kind or generator, and for two in one latent space.
    """
    editors: dict[str, Editor] = {}
    for path in files:
        stylerig = load_stylerig(path, owner)
        name = STYLERIGS[stylerig.space]
        if name in editors:
            raise UserError(f"{path}: there is a {name} already; compare two of one latent space in two evaluations.")
        editors[name] = StyleRigEditor(stylerig, latents_of(stylerig.space, generator), rig.predictor)
    return editors


def rig_editor(rig: Rig) -> Editor:
    """One more rig, M alone."""
    return FeedForward(rig)
