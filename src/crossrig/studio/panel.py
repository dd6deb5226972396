"""How the page shows the controls: titles people can read, groups and sections, and the presets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from crossrig.errors import UserError
from crossrig.evaluation.controls import shipped_figures
from crossrig.face3d.blocks import EXPRESSION_UNITS
from crossrig.face3d.controls import CONTROLS, EXPRESSIONS, Control
from crossrig.face3d.params import FaceParams
from crossrig.studio.protocol import Attribute, ControlInfo, LookInfo

GROUPS: Mapping[str, str] = {
    "pose": "Pose", "expression": "Expression", "shape": "Face shape", "albedo": "Skin", "illumination": "Light",
}  # fmt: skip
"""Attribute -> title of its group."""
COMPONENTS = "Components"
"""The group of the numbered components of the bases."""
NUMBERED: Mapping[str, str] = {"shape": "Shape", "albedo": "Skin", "illumination": "Light"}
"""Attribute -> what its components are called."""

_TITLES: Mapping[str, str] = {
    "yaw": "Turn left or right", "pitch": "Nod", "roll": "Tilt", "moveX": "Move sideways", "moveY": "Move up", "moveZ": "Move closer",
    "gazeYaw": "Look left or right", "gazePitch": "Look up or down", "gender": "Masculine", "african": "African", "asian": "Asian",
    "caucasian": "European", "blood": "Ruddiness", "noseProminence": "Nose length forward", "chinProminence": "Chin forward",
    "earSize": "Ears standing out", "light.azimuth": "From the side", "light.elevation": "Height", "light.strength": "Brightness",
    "light.contrast": "Contrast", "light.warmth": "Warmth", "light.ambient": "Even light",
}  # fmt: skip
_PERSON = ("age", "gender", "weight", "muscle", "african", "asian", "caucasian")
_MAKE_UP = ("lipstick", "eyeShadow", "eyeLiner", "lipRedness", "browDarkness")
_SKIN_TONE = ("skinTone", "blood", "yellowness", "cheekRedness", "noseRedness")
#: First letters of a name -> section.
_SECTIONS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "expression": (
        ("gaze", "Gaze"), ("brow", "Brows"), ("eye", "Eyes"), ("cheek", "Nose and cheeks"), ("nose", "Nose and cheeks"),
        ("jaw", "Jaw"), ("mouth", "Mouth"), ("tongue", "Mouth"),
    ),
    "shape": (
        ("face", "Face"), ("jaw", "Face"), ("chin", "Face"), ("cheek", "Face"), ("forehead", "Face"), ("head", "Face"), ("ear", "Face"),
        ("nose", "Nose"), ("mouth", "Mouth"), ("lip", "Mouth"), ("eye", "Eyes and brows"), ("brow", "Eyes and brows"),
    ),
}  # fmt: skip


def title_of(name: str) -> str:
    """`mouthSmileLeft` -> `Mouth smile, left`."""
    if name in _TITLES:
        return _TITLES[name]
    if (numbered := re.fullmatch(r"(shape|albedo|illumination)\.(\d+)", name)) is not None:
        return f"{NUMBERED[numbered[1]]} {int(numbered[2]) + 1}"
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    return re.sub(r" (left|right)$", r", \1", words).capitalize()


def panel() -> tuple[ControlInfo, ...]:
    """Every control as the page shows it, in order."""
    figures = shipped_figures()
    weak = {name for name, figure in figures.items() if figure.weak}
    infos = [_info(control, control.name in weak) for control in CONTROLS.values()]
    groups = [*GROUPS.values(), COMPONENTS]
    sections: dict[tuple[str, str], int] = {}
    for info in infos:
        sections.setdefault((info.group, info.section), len(sections))
    return tuple(sorted(infos, key=lambda info: (groups.index(info.group), sections[info.group, info.section])))


def _info(control: Control, weak: bool) -> ControlInfo:
    numbered = "." in control.name and control.name.split(".")[0] in NUMBERED
    group = COMPONENTS if numbered else GROUPS[control.attribute]
    meaning = control.meaning
    if control.name in EXPRESSION_UNITS:
        meaning = f"{title_of(control.name)} (ARKit face unit {control.name})"
    return ControlInfo(
        control.name, title_of(control.name), group, _section(control, numbered), control.minimum, control.maximum, control.unit,
        meaning[:1].upper() + meaning[1:], control.relative, weak, cast(Attribute, control.attribute),
    )  # fmt: skip


def _section(control: Control, numbered: bool) -> str:
    name = control.name
    if numbered:
        return GROUPS[control.attribute]
    if control.attribute == "pose":
        return "Head" if name in ("yaw", "pitch", "roll") else "Place"
    if name in EXPRESSIONS:
        return "Moods"
    if name in _PERSON:
        return "Person"
    if control.attribute == "albedo":
        return "Tone" if name in _SKIN_TONE else "Make-up and brows" if name in _MAKE_UP else "Marks and age"
    for beginning, section in _SECTIONS.get(control.attribute, ()):
        if name.startswith(beginning):
            return section
    return "Lamp"


RESTING = 0.05
"""Weight below which a unit of the face is as good as at rest."""


@dataclass(frozen=True)
class Look:
    """A preset: what it sets, and the controls that give way to it."""

    info: LookInfo
    values: Mapping[str, float]
    clears: frozenset[str]
    from_rest: bool = False
    """Whether units that the picture's own face shows go to rest first: a mood starts from a face that shows none."""

    def values_for(self, face: FaceParams) -> dict[str, float]:
        """What it sets on a face (a batch of 1)."""
        weights = zip(EXPRESSION_UNITS, face.expression[0].tolist(), strict=True)
        rested = {unit: 0.0 for unit, weight in weights if weight > RESTING} if self.from_rest else {}
        return {**rested, **self.values}


_POSES = frozenset(name for name, control in CONTROLS.items() if control.attribute == "pose")
_FACES = frozenset(name for name, control in CONTROLS.items() if control.attribute == "expression")
_LIGHTS = frozenset(name for name, control in CONTROLS.items() if control.attribute == "illumination")


def _face(name: str, title: str, **values: float) -> Look:
    return Look(LookInfo(name, title, "Expression"), values, _FACES, from_rest=True)


def _pose(name: str, title: str, yaw: float, pitch: float, roll: float) -> Look:
    return Look(LookInfo(name, title, "Pose"), {"yaw": yaw, "pitch": pitch, "roll": roll}, _POSES)


def _light(name: str, title: str, **values: float) -> Look:
    return Look(LookInfo(name, title, "Light"), {f"light.{name}": value for name, value in values.items()}, _LIGHTS)


LOOKS: Mapping[str, Look] = {
    look.info.name: look
    for look in (
        _face("neutral", "Neutral"),
        _face("smile", "Smile", smile=0.9),
        _face("laugh", "Laugh", laugh=0.9),
        _face("surprise", "Surprise", surprise=0.9),
        _face("wink", "Wink", smile=0.6, eyeBlinkLeft=1.0, eyeSquintLeft=0.4),
        _face("sad", "Sad", sadness=0.9),
        _face("angry", "Angry", anger=0.9),
        _face("disgusted", "Disgust", disgust=0.9),
        _face("pout", "Pout", pout=0.9),
        _face("asleep", "Asleep", blink=1.0),
        _pose("front", "Front", 0.0, 0.0, 0.0),
        _pose("left", "To the left", -28.0, 0.0, 0.0),
        _pose("right", "To the right", 28.0, 0.0, 0.0),
        _pose("up", "Looking up", 0.0, 15.0, 0.0),
        _pose("down", "Looking down", 0.0, -15.0, 0.0),
        _light("even", "Even", contrast=0.05, strength=1.0, warmth=0.0),
        _light("window", "Window", azimuth=-60.0, elevation=20.0, contrast=0.75),
        _light("evening", "Evening", azimuth=55.0, elevation=10.0, contrast=0.6, warmth=0.7),
        _light("above", "From above", azimuth=0.0, elevation=65.0, contrast=0.7),
        _light("below", "From below", azimuth=0.0, elevation=-50.0, contrast=0.7),
    )
}
"""Name -> preset, in the order in which a person should see them."""


def look(name: str) -> Look:
    """A preset. Raises UserError naming those there are."""
    if name not in LOOKS:
        raise UserError(f'There is no preset "{name[:40]}"; the presets are {", ".join(LOOKS)}.')
    return LOOKS[name]


def label_of(names: frozenset[str] | set[str], values: Mapping[str, float]) -> str:
    """What a step of the history is called that changed these controls."""
    if not names:
        return "Nothing"
    if len(names) == 1:
        (name,) = names
        return f"{title_of(name)} {values[name]:.3g}" if name in values else f"{title_of(name)} as it was"
    groups = sorted({GROUPS[CONTROLS[name].attribute] for name in names})
    return " and ".join(groups) if len(groups) <= 2 else f"{len(names)} controls"
