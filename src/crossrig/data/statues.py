"""The same people carved and cast: plaster, sandstone, terracotta or bronze, lit by the light of the photograph.

The material follows the skin, from plaster for the lightest to bronze for the darkest, so that skin still means something to a child
generator. Pose, expression, shape and hair are those of the photograph; make-up, lashes, glasses and earrings are nothing a sculptor shows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from crossrig.data.geometry import BEARD, BROW, CLOTH, EYE, HAIR, MOUTH_INSIDE, SKIN, TEETH, TONGUE, Floats
from crossrig.data.people import Colour, Person, SkinDetail
from crossrig.data.portraits import Scene, accessories, assemble, develop, head_surface, look_at, shade_scene
from crossrig.data.shader import A_AUX, A_COLOUR, ATTRIBUTES, resolve
from crossrig.data.styles import combed

if TYPE_CHECKING:
    from crossrig.data.wardrobe import Wardrobe

#: Darkness of the skin -> linear RGB, share of polish: plaster, sandstone, terracotta, bronze.
_MATERIALS: Final = (
    (0.00, (0.74, 0.72, 0.68), 0.15),
    (0.35, (0.56, 0.45, 0.32), 0.20),
    (0.65, (0.42, 0.17, 0.09), 0.35),
    (0.90, (0.085, 0.055, 0.030), 3.00),
)
_IRIS: Final = (0.22, 0.52)  # radians off the axis of the eye: the drilled pupil, and the line around the iris
_LINE: Final = 0.06  # radians: width of that line
_RELIEF: Final = {HAIR: 0.86, BEARD: 0.86, BROW: 0.80, CLOTH: 0.94}  # how bright carved strands and folds are beside the smooth face


def material_of(darkness: float) -> tuple[Colour, float]:
    """Linear RGB and polish of the statue of somebody whose skin has this darkness, 0 to 1."""
    darknesses = [row[0] for row in _MATERIALS]
    red, green, blue = (float(np.interp(darkness, darknesses, [row[1][channel] for row in _MATERIALS])) for channel in range(3))
    return (red, green, blue), float(np.interp(darkness, darknesses, [row[2] for row in _MATERIALS]))


def _surface(person: Person, polish: float) -> SkinDetail:
    """Stone in the place of skin: its grain, its chisel marks and its polish, and nothing of what skin has."""
    random = person.rng(9)
    return SkinDetail(
        mottling=float(random.uniform(0.6, 1.6)), freckles=0.0, blemishes=0.0, moles=0.0, roughness=float(random.uniform(0.6, 1.8)),
        sheen=polish, flush=0.0, wrinkles=person.skin.wrinkles, under_eye=0.0, lipstick=0.0, lip_colour=(0.0, 0.0, 0.0), gloss=0.0,
        liner=0.0, shadow=0.0, shadow_colour=(0.0, 0.0, 0.0), blush=0.0,
    )  # fmt: skip


def carved(scene: Scene, colour: Colour) -> Scene:
    """The scene in one material: everything has its colour and is lit as its surface; pupils are drilled, strands are cut lines."""
    attributes = scene.attributes.copy()
    attributes[:, A_COLOUR : A_COLOUR + 3] = colour
    for kind, share in _RELIEF.items():
        attributes[_vertices(scene, kind), A_COLOUR : A_COLOUR + 3] *= np.float32(share)
    eye = _vertices(scene, EYE)
    attributes[eye, A_COLOUR : A_COLOUR + 3] *= _drilled(attributes[eye, A_AUX : A_AUX + 3])[:, None]
    inside = np.concatenate([_vertices(scene, kind) for kind in (TONGUE, MOUTH_INSIDE)])
    attributes[inside, A_COLOUR : A_COLOUR + 3] *= np.float32(0.6)
    whole = np.concatenate([_vertices(scene, kind) for kind in (SKIN, EYE, TEETH, TONGUE, MOUTH_INSIDE, CLOTH)])
    attributes[whole, A_AUX:ATTRIBUTES] = 0.0  # no lips, no cheeks: masks of what skin has
    material = np.where(np.isin(scene.material, (EYE, TEETH, TONGUE, MOUTH_INSIDE, CLOTH)), SKIN, scene.material).astype(np.uint8)
    return replace(scene, attributes=attributes, material=material)


def _vertices(scene: Scene, kind: int) -> NDArray[np.int32]:
    return np.unique(scene.faces[scene.material == kind])


def _drilled(direction: Floats) -> Floats:
    """(N, 3) places on the ball in the eye's frame -> (N,) brightness: dark in the pupil and in the line around the iris."""
    angle = np.arccos(np.clip(direction[:, 2] / np.maximum(np.linalg.norm(direction, axis=1), 1e-6), -1.0, 1.0))
    pupil, line = angle < _IRIS[0], np.abs(angle - _IRIS[1]) < _LINE
    return np.where(pupil, 0.25, np.where(line, 0.5, 1.0)).astype(np.float32)


def gallery(person: Person, size: int) -> Floats:
    """The wall behind, linear RGB (size, size, 3): grey, of a darkness of its own, lighter on one side."""
    random = person.rng(10)
    level, slope = float(np.exp(random.uniform(-3.5, -0.9))), float(random.uniform(-0.4, 0.4))
    warmth = float(random.uniform(-0.08, 0.08))
    across = np.linspace(-1, 1, size, dtype=np.float32)[None, :, None]
    down = np.linspace(0.15, -0.15, size, dtype=np.float32)[:, None, None]
    tint = np.array([1 + warmth, 1.0, 1 - warmth], np.float32)
    return np.asarray(level * (1 + slope * across + down) * tint, np.float32)


def render_statue(person: Person, size: int, supersample: int = 2, wardrobe: Wardrobe | None = None) -> NDArray[np.uint8]:
    """The person as a statue: (size, size, 3) uint8 sRGB, same pose, expression, shape and light as the photograph."""
    colour, polish = material_of(person.traits.darkness)
    person = replace(person, skin=_surface(person, polish), glasses=None, earrings=None)
    head = head_surface(person)
    scene = assemble(person, head, accessories(person, head, size, wardrobe))
    visible = combed(scene, look_at(scene, size * supersample))
    linear = shade_scene(person, carved(scene, colour), visible, merge=supersample == 2)
    out = np.empty((size, size, 3), np.float32)
    resolve(linear, visible.triangle, gallery(person, size), supersample, out)
    return develop(person, out)
