"""An evaluation as a Markdown page and as pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from crossrig.data.metadata import DigitalSource, save_picture
from crossrig.errors import UserError
from crossrig.evaluation.controls import ControlFigure
from crossrig.evaluation.edits import KEEPS_IDENTITY, MOVES_POINTS, OURS, RENDERED, TARGET, Evaluation, Points
from crossrig.evaluation.plots import Pixels, beside, heat_map, scatter
from crossrig.face3d.params import ATTRIBUTES
from crossrig.files import write_text
from crossrig.metrics.bootstrap import Statistic

_MOST_POINTS = 600  # points of a panel that are drawn
#: Figure of the full method -> (bound, whether larger is better).
GOALS: Mapping[str, tuple[float, bool]] = {
    f"yaw_error_deg.{OURS}": (3.0, False),
    f"obedience.pose.{OURS}": (0.95, True),
    f"obedience.illumination.{OURS}": (0.9, True),
    f"obedience.expression.{OURS}": (0.85, True),
    f"obedience.albedo.{OURS}": (0.85, True),
    f"obedience.shape.{OURS}": (0.75, True),
    f"leak.mean.{OURS}": (0.15, False),
}


def markdown(
    evaluation: Evaluation, methods: list[str], controls: Mapping[str, ControlFigure], notes: Iterable[str], champion: str = OURS
) -> str:
    """The whole page. notes: sentences about the run (sizes, networks, what was absent). champion: the method margins are of."""
    figures = evaluation.figures
    parts = ["# Evaluation of edits", *notes, *_set_of_tables(figures, methods, "", champion)]
    if any(name.startswith("inverted.") for name in figures):
        parts += ["# Inverted portraits", *_set_of_tables(figures, methods, "inverted.", champion)]
    if controls:
        parts += ["## Named controls", _control_table(controls)]
    return "\n\n".join(parts) + "\n"


def _set_of_tables(figures: Mapping[str, Statistic], methods: list[str], prefix: str, champion: str) -> list[str]:
    def by_attribute(figure: str, rows: list[str], attributes: Iterable[str] = ATTRIBUTES) -> str:
        names = list(attributes)
        cells = [[_cell(figures.get(f"{prefix}{figure}.{name}.{method}")) for name in names] for method in rows]
        return table(["", *names], [[method, *row] for method, row in zip(rows, cells, strict=True)])

    yardsticks = [RENDERED] if not prefix and f"leak.mean.{RENDERED}" in figures else []
    whole = ["yaw_error_deg", "yaw_change_error_deg", "leak.mean"]
    if not prefix:
        whole += ["disentanglement_score", "frechet", "order_gap", "milliseconds"]
    parts = [
        *([] if prefix else [_goals(figures)]),
        "## Obedience (R2)", by_attribute("obedience", [*methods, TARGET, *yardsticks]),
        "## Slope (1: as far as commanded)",
        by_attribute("obedience_slope", [*methods, TARGET, *yardsticks]),
        "## Leak (mean of the four others, spreads per spread commanded)", by_attribute("leak", [*methods, *yardsticks]),
        "## Leak per spread moved along the command (empty: it did not move that way)",
        by_attribute("leak_per_moved", [*methods, *yardsticks]),
        "## As a whole",
        table(["", *whole], [[m, *(_cell(figures.get(f"{prefix}{name}.{m}")) for name in whole)] for m in [*methods, *yardsticks]]),
        "## Landmark error (% of the picture's side)", by_attribute("landmark_error", [*methods, *yardsticks]),
        "## Change outside the face (levels of 255)", by_attribute("outside_change", [*methods, *yardsticks]),
    ]  # fmt: skip
    if not prefix:
        parts += ["## Largest step of a slider over the mean of 16 (1: even; 16: a jump)", by_attribute("slider_jump", methods)]
        parts.append(f"`frechet.unedited` {_cell(figures.get('frechet.unedited'))}: as many unedited pictures against the same reference.")
    if f"{prefix}identity.strangers" in figures:
        parts += ["## Identity (cosine of dlib's descriptors)", by_attribute("identity", [*methods, *yardsticks], KEEPS_IDENTITY)]
        parts.append(f"Two different people: {_cell(figures[f'{prefix}identity.strangers'])}.")
    if any(name.startswith(f"{prefix}obedience_dlib.") for name in figures):
        parts.append("## Obedience by dlib's points (R2; slope; share of people whose points it found)")
        by_dlib = ("obedience_dlib", "obedience_dlib_slope", "dlib_found")
        parts += [by_attribute(figure, [*methods, *yardsticks], MOVES_POINTS) for figure in by_dlib]
    if others := [method for method in methods if method != champion and champion in methods]:
        parts += [f"## `{champion}` against the others (above 0: it is better)"]
        parts += ["Obedience:", by_attribute("margin.obedience", others), "Leak:", by_attribute("margin.leak", others)]
    parts.append("## What moves under which command (population spreads per spread commanded)")
    for method in [*methods, *yardsticks]:
        rows = [[a, *(_cell(figures.get(f"{prefix}leak_matrix.{a}.{b}.{method}"), bounds=False) for b in ATTRIBUTES)] for a in ATTRIBUTES]
        parts.append(table([f"{method}: commanded", *ATTRIBUTES], rows))
    return parts


def _goals(figures: Mapping[str, Statistic]) -> str:
    rows = []
    for name, (bound, larger) in GOALS.items():
        if name in figures:
            value = figures[name].value
            met = value >= bound if larger else value <= bound
            rows.append([f"`{name}`", _cell(figures[name]), f"{'>=' if larger else '<='} {bound:g}", "reached" if met else "missed"])
    return table(["goal", "measured", "wanted", ""], rows)


def _control_table(controls: Mapping[str, ControlFigure]) -> str:
    rows = [
        [
            name, f"{row.obedience:.2f} ({row.low:.2f} .. {row.high:.2f})", f"{row.slope:.2f}", f"{row.leak:.2f}", f"{row.sideways:.2f}",
            "surface" if row.surface else "coefficients", "weak" if row.weak else "",
        ]
        for name, row in controls.items()
    ]  # fmt: skip
    weak = sum(row.weak for row in controls.values())
    header = ["control", "obedience", "slope", "leak", "sideways", "measured by", ""]
    return f"{len(controls)} controls, {weak} of them weak.\n\n{table(header, rows)}"


def _cell(statistic: Statistic | None, bounds: bool = True) -> str:
    if statistic is None:
        return ""
    interval = statistic.interval() if bounds else None
    return f"{statistic.value:.3g}" if interval is None else f"{statistic.value:.3g} ({interval[0]:.3g} .. {interval[1]:.3g})"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def leak_picture(figures: Mapping[str, Statistic], method: str) -> Pixels:
    """The 5 x 5 matrix of a method: rows commanded, columns moved."""
    matrix = np.array([[figures[f"leak_matrix.{a}.{b}.{method}"].value for b in ATTRIBUTES] for a in ATTRIBUTES])
    return heat_map(matrix, list(ATTRIBUTES), [name[:5] for name in ATTRIBUTES], f"{method}: commanded (rows), moved")


def scatter_picture(points: Mapping[str, tuple[Tensor, Tensor]], method: str) -> Pixels:
    """Commanded against judged, one panel an attribute (spreads, along the command) and one for yaw (degrees)."""
    panels = []
    for name, (asked, judged) in points.items():
        few = min(len(asked), _MOST_POINTS)
        x, y = (values[:few].double().numpy() for values in (asked, judged))
        panels.append(scatter(x, y, f"{method}: {name}", "commanded", "judged"))
    return beside(panels)


def file_names(methods: Iterable[str]) -> list[str]:
    """What `write_report` writes."""
    return ["edits.json", "edits.md", "controls.json", "leak.png", *(f"scatter-{method}.png" for method in methods)]


def check_folder(folder: Path, methods: Iterable[str], overwrite: bool) -> None:
    """Raises UserError when a file of the report is there already and may not be replaced."""
    refuse_taken(folder, file_names(methods), overwrite)


def refuse_taken(folder: Path, names: Iterable[str], overwrite: bool) -> None:
    """Raises UserError when one of these files is there already and may not be replaced."""
    taken = [name for name in names if (folder / name).exists()]
    if taken and not overwrite:
        raise UserError(f"{folder / taken[0]}: exists already; choose another --outdir or add --overwrite.")


def write_pictures(folder: Path, evaluation: Evaluation, overwrite: bool) -> None:
    """leak.png and one scatter-METHOD.png for each method."""
    points: Points = evaluation.points
    leaks = beside([leak_picture(evaluation.figures, method) for method in points])
    save_picture(folder / "leak.png", leaks, DigitalSource.RENDERED, overwrite)
    for method, panels in points.items():
        save_picture(folder / f"scatter-{method}.png", scatter_picture(panels, method), DigitalSource.RENDERED, overwrite)


def write_page(folder: Path, text: str, json_text: str) -> None:
    """edits.md and edits.json."""
    write_text(folder / "edits.md", text)
    write_text(folder / "edits.json", json_text + "\n")
