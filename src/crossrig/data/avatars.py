"""The same people as avatars: the parts of Johan Melin's ToonHead (CC BY 4.0), chosen, coloured and bent to a person.

The designer drew heads from in front, in a handful of hair cuts, mouths and eyes. Here such a drawing stands in for a rig of its own:

- *build*: the landmarks of the person's head, against those of the mean head, move the parts that lie where they do (`data/puppet.py`);
- *expression*: lids, gaze, brows and lips follow the landmarks of the face; how the mouth is drawn goes by how it is opened;
- *pose*: parts lie on a head-shaped ellipsoid that is turned under the drawing, ears and the hair behind on their own depths (there, too);
- *skin, hair, clothes*: colours of the person, the cut and the beard nearest to the person's;
- *light*: all colours get its colour and strength; a crescent of shade lies away from it and a paler one towards it.

Glasses, earrings and make-up are nothing that this designer draws.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossrig.data.flat import Canvas, Colour, Points, flatten
from crossrig.data.lights import LUMINANCE, drawn_light, sh_functions
from crossrig.data.people import Person
from crossrig.data.portraits import encode
from crossrig.data.puppet import Face, Turned

_FILE: Final = Path(__file__).resolve().parent.parent / "assets" / "toon_head.json"

_INK: Final = 0.0055  # width of lines, in half frames
_NECK: Final = np.array([[335.5, 565.0], [432.5, 565.0], [432.5, 480.0], [335.5, 480.0]])
_SHADE: Final = 0.2  # the designer's opacity of shade


@dataclass(frozen=True, eq=False)
class Shape:
    """One filled shape of a part: polygons (N, 2) in drawing units."""

    fill: str  # a colour, or skin, hair, clothes
    opacity: float
    inked: bool
    polygons: tuple[Points, ...]
    cut: tuple[Points, ...] | None  # what it is seen through


@cache
def parts() -> Mapping[str, tuple[Shape, ...]]:
    """`group.name` -> shapes from the back to the front, as `tools/avatars/parts.mjs` wrote them."""

    def polygons(outlines: list[list[list[float]]]) -> tuple[Points, ...]:
        return tuple(flatten(np.array(outline, np.float64)) for outline in outlines)

    def shape(entry: Mapping[str, object]) -> Shape:
        outlines, cut = entry["outlines"], entry["cut"]
        assert isinstance(outlines, list)
        seen_through = polygons(cut) if isinstance(cut, list) else None
        return Shape(str(entry["fill"]), float(str(entry["opacity"])), bool(entry["stroke"]), polygons(outlines), seen_through)

    read = json.loads(_FILE.read_text(encoding="utf-8"))["parts"]
    return MappingProxyType({name: tuple(shape(entry) for entry in shapes) for name, shapes in read.items()})


# ---------------------------------------------------------------------------------------------------------------------------- colours


def _srgb(linear: tuple[float, float, float] | NDArray[np.floating]) -> Colour:
    red, green, blue = encode(np.clip(np.asarray(linear, np.float32), 0, 1)[None])[0].tolist()
    return (red, green, blue)


def _hex(text: str) -> Colour:
    if text == "black":
        return (0.0, 0.0, 0.0)
    return (int(text[1:3], 16) / 255, int(text[3:5], 16) / 255, int(text[5:7], 16) / 255)


def _palette(person: Person) -> dict[str, Colour]:
    """Flat colours of skin, hair, clothes and irises."""
    grey = person.hair.greyness
    hair = (1 - grey) * np.array(person.hair.colour) + grey * np.array([0.55, 0.55, 0.56])
    colours = {
        "skin": 1.15 * np.array(person.traits.skin) + 0.02,
        "hair": 1.3 * hair + 0.012,
        "clothes": np.array(person.clothes.colour) + 0.02,
        "iris": 0.5 * np.array(person.eyes.inner) + [0.012, 0.006, 0.005],
    }
    return {name: _srgb(colour) for name, colour in colours.items()}


def _backdrop(person: Person) -> Colour:
    base = np.array(person.backdrop.base)
    base = base / max(float(base @ LUMINANCE), 0.02)
    return _srgb(0.62 * (0.55 + 0.45 * np.clip(base, 0.2, 2.0)))


# ------------------------------------------------------------------------------------------------------------------------- which parts


def _cut(person: Person) -> tuple[str | None, str | None]:
    """Parts for the hair before and behind the head that come nearest to the person's."""
    hair = person.hair
    if hair.ribbons == 0 or hair.balding > 0.07:
        return None, None
    if hair.gather:
        return ("bun" if hair.gather == "bun" else "sideComed"), None
    if hair.length_side < 0.06 and hair.length_top < 0.12:
        return ("spiky" if hair.wave > 0 or hair.lift > 0.9 else "undercut"), None
    if hair.lowest > 0.03:
        return "sideComed", None
    if hair.lowest > -0.04:
        return "sideComed", "neckHigh"
    if hair.wave > 0.004:
        return "sideComed", "longWavy" if hair.roundness < 0.6 else "shoulderHigh"
    return "sideComed", "longStraight"


def _beard(person: Person) -> str | None:
    beard = person.beard
    if beard is None or beard.shadow <= 0.1:
        return None
    if beard.length < 0.005 or beard.chin < 0.5:
        return "moustacheTwirl" if beard.moustache_length >= 0.005 and beard.moustache > 0.3 else None
    if beard.cheeks < 0.5:
        return "chinMoustache"
    return "fullBeard" if beard.length < 0.03 else "longBeard"


_GARMENTS: Final = MappingProxyType(
    {"tee": "tShirt", "turtleneck": "turtleNeck", "shirt": "shirt", "jacket": "openJacket", "hoodie": "tShirt", "top": "dress"}
)


# ---------------------------------------------------------------------------------------------------------------------------- drawing

Placing = Callable[[Points], Points]


class _Drawing:
    """A drawing under way."""

    def __init__(self, person: Person, size: int, supersample: int) -> None:
        self.canvas = Canvas(size, supersample, _backdrop(person))
        self._colours = _palette(person)
        self._light = drawn_light(person.lighting) ** (1 / 2.2)  # on sRGB

    def part(self, name: str, placed: Placing) -> None:
        """All shapes of a part."""
        for shape in parts()[name]:
            self.shape(shape, placed)

    def shape(self, shape: Shape, placed: Placing, seen_through: Sequence[Points] | None = None) -> None:
        """One shape, its points moved by `placed`; what it is `seen_through`, in the frame, goes before the part's own cut."""
        polygons = [placed(polygon) for polygon in shape.polygons]
        if seen_through is None and shape.cut is not None:
            seen_through = [placed(polygon) for polygon in shape.cut]
        cut = None if seen_through is None else self.canvas.mask(seen_through)
        red, green, blue = np.minimum(self._light * (self._colours.get(shape.fill) or _hex(shape.fill)), 1.0).tolist()
        self.canvas.fill(polygons, (red, green, blue), shape.opacity, cut)
        if shape.inked:
            self.canvas.ink(polygons, (0.0, 0.0, 0.0), _INK)


def _pieces() -> tuple[Points, Points, Points]:
    """The designer's head, which is one outline, as skull and ears on the left and on the right."""
    edge = parts()["head.head"][0].polygons[0].reshape(8, -1, 2)  # eight curves
    left = np.concatenate([edge[7], edge[0]])
    right = np.concatenate([edge[3], edge[4]])
    skull = np.concatenate([edge[1], edge[2], edge[3][:1], edge[5], edge[6]])
    return skull, left, right


def _eyes(drawing: _Drawing, face: Face, turned: Turned) -> None:
    def on_face(points: Points) -> Points:
        return turned.face(face.bend(points))

    happy = 0.5 * (face.units["mouthSmileLeft"] + face.units["mouthSmileRight"]) > 0.3
    for side, first in (("Right", 36), ("Left", 42)):  # the person's own right eye is drawn on the left
        number, centre = (0, np.array([306.0, 408.0])) if side == "Right" else (1, np.array([462.0, 408.0]))
        opened = face.openness(first)
        if opened < 0.4:
            lids = parts()["eyes.bow" if happy else "eyes.humble"][0]
            drawing.shape(replace(lids, polygons=(lids.polygons[number],)), on_face)
            continue
        outwards = 1.0 if side == "Left" else -1.0
        across = face.units[f"eyeLookOut{side}"] - face.units[f"eyeLookIn{side}"]
        look = 20.0 * np.array([outwards * across, face.units[f"eyeLookDown{side}"] - face.units[f"eyeLookUp{side}"]])
        white, iris, lashes = parts()["eyes.wide" if opened > 1.25 else "eyes.happy"][3 * number : 3 * number + 3]
        height = np.array([1.0, min(max(opened, 0.45), 1.35)])

        def lidded(points: Points, centre: Points = centre, height: Points = height) -> Points:
            return turned.face(face.bend(centre + (points - centre) * height))

        drawing.shape(white, lidded)
        seen_through = (*white.polygons, *lashes.polygons)
        gazing = tuple(polygon + look for polygon in iris.polygons)
        drawing.shape(replace(iris, fill="iris", polygons=gazing, cut=None), on_face, [lidded(polygon) for polygon in seen_through])
        drawing.shape(lashes, lidded)


def _mouth(drawing: _Drawing, face: Face, turned: Turned) -> None:
    """One of the designer's mouths, laid between the corners and the lips of the person; `box`: where he has it."""
    lips = face.lips()
    gap, lift = lips.gap, lips.lift
    if gap < 9.0:
        name, box, gap = "smile" if lift > -3.0 else "sad", (326.0, 500.0, 443.0, 516.0), 16.0
    elif lift > 12.0:
        name, box = "laugh", (336.5, 487.0, 431.5, 539.0)
    elif lift < -14.0:
        name, box = "angry", (336.5, 487.0, 431.5, 531.0)
    else:
        name, box = "agape", (363.0, 487.0, 404.0, 539.0)
    left, top, right, bottom = box
    half = (0.65 if name == "agape" else 0.9) * lips.half_width
    middle = np.array([384.0 + lips.right, 506.0 + lips.down])

    def laid(points: Points) -> Points:
        across = (points[:, 0] - 0.5 * (left + right)) / (0.5 * (right - left))
        down = (points[:, 1] - top) / (bottom - top)
        bow = (across**2 - 0.4) * lift  # the corners lie higher than the middle
        return np.stack([middle[0] + half * across, middle[1] - bow + (down - 0.35) * gap], axis=1)

    def on_face(points: Points) -> Points:
        return turned.face(face.bend(laid(points)))

    shapes = parts()[f"mouth.{name}"]
    if name == "smile":
        shapes = shapes[1:]
    for shape in shapes:
        drawing.shape(shape, on_face)


def _shade(drawing: _Drawing, person: Person, skull: Points) -> None:
    """A crescent of shade on the side of the head that is away from the light, as dark as that is, and one of shine on the other."""
    normals = np.array([[0.9, 0.1, 0.42], [-0.9, 0.1, 0.42], [0.0, 0.9, 0.42], [0.0, -0.9, 0.42]])
    right, left, above, below = np.maximum(sh_functions(normals) @ person.lighting.coefficients(), 1e-4) @ LUMINANCE
    towards = np.array([(right - left) / (right + left), 0.5 * (above - below) / (above + below)])
    slant = min(float(np.linalg.norm(towards)), 1.0)  # 0: light from in front or from everywhere
    head = drawing.canvas.mask([skull])
    shaded = head & ~drawing.canvas.mask([skull + 0.42 * towards])
    shining = head & ~drawing.canvas.mask([skull - 0.16 * towards])
    drawing.canvas.paint(shaded, (0.0, 0.0, 0.0), _SHADE + 0.25 * slant)
    drawing.canvas.paint(shining, (1.0, 1.0, 1.0), 0.3 * slant)


def render_avatar(person: Person, size: int, supersample: int = 4) -> NDArray[np.uint8]:
    """The person as an avatar: (size, size, 3) uint8 sRGB, with pose, expression, build, colours and light of the photograph."""
    face, turned, drawing = Face(person), Turned(person), _Drawing(person, size, supersample)
    front, behind = _cut(person)

    def bent(place: Placing) -> Placing:
        return lambda points: place(face.bend(points))

    skull, left_ear, right_ear = _pieces()
    head = parts()["head.head"]
    ears = {
        side: (Shape("skin", 1.0, True, (ear,), None), Shape("black", _SHADE, False, (head[1].polygons[number],), None))
        for number, (side, ear) in enumerate((("left", left_ear), ("right", right_ear)))
    }
    near = "right" if turned.forward[0] < 0 else "left"  # the ear that comes forward when the face turns away from it

    if behind is not None:
        drawing.part(f"rearHair.{behind}", turned.behind)
    drawing.part("body.body", turned.body)
    neck = np.concatenate([turned.body(_NECK[:2]), turned.outline(_NECK[2:])])  # so that a raised chin shows no gap
    drawing.shape(Shape("skin", 1.0, True, (neck,), None), np.asarray)
    drawing.part(f"clothes.{_GARMENTS[person.clothes.garment]}", turned.body)
    for side, shapes in ears.items():
        if side != near or abs(turned.forward[0]) < 0.12:
            for shape in shapes:
                drawing.shape(shape, bent(turned.ear))
    outline = turned.outline(face.bend(skull))
    drawing.shape(Shape("skin", 1.0, True, (skull,), None), bent(turned.outline))
    _shade(drawing, person, outline)
    if abs(turned.forward[0]) >= 0.12:
        for shape in ears[near]:
            drawing.shape(shape, bent(turned.ear))
    drawing.shape(Shape("black", _SHADE, False, (head[1].polygons[2],), None), bent(turned.face))
    _mouth(drawing, face, turned)
    if (beard := _beard(person)) is not None:
        drawing.part(f"beard.{beard}", bent(turned.outline if "Beard" in beard else turned.face))
    _eyes(drawing, face, turned)
    drawing.part("eyebrows.neutral", bent(turned.face))
    if front is not None:
        drawing.part(f"hair.{front}", bent(turned.hair))
    return drawing.canvas.picture()
