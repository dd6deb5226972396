"""How strong an edit must be: directions of a regression point the right way and stop short, because noise in the labels shrinks them.

A person would push the slider further until the face looks right. So would we: each attribute of a baseline gets the factor on its
commands with which T, on codes the baseline learned from, is obeyed best. Without it methods that hardly move anything would be
compared with methods that do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.rig.attributes import AttributePredictor
from crossrig.rig.editors import Editor
from crossrig.rig.units import MEASURED_BLOCK, Units

#: Factors tried.
GAINS: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
_TRIED = 256  # codes


@dataclass(frozen=True)
class Amplified:
    """Another editor, its commands multiplied by a factor of their attribute."""

    editor: Editor
    gains: Mapping[str, float]

    def __call__(self, styles: Tensor, attribute: str, command: Tensor) -> Tensor:
        return self.editor(styles, attribute, self.gains[attribute] * command)


@torch.no_grad()
def amplified(
    editor: Editor, predictor: AttributePredictor, units: Units, styles: Tensor, labels: Tensor, gains: Sequence[float] = GAINS
) -> Amplified:
    """The editor with the best gains for commands between codes (N,S) with labels (N,213), N >= 2."""
    few = styles.narrow(0, 0, min(len(styles), _TRIED))
    own = FaceParams.unpack(labels.narrow(0, 0, len(few)))
    before = predictor.predict(few)
    chosen = {}
    for attribute in ATTRIBUTES:
        block = MEASURED_BLOCK[attribute]
        command = own.attribute(attribute).roll(-1, 0) - own.attribute(attribute)
        asked = getattr(own, block).roll(-1, 0) - getattr(own, block)

        def missed(gain: float, attribute: str = attribute, block: str = block, command: Tensor = command, asked: Tensor = asked) -> float:
            after = predictor.predict(editor(few, attribute, gain * command))
            return float(units.squared(block, getattr(after, block) - getattr(before, block) - asked).sum())

        chosen[attribute] = min(gains, key=missed)
    return Amplified(editor, chosen)
