"""Named controls one by one: is what the slider says what happens, and what happens beside it?

For every control with a name of its own (the raw components of the bases have numbers) values are drawn in its usual range on unseen codes.
Obedience counts the judged change along the commanded one (`metrics.obedience.answer_along`); leak is that of `evaluation.edits`; sideways
is what the same attribute does across the command, per length commanded. A control whose obedience is below WEAK is called weak, and
keeps its place in the list.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from crossrig import assets, checkpoint
from crossrig.config import from_mapping
from crossrig.errors import UserError
from crossrig.evaluation.instruments import Instruments, Subjects
from crossrig.face3d import controls
from crossrig.face3d.controls import Control
from crossrig.face3d.params import ATTRIBUTES, BLOCKS, FaceParams
from crossrig.files import write_text
from crossrig.metrics.bootstrap import Resampling, average
from crossrig.metrics.moves import moves
from crossrig.metrics.obedience import answer_along
from crossrig.rig.editors import Editor
from crossrig.rig.units import Units

#: Obedience below which a control is weak.
WEAK = 0.6
#: Name of the file beside the shipped weights.
FILE = "controls.json"
#: Reserved for the values drawn.
CONTROLS_SEED = 770_000_037

_FAINT = 0.05  # controls that move the face's surface by less than this share of the attribute's spread are read as coefficients
_RELATIVE_REACH = 2.0  # standard deviations
_USUAL: Mapping[str, tuple[float, float]] = {
    "yaw": (-40.0, 40.0),
    "pitch": (-20.0, 20.0),
    "roll": (-15.0, 15.0),
    "moveX": (-0.015, 0.015),
    "moveY": (-0.015, 0.015),
    "moveZ": (-0.1, 0.1),
    "light.azimuth": (-75.0, 75.0),
    "light.elevation": (-20.0, 60.0),
    "light.strength": (0.6, 1.6),
    "light.contrast": (0.1, 0.8),
    "light.warmth": (-0.4, 0.4),
    "light.ambient": (0.6, 1.6),
}


@dataclass(frozen=True)
class ControlFigure:
    """What was measured of one control. low, high: 95 % interval of the obedience. surface: whether it was measured in what the face's
    surface does (else in coefficients)."""

    obedience: float
    low: float
    high: float
    slope: float
    leak: float
    sideways: float
    surface: bool
    samples: int

    @property
    def weak(self) -> bool:
        """Whether it follows too badly to be relied on."""
        return self.obedience < WEAK


@dataclass(frozen=True)
class ControlTable:
    """Figures of all controls, and of which networks (SHA-256) they are."""

    generator: str
    manipulation: str
    method: str
    figures: Mapping[str, ControlFigure]


def named_controls() -> list[Control]:
    """Controls with a name of their own, in the order of the list."""
    raw = {f"{block}.{index}" for block in BLOCKS for index in range(BLOCKS[block])}
    return [control for name, control in controls.CONTROLS.items() if name not in raw]


def usual_range(control: Control) -> tuple[float, float]:
    """Values that people use: what a photograph may show."""
    if control.relative:
        return -_RELATIVE_REACH, _RELATIVE_REACH
    return _USUAL.get(control.name, (control.minimum, control.maximum))


def measure_controls(
    instruments: Instruments,
    editor: Editor,
    subjects: Subjects,
    count: int,
    draws: int = 1000,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, ControlFigure]:
    """Every named control on the first `count` subjects."""
    rows = torch.arange(min(count, len(subjects)))
    random = torch.Generator().manual_seed(CONTROLS_SEED)
    resampling = Resampling(len(rows), draws)
    figures: dict[str, ControlFigure] = {}
    chosen = [control for control in named_controls() if control.name in controls.offered(instruments.model)]
    for step, control in enumerate(chosen):
        low, high = usual_range(control)
        values = low + (high - low) * torch.rand(len(rows), generator=random)
        figures[control.name] = _measure(instruments, editor, subjects, rows, control, values, resampling)
        if progress is not None:
            progress(step + 1, len(chosen))
    return figures


@torch.no_grad()
def _measure(
    instruments: Instruments,
    editor: Editor,
    subjects: Subjects,
    rows: Tensor,
    control: Control,
    values: Tensor,
    resampling: Resampling,
) -> ControlFigure:
    own, before = subjects.own[rows], subjects.before.params[rows]
    goal = FaceParams.concatenate([controls.apply(own[i], {control.name: float(value)}) for i, value in enumerate(values)])
    block = moved_block(own, goal)
    command = goal.attribute(control.attribute) - own.attribute(control.attribute)
    after = instruments.judged(editor(subjects.styles[rows], control.attribute, command))
    asked, change = getattr(goal, block) - getattr(own, block), getattr(after, block) - getattr(before, block)
    spread = subjects.spread[block]
    surface = _reach(instruments.units, control, block) >= _FAINT * spread
    units = instruments.units if surface else None
    if not surface:
        readings: Tensor = getattr(subjects.before.params, block)
        spread = max(float((readings - readings.mean(0)).square().sum(1).mean().sqrt()), 1e-9)
    answered = answer_along(units, block, spread, asked, change)
    length = answered.asked.sqrt().clamp(min=1e-9)  # (N,) spreads commanded
    whole = (change.square().sum(1) if units is None else units.squared(block, change)) / spread**2
    sideways = resampling.ratio((whole - (answered.along / length) ** 2).clamp(min=0).sqrt(), length)
    moved = moves(instruments.units, subjects.spread, before, after)
    leak = average([resampling.ratio(moved[name], length) for name in ATTRIBUTES if name != control.attribute])
    obedience = answered.r2(resampling)
    low, high = obedience.interval() or (obedience.value, obedience.value)
    return ControlFigure(
        obedience=round(obedience.value, 4),
        low=round(low, 4),
        high=round(high, 4),
        slope=round(answered.slope(resampling).value, 4),
        leak=round(leak.value, 4),
        sideways=round(sideways.value, 4),
        surface=surface,
        samples=len(rows),
    )


def _reach(units: Units, control: Control, block: str) -> float:
    """How far the usual range of a control moves the mean face to either side, in the units of the block."""
    ends = [getattr(controls.apply(FaceParams.neutral(1), {control.name: value}), block) for value in usual_range(control)]
    return float(units.squared(block, (ends[1] - ends[0]) / 2).sqrt())


def moved_block(own: FaceParams, goal: FaceParams) -> str:
    """The block that a control changes (each changes one)."""
    for block in BLOCKS:
        if not torch.equal(getattr(own, block), getattr(goal, block)):
            return block
    raise UserError("This control changed nothing on any face; measure it in another range.")


def save_table(path: Path, table: ControlTable) -> None:
    """Write the table as JSON, replacing what was there."""
    write_text(path, json.dumps(asdict(table), indent=1) + "\n")


def load_table(path: Path) -> ControlTable:
    """Read a table. Raises UserError when the file is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        figures = {str(name): from_mapping(ControlFigure, row, str(path)) for name, row in content["figures"].items()}
        return ControlTable(str(content["generator"]), str(content["manipulation"]), str(content["method"]), figures)
    except FileNotFoundError:
        raise UserError(f"There is no table of controls {path}: make one with `crossrig eval edits --outdir DIR`.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is not a table of controls: make it again with `crossrig eval edits --outdir DIR`.") from None


def shipped_figures() -> Mapping[str, ControlFigure]:
    """Figures of the controls of the rig in use; empty when it was never measured (or another one was)."""
    rig = assets.find("manipulation")
    if rig is None or not (path := rig.with_name(FILE)).is_file():
        return {}
    table = load_table(path)
    return table.figures if table.manipulation == checkpoint.sha256(rig) else {}


def tag(figure: ControlFigure | None) -> str:
    """What `crossrig controls` says about a control."""
    if figure is None:
        return "not measured"
    return f"obedience {figure.obedience:.2f}{' weak' if figure.weak else ''}"
