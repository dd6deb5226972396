"""One attribute of another face as controls: what to set on a face so that it gets the light, the expression ... of another."""

from __future__ import annotations

from crossrig.face3d.blocks import BLOCKS, EXPRESSION_UNITS, blocks_of
from crossrig.face3d.controls import CONTROLS
from crossrig.face3d.params import FaceParams

_ANGLES = ("pitch", "yaw", "roll")


def controls_of(attribute: str, face: FaceParams, other: FaceParams) -> dict[str, float]:
    """Control -> value that gives ``face`` an attribute of ``other`` (a batch of 1 each), held within the controls' ranges.

    Applied to ``face`` with no other control of the attribute set, they make its block that of ``other``. Of the pose only the angles are
    taken: where a head lies in its square says how it was cut out, not how it is held. Raises UserError for another attribute's name.
    """
    blocks_of(attribute)
    if attribute == "pose":
        found = dict(zip(_ANGLES, other.rotation[0].rad2deg().tolist(), strict=True))
    elif attribute == "expression":
        found = dict(zip(EXPRESSION_UNITS, other.expression[0].tolist(), strict=True))
    else:
        names = [f"{attribute}.{index}" for index in range(BLOCKS[attribute])]
        values = other.attribute(attribute)[0]
        if CONTROLS[names[0]].relative:
            values = values - face.attribute(attribute)[0]
        found = dict(zip(names, values.tolist(), strict=True))
    return {name: min(max(value, CONTROLS[name].minimum), CONTROLS[name].maximum) for name, value in found.items()}
