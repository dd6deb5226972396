"""Where the head lies in pictures that come with the answer: portraits with their label, and sets of drawings with one frame for all."""

from __future__ import annotations

import json
from pathlib import Path

from crossrig.data.align import Framing
from crossrig.errors import UserError
from crossrig.face3d.params import FaceParams
from crossrig.render.camera import Camera


def framing_of(params: FaceParams, camera: Camera | None = None) -> Framing:
    """Where the camera's square around the head lies in the portrait that belongs to ``params`` (batch 1): shares of the side."""
    camera = camera or Camera()
    ndc = camera.project(params.translation)[0]
    x, y, depth = (float(value) for value in ndc)
    return Framing((1.0 + x) / 2.0, (1.0 - y) / 2.0, camera.distance / depth / 2.0)


def framing_of_folder(folder: Path) -> Framing:
    """Where the heads lie in the drawings of a folder, as shares of the side. Raises UserError when its framing.json does not say it."""
    try:
        said = json.loads((folder / "framing.json").read_text(encoding="utf-8"))
        return Framing(float(said["x"]), float(said["y"]), float(said["half"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{folder}: there is no framing.json that says where the heads are; make the folder with tools/avatars.") from None
