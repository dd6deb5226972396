"""Named controls: what a person moves, as functions from FaceParams to FaceParams.

Which of them there are depends on the face model (`offered`): models of others (`face3d.importers`) have no named directions of shape,
and where their expressions are principal components, controls `expression.0` ... take the place of the named units.

Three kinds. Expression, pose and light controls *set* a value (0..1, degrees, factor). Shape and albedo controls *add*
a number of standard deviations along a direction of the basis: +1 raises the named property by one standard deviation
of the population the basis was made from. So every shape and albedo control is relative to the face at hand, and all
others are absolute.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import torch
from torch import Tensor

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.face3d.head import HEAD_FILE
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, BLOCKS, EXPRESSION_UNITS, SH_BANDS, UNIFORM_LIGHT, FaceParams


@dataclass(frozen=True)
class Control:
    """One slider, as plain data. `attribute` is the attribute it changes; `relative`: the value is added to the face
    at hand."""

    name: str
    minimum: float
    maximum: float
    unit: str
    meaning: str
    attribute: str
    relative: bool


Change = Callable[[FaceParams, float], FaceParams]


@lru_cache(maxsize=1)
def shipped_directions() -> Mapping[str, Tensor]:
    """Name -> step (80,) in shape or (48,) in albedo, of the shipped head model."""
    tensors, _ = checkpoint.load(HEAD_FILE)
    return {name.removeprefix("control."): step for name, step in tensors.items() if name.startswith("control.")}


@dataclass(frozen=True)
class _Direction:
    """Add `value` times a named step to a block."""

    block: str
    name: str

    def __call__(self, params: FaceParams, value: float) -> FaceParams:
        block: Tensor = getattr(params, self.block)
        return params.replace(**{self.block: block + value * shipped_directions()[self.name].to(block)})


@dataclass(frozen=True)
class _Units:
    """Set expression units to shares of the value."""

    shares: tuple[tuple[str, float], ...]

    def __call__(self, params: FaceParams, value: float) -> FaceParams:
        expression = params.expression.clone()
        for unit, share in self.shares:
            expression[:, EXPRESSION_UNITS.index(unit)] = value * share
        return params.replace(expression=expression)


@dataclass(frozen=True)
class _Gaze:
    """Turn both eyes: the value, in degrees, drives one unit of each eye for positive and another for negative
    values."""

    positive: tuple[str, str]
    negative: tuple[str, str]
    full: tuple[float, float]

    def __call__(self, params: FaceParams, value: float) -> FaceParams:
        expression = params.expression.clone()
        for names, amount, full in ((self.positive, value, self.full[0]), (self.negative, -value, self.full[1])):
            for name in names:
                expression[:, EXPRESSION_UNITS.index(name)] = min(max(amount / full, 0.0), 1.0)
        return params.replace(expression=expression)


@dataclass(frozen=True)
class _Component:
    """Set (or, if `added`, add to) one value of a block."""

    block: str
    index: int
    scale: float
    added: bool

    def __call__(self, params: FaceParams, value: float) -> FaceParams:
        block = getattr(params, self.block).clone()
        block[:, self.index] = (block[:, self.index] if self.added else 0.0) + value * self.scale
        return params.replace(**{self.block: block})


#: Semantic expressions as mixtures of units.
EXPRESSIONS: Mapping[str, tuple[str, tuple[tuple[str, float], ...]]] = {
    "smile": (
        "smile with closed lips, cheeks raised",
        (("mouthSmileLeft", 1.0), ("mouthSmileRight", 1.0), ("cheekSquintLeft", 0.5), ("cheekSquintRight", 0.5)),
    ),
    "laugh": (
        "open-mouthed laugh with narrowed eyes",
        (
            ("mouthSmileLeft", 0.9),
            ("mouthSmileRight", 0.9),
            ("jawOpen", 0.45),
            ("cheekSquintLeft", 0.8),
            ("cheekSquintRight", 0.8),
            ("eyeSquintLeft", 0.45),
            ("eyeSquintRight", 0.45),
            ("mouthUpperUpLeft", 0.3),
            ("mouthUpperUpRight", 0.3),
        ),
    ),
    "frown": ("corners of the mouth down", (("mouthFrownLeft", 1.0), ("mouthFrownRight", 1.0))),
    "anger": (
        "brows drawn down, nose wrinkled, lips pressed",
        (
            ("browDownLeft", 1.0),
            ("browDownRight", 1.0),
            ("noseSneerLeft", 0.5),
            ("noseSneerRight", 0.5),
            ("mouthPressLeft", 0.5),
            ("mouthPressRight", 0.5),
            ("eyeSquintLeft", 0.3),
            ("eyeSquintRight", 0.3),
        ),
    ),
    "surprise": (
        "brows up, eyes wide, jaw dropped",
        (
            ("browInnerUp", 1.0),
            ("browOuterUpLeft", 0.9),
            ("browOuterUpRight", 0.9),
            ("eyeWideLeft", 0.8),
            ("eyeWideRight", 0.8),
            ("jawOpen", 0.45),
        ),
    ),
    "sadness": (
        "inner brows up, corners of the mouth down",
        (("browInnerUp", 0.9), ("mouthFrownLeft", 0.7), ("mouthFrownRight", 0.7), ("mouthShrugLower", 0.3)),
    ),
    "disgust": (
        "nose wrinkled, upper lip raised",
        (
            ("noseSneerLeft", 1.0),
            ("noseSneerRight", 1.0),
            ("mouthUpperUpLeft", 0.5),
            ("mouthUpperUpRight", 0.5),
            ("browDownLeft", 0.4),
            ("browDownRight", 0.4),
        ),
    ),
    "blink": ("both eyes closed", (("eyeBlinkLeft", 1.0), ("eyeBlinkRight", 1.0))),
    "squint": ("both eyes narrowed", (("eyeSquintLeft", 1.0), ("eyeSquintRight", 1.0))),
    "eyesWide": ("both eyes wide open", (("eyeWideLeft", 1.0), ("eyeWideRight", 1.0))),
    "browsUp": ("both brows raised", (("browInnerUp", 1.0), ("browOuterUpLeft", 1.0), ("browOuterUpRight", 1.0))),
    "browsDown": ("both brows lowered", (("browDownLeft", 1.0), ("browDownRight", 1.0))),
    "pout": ("lips pushed forward", (("mouthPucker", 0.8), ("mouthShrugLower", 0.4))),
}

#: What the directions regressed by the build script mean; the attribute is the block they move.
DIRECTIONS: Mapping[str, tuple[str, str]] = {
    "age": ("shape", "older face shape"),
    "male": ("shape", "more masculine face shape"),
    "weight": ("shape", "heavier person"),
    "muscle": ("shape", "more muscular person"),
    "african": ("shape", "shape more frequent in people of African descent"),
    "asian": ("shape", "shape more frequent in people of Asian descent"),
    "caucasian": ("shape", "shape more frequent in people of European descent"),
    "faceWidth": ("shape", "wider face at the cheeks"),
    "faceHeight": ("shape", "longer face from eyes to chin"),
    "jawWidth": ("shape", "wider jaw"),
    "chinWidth": ("shape", "wider chin"),
    "chinHeight": ("shape", "taller chin"),
    "chinProminence": ("shape", "chin further forward"),
    "noseLength": ("shape", "longer nose"),
    "noseWidth": ("shape", "wider nose"),
    "noseProminence": ("shape", "nose standing out more"),
    "noseTipHeight": ("shape", "tip of the nose turned up"),
    "mouthWidth": ("shape", "wider mouth"),
    "lipFullness": ("shape", "fuller lips"),
    "mouthHeight": ("shape", "mouth closer to the nose"),
    "eyeSize": ("shape", "larger eyes"),
    "eyeDistance": ("shape", "eyes further apart"),
    "eyeTilt": ("shape", "outer corners of the eyes higher"),
    "browHeight": ("shape", "brows higher above the eyes"),
    "cheekFullness": ("shape", "fuller cheeks"),
    "foreheadHeight": ("shape", "taller forehead"),
    "headDepth": ("shape", "deeper head, front to back"),
    "earSize": ("shape", "ears standing out more"),
    "skinTone": ("albedo", "darker skin (melanin)"),
    "blood": ("albedo", "ruddier skin (haemoglobin)"),
    "yellowness": ("albedo", "yellower skin"),
    "cheekRedness": ("albedo", "redder cheeks"),
    "noseRedness": ("albedo", "redder nose"),
    "lipRedness": ("albedo", "redder lips"),
    "lipstick": ("albedo", "more lipstick"),
    "browDarkness": ("albedo", "darker brows"),
    "stubble": ("albedo", "more beard shadow"),
    "underEyeDarkness": ("albedo", "darker rings under the eyes"),
    "freckles": ("albedo", "more freckles"),
    "ageSpots": ("albedo", "more age spots"),
    "eyeShadow": ("albedo", "more eye shadow"),
    "eyeLiner": ("albedo", "darker line round the eyes"),
    "irisDarkness": ("albedo", "darker irises, from blue to dark brown"),
    "teethYellowness": ("albedo", "yellower teeth"),
}

#: How a direction is called by people where that differs from the measured property.
PUBLIC_NAMES: Mapping[str, str] = {"male": "gender"}


def offered(model: FaceModel) -> Mapping[str, Control]:
    """The controls that a face model has, by name, in the order in which a person should see them."""
    found = {**CONTROLS, **COMPONENTS} if model.expression_kind == "components" else CONTROLS
    return {name: control for name, control in found.items() if not _missing(control, model)}


def check_offered(name: str, model: FaceModel) -> None:
    """Raises UserError, which says what there is instead, for a control (one of `CONTROLS` or `COMPONENTS`) that a face model has not."""
    reason = _missing(KNOWN[name], model)
    if reason:
        raise UserError(f"The face model in use ({model.space.name}) has no control '{name}': {reason}.")


def _missing(control: Control, model: FaceModel) -> str:
    """Why a face model has no such control; empty when it has it."""
    if control.attribute == "expression":
        units = control.name not in COMPONENTS
        if units and model.expression_kind == "components":
            return f"its expressions are components, not named face units; set expression.0 to expression.{BLOCKS['expression'] - 1}"
        return "" if units or model.expression_kind == "components" else "its expressions are named units, such as smile or jawOpen"
    if model.imported and control.relative and "." not in control.name:
        direction = next((name for name, public in PUBLIC_NAMES.items() if public == control.name), control.name)
        if direction not in model.control_names:
            return f"it has no named directions of its {control.attribute}; set {control.attribute}.0 to {control.attribute}.4"
    return ""


def apply(params: FaceParams, values: Mapping[str, float]) -> FaceParams:
    """Apply controls, in the order given, to every face of the batch.

    Raises UserError for a name that does not exist (with similar ones) and for a value outside the control's range;
    then nothing is applied.
    """
    for name, value in values.items():
        check_value(name, value)
    for name, value in values.items():
        params = _CHANGES[name](params, float(value))
    return params


def check_value(name: str, value: float) -> Control:
    """The control of this name, if it exists and takes this value; otherwise a UserError that says what would do."""
    if name not in KNOWN:
        similar = difflib.get_close_matches(name, CONTROLS, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(similar)}?" if similar else "`crossrig controls` lists all of them."
        raise UserError(f"There is no control '{name}'. {hint}")
    control = KNOWN[name]
    if not (math.isfinite(value) and control.minimum <= value <= control.maximum):
        raise UserError(
            f"Control '{name}' takes {control.minimum:g} to {control.maximum:g} ({control.unit}), not {value:g}."
        )
    return control


def attributes_of(names: Iterable[str]) -> tuple[str, ...]:
    """The attributes (in the order of ATTRIBUTES) that the named controls change."""
    touched = {KNOWN[name].attribute for name in names}
    return tuple(name for name in ATTRIBUTES if name in touched)


_Entry = tuple[Control, Change]


def _pose_controls() -> list[_Entry]:
    degree = math.pi / 180
    rows = (
        (
            "yaw",
            "rotation",
            1,
            60.0,
            degree,
            "degrees",
            "turn of the head, positive to its own left (right in the picture)",
        ),
        ("pitch", "rotation", 0, 30.0, degree, "degrees", "nod of the head, positive looks up"),
        ("roll", "rotation", 2, 30.0, degree, "degrees", "tilt of the head, positive counter-clockwise in the picture"),
        ("moveX", "translation", 0, 0.05, 1.0, "metres", "head to the right of the picture"),
        ("moveY", "translation", 1, 0.05, 1.0, "metres", "head up"),
        ("moveZ", "translation", 2, 0.3, 1.0, "metres", "head towards the viewer"),
    )
    return [
        (Control(name, -limit, limit, unit, meaning, "pose", False), _Component(block, index, scale, added=False))
        for name, block, index, limit, scale, unit, meaning in rows
    ]


def _expression_controls() -> list[_Entry]:
    def weight(name: str, meaning: str, shares: tuple[tuple[str, float], ...]) -> _Entry:
        return Control(name, 0.0, 1.0, "weight", meaning, "expression", False), _Units(shares)

    sideways = _Gaze(("eyeLookOutLeft", "eyeLookInRight"), ("eyeLookInLeft", "eyeLookOutRight"), (26.0, 26.0))
    upwards = _Gaze(("eyeLookUpLeft", "eyeLookUpRight"), ("eyeLookDownLeft", "eyeLookDownRight"), (18.0, 22.0))
    left = "eyes turned to the person's left (right in the picture)"
    return [
        *(weight(name, meaning, shares) for name, (meaning, shares) in EXPRESSIONS.items()),
        (Control("gazeYaw", -26.0, 26.0, "degrees", left, "expression", False), sideways),
        (Control("gazePitch", -22.0, 18.0, "degrees", "eyes turned up", "expression", False), upwards),
        *(weight(name, f"ARKit face unit {name}", ((name, 1.0),)) for name in EXPRESSION_UNITS),
    ]


def _direction_controls() -> list[_Entry]:
    return [
        (Control(PUBLIC_NAMES.get(name, name), -4.0, 4.0, "sd", meaning, attribute, True), _Direction(attribute, name))
        for name, (attribute, meaning) in DIRECTIONS.items()
    ]


def _raw_controls() -> list[_Entry]:
    found: list[_Entry] = []
    for block in ("shape", "albedo"):
        for index in range(BLOCKS[block]):
            meaning = f"component {index} of the {block} basis"
            control = Control(f"{block}.{index}", -5.0, 5.0, "sd", meaning, block, True)
            found.append((control, _Component(block, index, 1.0, added=True)))
    for index in range(BLOCKS["illumination"]):
        harmonic, channel = divmod(index, 3)
        meaning = f"harmonic {harmonic} of the light, in {('red', 'green', 'blue')[channel]}"
        control = Control(f"illumination.{index}", -12.0, 12.0, "radiance", meaning, "illumination", False)
        found.append((control, _Component("illumination", index, 1.0, added=False)))
    return found


def _expression_components() -> tuple[_Entry, ...]:
    """Of face models whose expressions are principal components."""
    return tuple(
        (
            Control(f"expression.{index}", -5.0, 5.0, "sd", f"component {index} of the expression basis", "expression", True),
            _Component("expression", index, 1.0, added=True),
        )
        for index in range(BLOCKS["expression"])
    )


def _light_controls() -> list[_Entry]:
    rows: tuple[tuple[str, float, float, str, str, Change], ...] = (
        (
            "azimuth",
            -180.0,
            180.0,
            "degrees",
            "side the light comes from: negative = left of the picture, 0 = the viewer",
            light_azimuth,
        ),
        ("elevation", -90.0, 90.0, "degrees", "height the light comes from", light_elevation),
        ("strength", 0.0, 3.0, "factor", "brightness of all light; 1 shows colours as they are", light_strength),
        ("contrast", 0.0, 1.0, "ratio", "0 = even light from everywhere, 1 = as hard as one lamp", light_contrast),
        ("warmth", -1.0, 1.0, "ratio", "colour of the light: -1 blue sky, 0 white, 1 candle", light_warmth),
        ("ambient", 0.0, 3.0, "factor", "the light from everywhere alone; the directed part stays", light_ambient),
    )
    return [
        (Control(f"light.{name}", low, high, unit, meaning, "illumination", False), change)
        for name, low, high, unit, meaning, change in rows
    ]


_GREY = (0.2126, 0.7152, 0.0722)
#: Ratio of the first-order vector to the constant band at which a clamped-cosine light from one direction reaches
#: black: 2/3 * sqrt(3).
_HARDEST = 2.0 / math.sqrt(3.0)
#: Red and blue at warmth +1, relative to green.
_WARM = (1.35, 0.60)


def _bands(params: FaceParams) -> Tensor:
    """(B, 9, 3)"""
    return params.illumination.reshape(-1, SH_BANDS, 3)


def _with_bands(params: FaceParams, bands: Tensor) -> FaceParams:
    return params.replace(illumination=bands.flatten(1))


def dominant_direction(params: FaceParams) -> Tensor:
    """(B, 3) unit vector (x, y, z) towards the light: the first-order band of its luminance; +z where there is none."""
    grey = _bands(params) @ torch.tensor(_GREY, dtype=params.illumination.dtype, device=params.device)  # (B, 9)
    vector = torch.stack([grey[:, 3], grey[:, 1], grey[:, 2]], dim=-1)
    length = vector.norm(dim=-1, keepdim=True)
    front = torch.tensor([0.0, 0.0, 1.0], dtype=vector.dtype, device=vector.device)
    return torch.where(length > 1e-4, vector / length.clamp_min(1e-12), front)


def rotate_light(params: FaceParams, rotation: Tensor) -> FaceParams:
    """Turn the whole light field by rotation matrices (B, 3, 3), exactly, in bands 0 to 2."""
    bands = _bands(params)
    turned = bands.clone()
    first = torch.stack([bands[:, 3], bands[:, 1], bands[:, 2]], dim=1)  # (B, 3, 3): x, y, z by channel
    first = rotation @ first
    turned[:, 3], turned[:, 1], turned[:, 2] = first.unbind(1)
    # The second band is a symmetric traceless quadratic form n^T Q n; a rotated field has the form R Q R^T.
    form = torch.einsum("bkc,kij->bcij", bands[:, 4:], _forms(bands))
    form = rotation[:, None] @ form @ rotation[:, None].transpose(-1, -2)
    forms = _forms(bands)
    norms = forms.flatten(1).square().sum(1)
    turned[:, 4:] = torch.einsum("bcij,kij->bkc", form, forms) / norms[None, :, None]
    return _with_bands(params, turned)


def _forms(like: Tensor) -> Tensor:
    """(5, 3, 3): the second-order harmonics xy, yz, 3z^2-1, xz, x^2-y^2 as quadratic forms on unit vectors; mutually
    orthogonal."""
    a, b, c = 1.09254843059208, 0.31539156525252, 0.54627421529604
    rows = [
        [[0, a / 2, 0], [a / 2, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 0, a / 2], [0, a / 2, 0]],
        [[-b, 0, 0], [0, -b, 0], [0, 0, 2 * b]],
        [[0, 0, a / 2], [0, 0, 0], [a / 2, 0, 0]],
        [[c, 0, 0], [0, -c, 0], [0, 0, 0]],
    ]
    return torch.tensor(rows, dtype=like.dtype, device=like.device)


def _about_y(angle: Tensor) -> Tensor:
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = ((angle.cos(), zero, angle.sin()), (zero, one, zero), (-angle.sin(), zero, angle.cos()))
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _about_x(angle: Tensor) -> Tensor:
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = ((one, zero, zero), (zero, angle.cos(), -angle.sin()), (zero, angle.sin(), angle.cos()))
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _directed(params: FaceParams) -> FaceParams:
    """Light that has no direction gets a soft one from the front, so that turning it can be seen."""
    bands = _bands(params)
    vector = bands[:, 1:4].square().sum(dim=(1, 2)).sqrt()
    flat = vector < 0.15 * bands[:, 0].square().sum(dim=1).sqrt()
    aimed = bands.clone()
    aimed[:, 1:4] = 0
    aimed[:, 2] = 0.5 * _HARDEST * bands[:, 0]
    return _with_bands(params, torch.where(flat[:, None, None], aimed, bands))


def light_azimuth(params: FaceParams, degrees: float) -> FaceParams:
    """Turn the light about the vertical until it comes from this side; its elevation stays."""
    params = _directed(params)
    direction = dominant_direction(params)
    return rotate_light(params, _about_y(math.radians(degrees) - torch.atan2(direction[:, 0], direction[:, 2])))


def light_elevation(params: FaceParams, degrees: float) -> FaceParams:
    """Raise or lower the light to this elevation; its azimuth stays."""
    params = _directed(params)
    direction = dominant_direction(params)
    azimuth = torch.atan2(direction[:, 0], direction[:, 2])
    lift = math.radians(degrees) - torch.asin(direction[:, 1].clamp(-1, 1))
    return rotate_light(params, _about_y(azimuth) @ _about_x(-lift) @ _about_y(-azimuth))


def light_strength(params: FaceParams, factor: float) -> FaceParams:
    """Scale all light so that its mean over all directions has luminance `factor`."""
    bands = _bands(params)
    grey = (bands[:, 0] @ torch.tensor(_GREY, dtype=bands.dtype, device=bands.device)) / UNIFORM_LIGHT
    return _with_bands(params, bands * (factor / grey.clamp_min(1e-3))[:, None, None])


def light_ambient(params: FaceParams, factor: float) -> FaceParams:
    """Set the light from everywhere to luminance `factor`, keeping its colour and the directed part."""
    bands = _bands(params).clone()
    grey = (bands[:, 0] @ torch.tensor(_GREY, dtype=bands.dtype, device=bands.device)) / UNIFORM_LIGHT
    bands[:, 0] = bands[:, 0] * (factor / grey.clamp_min(1e-3))[:, None]
    return _with_bands(params, bands)


def light_contrast(params: FaceParams, ratio: float) -> FaceParams:
    """Set the length of the first-order band relative to the constant band; 1 is a single directed light."""
    bands = _bands(_directed(params)).clone()
    grey = torch.tensor(_GREY, dtype=bands.dtype, device=bands.device)
    length = (bands[:, 1:4] @ grey).norm(dim=1)
    wanted = ratio * _HARDEST * (bands[:, 0] @ grey)
    bands[:, 1:] = bands[:, 1:] * (wanted / length.clamp_min(1e-4))[:, None, None]
    return _with_bands(params, bands)


def light_warmth(params: FaceParams, ratio: float) -> FaceParams:
    """Tint all light: the mean light gets this warmth; luminance stays."""
    bands = _bands(params)
    grey = torch.tensor(_GREY, dtype=bands.dtype, device=bands.device)
    tint = torch.tensor([_WARM[0] ** ratio, 1.0, _WARM[1] ** ratio], dtype=bands.dtype, device=bands.device)
    tint = tint / (tint @ grey)
    mean = bands[:, 0].clamp_min(1e-3)  # (B, 3)
    gain = (mean @ grey)[:, None] * tint / mean
    return _with_bands(params, bands * gain[:, None])


_ENTRIES: tuple[_Entry, ...] = (
    *_pose_controls(),
    *_expression_controls(),
    *_direction_controls(),
    *_light_controls(),
    *_raw_controls(),
)
_COMPONENT_ENTRIES = _expression_components()
_CHANGES: Mapping[str, Change] = MappingProxyType({control.name: change for control, change in (*_ENTRIES, *_COMPONENT_ENTRIES)})

#: Every control by name, in the order in which a person should see them.
CONTROLS: Mapping[str, Control] = MappingProxyType({control.name: control for control, _ in _ENTRIES})

#: Controls of face models whose expressions are principal components, by name; they take the place of the named units.
COMPONENTS: Mapping[str, Control] = MappingProxyType({control.name: control for control, _ in _COMPONENT_ENTRIES})

#: Every control that some face model has.
KNOWN: Mapping[str, Control] = MappingProxyType({**CONTROLS, **COMPONENTS})
