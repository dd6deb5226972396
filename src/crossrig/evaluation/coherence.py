"""Do the edits of a method fit together? Attributes in another order, and a slider drawn slowly.

`order_gap.{method}`                every subject gets all five attributes of the next one, in one order and in the opposite one. How far
                                    the two results lie apart, per distance from where both began, in spreads, as the judge sees it; mean of
                                    the attributes. 0: the order does not matter.
`slider_jump.{attribute}.{method}`  an attribute is drawn to the next subject's in STEPS equal steps. The largest change of the picture from
                                    one step to the next over their mean, mean of the subjects. 1: even throughout; STEPS: all at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossrig.evaluation.instruments import Instruments, Subjects
from crossrig.face3d.params import ATTRIBUTES
from crossrig.metrics.bootstrap import Resampling, Statistic, average
from crossrig.metrics.moves import moves
from crossrig.rig.editors import Editor
from crossrig.rig.reading import together

STEPS = 16


@torch.no_grad()
def order_figures(
    instruments: Instruments, editor: Editor, subjects: Subjects, count: int, draws: int, method: str
) -> dict[str, Statistic]:
    """`order_gap` on the first `count` subjects."""
    rows = torch.arange(min(count, len(subjects)))

    def edited(order: tuple[str, ...]) -> Tensor:
        styles = subjects.styles[rows]
        for attribute in order:
            styles = editor(styles, attribute, subjects.command(attribute)[rows])
        return styles

    there, back = (instruments.judged(edited(order)) for order in (tuple(ATTRIBUTES), tuple(ATTRIBUTES)[::-1]))
    apart = moves(instruments.units, subjects.spread, there, back)
    moved = moves(instruments.units, subjects.spread, subjects.before.params[rows], there)
    resampling = Resampling(len(rows), draws)
    return {f"order_gap.{method}": average([resampling.ratio(apart[name], moved[name]) for name in ATTRIBUTES])}


@torch.no_grad()
def slider_figures(
    instruments: Instruments, editor: Editor, subjects: Subjects, count: int, draws: int, method: str
) -> dict[str, Statistic]:
    """`slider_jump` of every attribute on the first `count` subjects."""
    rows = torch.arange(min(count, len(subjects)))
    share = torch.linspace(0, 1, STEPS + 1).repeat_interleave(len(rows))[:, None]  # (STEPS+1)*N, one step of everybody after another
    resampling, figures = Resampling(len(rows), draws), {}
    for attribute in ATTRIBUTES:
        command = subjects.command(attribute)[rows].repeat(STEPS + 1, 1) * share
        styles = editor(subjects.styles[rows].repeat(STEPS + 1, 1), attribute, command)
        changes = _steps(instruments, styles.reshape(STEPS + 1, len(rows), -1))
        figures[f"slider_jump.{attribute}.{method}"] = resampling.mean(changes.amax(0) / changes.mean(0).clamp(min=1e-9))
    return figures


def _steps(instruments: Instruments, styles: Tensor) -> Tensor:
    """(STEPS, N): mean absolute change of the picture from one step to the next, of codes (STEPS+1, N, S)."""
    generator = instruments.generator
    columns = []
    for drawn in styles.unbind(1):  # (STEPS+1, S): one subject
        pictures = torch.cat([generator.synthesise(part) for part in torch.split(drawn, together(generator.config.resolution))])
        columns.append(pictures.diff(dim=0).abs().mean((1, 2, 3)))
    return torch.stack(columns, 1)
