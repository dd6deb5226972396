"""Known pairs for M: the same person twice, but for one attribute, as codes of a generator whose z contains the person code.

Our human generator starts supervised: it paints the portrait whose person code lies in z (`gan.codes`). So a pair of codes that differ in
the numbers of one attribute only, mapped to s, is a known edit. How far it goes the reconstruction network says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossrig.data.people import CODE_BLOCKS, CODE_SIZE, person, sample_code
from crossrig.face3d.params import ATTRIBUTES, BLOCKS, FaceParams
from crossrig.gan.codes import code_rotation, z_from_code
from crossrig.gan.generator import Generator
from crossrig.rig.reading import see
from crossrig.rig.reconstruction import Reconstruction

#: Which blocks of a person code decide each attribute.
CODES_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "shape": ("shape",),
        "expression": ("drivers", "units"),
        "albedo": ("albedo",),
        "illumination": ("light",),
        "pose": ("pose",),
    }
)
_LIKELY = 2.5  # numbers of a code are standard normals; further out the generator has seen next to nothing
_SAME_LIGHT = 0.2  # natural logarithm of the ratio of two strengths that still counts as the same light

Floats = NDArray[np.floating]

#: (attribute, n) -> (s (n,S), s_target (n,S), dP (n, attribute size)): codes of the same person but for one attribute.
Pairs = Callable[[str, int], tuple[Tensor, Tensor, Tensor]]


def code_mask(attribute: str) -> NDArray[np.bool_]:
    """(CODE_SIZE,) bool: the numbers of a person code that decide an attribute."""
    return np.concatenate([np.full(size, block in CODES_OF[attribute]) for block, size in CODE_BLOCKS.items()])


def exposure_index(code: Floats) -> int:
    """Which number of a person code makes the light stronger or weaker and changes nothing else about it; found by trying."""
    light = person(code, 0).blocks["illumination"]
    best, best_residual = -1, math.inf
    for index in np.flatnonzero(code_mask("illumination")):
        changed = code.copy()
        changed[index] += 0.5
        other = person(changed, 0).blocks["illumination"]
        scale = float(light @ other) / float(light @ light)
        residual = float(np.linalg.norm(other - scale * light))
        if abs(scale - 1) > 0.01 and residual < best_residual:
            best, best_residual = int(index), residual
    return best


def hold_light(code: Floats, wanted: Floats, exposure: int) -> Floats:
    """A copy of a person code with the exposure number set so that the illumination is as strong as `wanted` (27,) again.

    Portraits are exposed for the skin: without this a person of another skin colour would also stand in another light.
    """

    def strength(values: Floats) -> float:
        return math.log(float(np.linalg.norm(person(values, 0).blocks["illumination"])))

    held = code.copy()
    goal = math.log(float(np.linalg.norm(wanted)))
    at, probe = strength(held), held.copy()
    probe[exposure] += 0.5
    slope = (strength(probe) - at) / 0.5
    for _ in range(2):
        held[exposure] = np.clip(held[exposure] + (goal - at) / slope, -_LIKELY, _LIKELY)
        at = strength(held)
    return held


def _label(code: Floats) -> Floats:
    someone = person(code, 0)
    return np.concatenate([someone.blocks[block] for block in BLOCKS])


@torch.no_grad()
def known_pairs(
    generator: Generator, network: Reconstruction, pool: int = 1024, seed: int = 900_000_001, dtype: torch.dtype | None = None
) -> Pairs:
    """A source of pairs for `train.manipulation`, drawn from `pool` people made once (some minutes). `dtype`: of the painted features.

    dP is what the network sees change between the two pictures, not what changed in the person codes: a generator that learned from codes
    shows only a part of what they ask for (of light and expression about 40 %), and M taught by the codes would stop there, too.

    What else an attribute drags along in a person (gaze follows the head a little, stubble the shape of the face) is part of s_target but
    not of dP; it is small (below a tenth of a spread).
    """
    rotation = code_rotation(generator.config.z_dim)
    random = torch.Generator().manual_seed(seed)
    codes = np.stack([sample_code(seed, index)[0] for index in range(pool)])  # (N,C)
    exposure = exposure_index(codes[0])
    labels = FaceParams.unpack(torch.from_numpy(np.stack([_label(code) for code in codes])))
    free = torch.randn(pool, generator.config.z_dim - CODE_SIZE, generator=random)

    def styles_of(persons: Floats) -> Tensor:
        return generator.affine(generator.map(z_from_code(torch.from_numpy(persons).float(), rotation, free)))

    before = styles_of(codes)
    shown = see(network, generator, before, dtype)
    ready: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
    for attribute in ATTRIBUTES:
        changed = np.where(code_mask(attribute), np.roll(codes, 1, axis=0), codes)
        if attribute == "albedo":
            lights = labels.illumination.numpy()
            changed = np.stack([hold_light(code, light, exposure) for code, light in zip(changed, lights, strict=True)])
        goal = FaceParams.unpack(torch.from_numpy(np.stack([_label(code) for code in changed])))
        usable = torch.arange(pool)
        if attribute == "albedo":  # from very dark to very light skin the exposure cannot follow all the way
            strength = goal.illumination.norm(dim=1) / labels.illumination.norm(dim=1)
            usable = usable[strength.log().abs() < _SAME_LIGHT]
        after = styles_of(changed)
        command = see(network, generator, after, dtype).attribute(attribute) - shown.attribute(attribute)
        ready[attribute] = after, command, usable

    def pairs(attribute: str, count: int) -> tuple[Tensor, Tensor, Tensor]:
        after, command, usable = ready[attribute]
        index = usable[torch.randint(len(usable), (count,))]
        return before[index], after[index], command[index]

    return pairs
