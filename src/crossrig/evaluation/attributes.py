"""How well T reads style codes: `crossrig eval attributes`.

Unseen codes (those that `evaluation.edits` edits), what T reads in them, and what two networks see in their pictures: the reconstruction
network, whose labels T learned from, and the judge, who taught nobody.

    {block}.r2, {block}.r2_judge    share of variance explained of each block, in what the block moves (`rig.units`)
    control.{name}.r2               the same of the value of every named control (`face3d.readings`), by the reconstruction network
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from crossrig import assets, checkpoint
from crossrig.data.metadata import DigitalSource, save_picture
from crossrig.evaluate import unseen_styles
from crossrig.evaluation.controls import named_controls
from crossrig.evaluation.edits import UNSEEN
from crossrig.evaluation.plots import beside, scatter
from crossrig.evaluation.report import table
from crossrig.face3d import controls
from crossrig.face3d.controls import PUBLIC_NAMES, Control, shipped_directions
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import BLOCKS, FaceParams
from crossrig.face3d.readings import readings
from crossrig.files import write_text
from crossrig.gan.weights import load_generator
from crossrig.metrics.r2 import block_r2
from crossrig.rig.reading import together
from crossrig.rig.units import Units
from crossrig.rig.weights import load_reconstruction, load_rig

#: Controls that are drawn, T's reading against what is seen.
DRAWN = (
    "yaw", "pitch", "roll", "jawOpen", "smile", "eyeBlinkLeft", "gender", "age", "faceWidth", "skinTone", "light.azimuth", "light.strength",
)  # fmt: skip
_DIRECTION_OF = {public: name for name, public in PUBLIC_NAMES.items()}
FILES = ("attributes.md", "attributes.json", "attributes.png")


@dataclass(frozen=True)
class AttributesReport:
    """figures: by name, see above. points: control -> what is seen and what T reads, (N,) each."""

    figures: Mapping[str, float]
    points: Mapping[str, tuple[Tensor, Tensor]]
    note: str

    def as_json(self) -> str:
        """One flat object."""
        return json.dumps({name: round(value, 5) for name, value in self.figures.items()}, indent=1)

    def as_markdown(self) -> str:
        """Two tables: blocks and controls."""
        rows = [[block, *(f"{self.figures[f'{block}.{kind}']:.3f}" for kind in ("r2", "r2_judge"))] for block in BLOCKS]
        named = [name.split(".", 1)[1].removesuffix(".r2") for name in self.figures if name.startswith("control.")]
        controls_table = table(["control", "R2"], [[name, f"{self.figures[f'control.{name}.r2']:.2f}"] for name in named])
        parts = [
            "# What T reads in unseen codes", self.note,
            table(["block", "R2 by the reconstruction network", "by the judge"], rows), controls_table,
        ]  # fmt: skip
        return "\n\n".join(parts) + "\n"

    def write(self, folder: Path, overwrite: bool) -> None:
        """FILES, into a folder that exists."""
        panels = []
        for name in DRAWN:
            if name in self.points:
                x, y = (values.double().numpy() for values in self.points[name])
                title = f"{name}: R2 {self.figures[f'control.{name}.r2']:.2f}"
                panels.append(scatter(x, y, title, "seen by the reconstruction network", "read by T"))
        save_picture(folder / "attributes.png", beside(panels, 4), DigitalSource.RENDERED, overwrite)
        write_text(folder / "attributes.md", self.as_markdown())
        write_text(folder / "attributes.json", self.as_json() + "\n")


def control_values(named: Sequence[Control], faces: FaceParams) -> dict[str, Tensor]:
    """Control -> (N,): what it reads in each face. Of a control that is added to a face, what the face has of its direction."""
    read = [readings(faces[index : index + 1], {}) for index in range(len(faces))]
    found: dict[str, Tensor] = {}
    for control in named:
        if control.relative:
            step = shipped_directions()[_DIRECTION_OF.get(control.name, control.name)]
            found[control.name] = getattr(faces, control.attribute) @ step / (step @ step)
        else:
            found[control.name] = torch.tensor([values[control.name] for values in read])
    return found


def control_r2(control: Control, read: Tensor, seen: Tensor) -> float:
    """R2 of a control's values (N,); angles of a full turn are compared the short way round. 0 where nothing varies."""
    error, centred = read - seen, seen - seen.mean()
    if control.unit == "degrees" and control.maximum - control.minimum == 360.0:
        angle = torch.deg2rad(seen)
        mean = torch.rad2deg(torch.atan2(angle.sin().mean(), angle.cos().mean()))
        error, centred = ((values + 180.0) % 360.0 - 180.0 for values in (error, seen - mean))
    total = float(centred.square().sum())
    return 1.0 - float(error.square().sum()) / total if total > 0 else 0.0


def report_of(
    units: Units, named: Sequence[Control], read: FaceParams, seen: FaceParams, judged: FaceParams, note: str
) -> AttributesReport:
    """The report of what T read (N), and of what the reconstruction network and the judge saw."""
    figures: dict[str, float] = {}
    for block in BLOCKS:
        for name, truth in (("r2", seen), ("r2_judge", judged)):
            figures[f"{block}.{name}"] = block_r2(units, block, read, truth) or 0.0
    there, by_t = control_values(named, seen), control_values(named, read)
    points = {control.name: (there[control.name], by_t[control.name]) for control in named}
    figures |= {f"control.{control.name}.r2": control_r2(control, by_t[control.name], there[control.name]) for control in named}
    return AttributesReport(figures, points, note)


@torch.no_grad()
def evaluate_attributes(samples: int, rig_file: Path | None = None, progress: Callable[[int, int], None] | None = None) -> AttributesReport:
    """The T of the shipped rig, or of another for the same generator, on unseen codes. UserError naming what is missing or does not fit."""
    human = assets.require("generator-human")
    generator = load_generator(human).eval().requires_grad_(False)
    rig = load_rig(rig_file or assets.require("manipulation"), checkpoint.sha256(human))
    eyes = [load_reconstruction(assets.require(name)) for name in ("reconstruction", "judge")]
    model = FaceModel.load(assets.require("head"))
    rig.predictor.space.check(model.space, "attribute network T")
    styles = unseen_styles(generator, samples, UNSEEN.codes)
    looked: list[list[FaceParams]] = []
    parts = torch.split(styles, together(generator.config.resolution))
    for number, part in enumerate(parts, 1):
        images = generator.synthesise(part).clamp(-1, 1)  # as files hold them
        looked.append([network.predict(images) for network in eyes])
        if progress is not None:
            progress(number, len(parts))
    seen, judged = (FaceParams.concatenate(list(found)) for found in zip(*looked, strict=True))
    offered = controls.offered(model)
    named = [control for control in named_controls() if control.name in offered]
    note = f"{samples} unseen codes, truncation 1, unmixed. docs/7-edits-evaluation.md."
    return report_of(Units.of(model), named, rig.predict(styles), seen, judged, note)
