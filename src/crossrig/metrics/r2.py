"""Share of variance explained, pooled over all values of an attribute in the units of what the attribute moves."""

from __future__ import annotations

from crossrig.errors import UserError
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.rig.units import MEASURED_BLOCK, Units


def attribute_r2(units: Units, attribute: str, predicted: FaceParams, truth: FaceParams) -> float:
    """1 - (sum of squared errors) / (sum of squared distances of the truth to its own mean), over a batch of B >= 2 faces.

    Squared lengths are those of `Units`: shape and expression in displaced face vertices, albedo in colours of the face, illumination in
    irradiance over the sphere, pose in degrees of rotation. 1 is perfect, 0 is what always answering the mean scores (a collapsed
    network), below 0 is worse than that. Components that move nothing visible weigh nothing.
    """
    if len(truth) < 2 or len(predicted) != len(truth):
        raise UserError(f"R2 needs two or more faces and as many predictions; there are {len(truth)} and {len(predicted)}.")
    found = block_r2(units, MEASURED_BLOCK[attribute], predicted, truth)
    if found is None:
        raise UserError(f"R2 of {attribute} is undefined: all the faces have the same {attribute}.")
    return found


def block_r2(units: Units, block: str, predicted: FaceParams, truth: FaceParams) -> float | None:
    """The same of one block of parameters; None where nothing in it varies."""
    wanted, found = getattr(truth, block).double(), getattr(predicted, block).double()
    gram = units.gram(block).double()
    error, centred = found - wanted, wanted - wanted.mean(0)
    total = float(((centred @ gram) * centred).sum())
    return 1.0 - float(((error @ gram) * error).sum()) / total if total > 0 else None


def all_r2(units: Units, predicted: FaceParams, truth: FaceParams) -> dict[str, float]:
    """Attribute -> pooled R2, for the attributes that the face model has: a block that moves nothing has none."""
    moving = [name for name in ATTRIBUTES if bool(units.gram(MEASURED_BLOCK[name]).any())]
    return {name: attribute_r2(units, name, predicted, truth) for name in moving}
