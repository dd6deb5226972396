"""`make demo`: three pictures that nobody here made, edited, and the first of them in every other domain, on one contact sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossrig.data.align import to_pixels
from crossrig.data.metadata import DigitalSource, save_picture
from crossrig.data.pictures import Picture, from_array, read_picture
from crossrig.face3d import controls
from crossrig.face3d.params import EXPRESSION_UNITS, FaceParams
from crossrig.gan.generator import Generator
from crossrig.metrics.angles import ANGLES
from crossrig.session import EditSession, Effort, Networks
from crossrig.sheets import contact_sheet

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Subject:
    """A picture of the demo."""

    caption: str
    picture: Picture
    domain: str


#: Caption -> controls, as on the command line; `yaw` is added to what was read from the picture, and who smiles already is asked to stop.
EDITS: Mapping[str, Mapping[str, float]] = {
    "turned left": {"yaw": 20.0},
    "turned right": {"yaw": -20.0},
    "smile": {"smile": 1.0},
    "laugh": {"laugh": 1.0},
    "other shape": {"jawWidth": 2.0, "noseLength": 2.0, "lipFullness": 1.5},
    "other skin": {"skinTone": 1.3},
    "light from the left": {"light.azimuth": -70.0, "light.contrast": 1.0},
}


def subjects() -> list[Subject]:
    """NASA's portrait of Eileen Collins (public domain, in scikit-image), a drawing by Lisa Wischofsky (CC0), an avatar by Johan Melin (CC
    BY 4.0)."""
    from skimage import data

    examples = Path(__file__).parent / "examples"
    photograph = data.astronaut()  # type: ignore[no-untyped-call]
    return [
        Subject("photograph", from_array(photograph, "astronaut"), "human"),
        Subject("drawing", read_picture(examples / "drawn.png"), "toon"),
        Subject("avatar", read_picture(examples / "avatar.png"), "avatar"),
    ]


def for_face(caption: str, params: FaceParams) -> tuple[str, dict[str, float]]:
    """An entry of EDITS as it suits a face (parameters of batch 1): its caption, and its controls within what they take."""
    values = dict(EDITS[caption])
    if "yaw" in values:
        control = controls.CONTROLS["yaw"]
        yaw = math.degrees(float(params.rotation[0, ANGLES.index("yaw")])) + values["yaw"]
        values["yaw"] = min(max(yaw, control.minimum), control.maximum)
    corners = [EXPRESSION_UNITS.index(f"mouthSmile{side}") for side in ("Left", "Right")]
    if "smile" in values and float(params.expression[0, corners].mean()) > 0.8 * values["smile"]:
        return f"no {caption}", {"smile": 0.1}
    return caption, values


@torch.no_grad()
def _painted(generator: Generator, name: str, codes: Tensor) -> list[tuple[str, Pixels]]:
    """Style codes (N,S) as cells: the first is captioned with the domain's name."""
    pictures = [to_pixels(generator.synthesise(code[None])) for code in codes]
    return [(f"as {name}" if number == 0 else "", picture) for number, picture in enumerate(pictures)]


def make_sheet(
    outdir: Path,
    device: str = "cpu",
    progress: Callable[[str, int, int], None] | None = None,
    networks: Networks | None = None,
    effort: Effort | None = None,
) -> Path:
    """Edit the pictures and write ``sheet.png`` and the edited pictures into a folder; returns the sheet's path.

    The first picture's style codes, before and after each edit, are also painted by the generators of all other domains.
    """
    networks = networks or Networks.shipped("auto", device)
    rows: list[list[tuple[str, Pixels]]] = []
    elsewhere: list[list[tuple[str, Pixels]]] = []
    for subject in subjects():
        domain = subject.domain if subject.domain in networks.generators else "auto"
        session = EditSession(domain, device, networks, effort, progress)
        session.set_image(subject.picture)
        faces = [(subject.caption, session.input_crop()), (f"inversion ({session.domain})", session.inverted_crop())]
        blank = ("", np.full_like(session.input_crop(), 255))
        models = [blank, ("3D model", session.rendering_of_model())]
        codes = [session.style_code]
        for edit in EDITS:
            caption, values = for_face(edit, session.params)
            session.reset()
            session.edit(values)
            faces.append((caption, session.render_crop()))
            models.append(("", session.rendering_of_model()))
            codes.append(session.edited_code())
            name = f"{subject.caption}-{caption.replace(' ', '-')}.png"
            save_picture(outdir / name, session.render(), DigitalSource.EDITED, overwrite=True)
        rows += [faces, models]
        if not elsewhere:
            others = {name: generator for name, generator in networks.generators.items() if name != session.domain}
            elsewhere = [[blank, *_painted(generator, name, torch.cat(codes))] for name, generator in others.items()]
    rows += elsewhere
    path = outdir / "sheet.png"
    save_picture(path, contact_sheet(rows), DigitalSource.EDITED, overwrite=True)
    return path
