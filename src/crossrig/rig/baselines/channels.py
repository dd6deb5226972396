"""Single StyleSpace channels, after Wu et al. 2021 (arXiv 2011.12799, section 5).

The paper finds the channel of an attribute from a few pictures that show it: delta = (s - population mean) / population deviation, and the
channel with the largest |mean of delta| / deviation of delta over these examples is taken. Each of the 213 parameters gets its channel that
way here, from the examples in which the parameter is most and least (these with opposite sign). The paper leaves the strength to a
slider; here the step that changes the parameter by one is measured with T, at most `LONGEST` deviations of the channel for one
deviation of the parameter.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from crossrig.errors import UserError
from crossrig.face3d.params import PACKED_SIZE, FaceParams
from crossrig.rig.attributes import AttributePredictor

#: Examples of each end: the paper needs 10 to 30.
LEAST_EXAMPLES = 15
#: Share of all examples that each end has when that is more.
SHARE = 0.01
#: Largest step of a channel, in its standard deviations, for one standard deviation of its parameter.
LONGEST = 3.0
_TRIED = 256  # codes on which the effect of a channel is measured


@dataclass(frozen=True)
class ChannelEditor:
    """Every commanded value moves its own channel."""

    channels: Tensor
    """(213,) entry of s that each packed parameter moves."""
    steps: Tensor
    """(213,) by how much for a command of one."""

    def __call__(self, styles: Tensor, attribute: str, command: Tensor) -> Tensor:
        channels = FaceParams.unpack(self.channels[None]).attribute(attribute)[0]  # (n,)
        steps = FaceParams.unpack(self.steps[None]).attribute(attribute)[0]
        return styles.index_add(1, channels, command * steps)


@torch.no_grad()
def channels(predictor: AttributePredictor, styles: Tensor, labels: Tensor) -> ChannelEditor:
    """The best channel of every parameter, from codes (N,S), N >= 30, and what was seen in their pictures, labels (N,213)."""
    count = len(styles)
    if count < 2 * LEAST_EXAMPLES or len(labels) != count:
        raise UserError(f"Choosing channels needs {2 * LEAST_EXAMPLES} labelled codes or more; there are {count} and {len(labels)} labels.")
    scale, label_scale = styles.std(0).clamp(min=1e-6), labels.std(0)
    delta = (styles - styles.mean(0)) / scale  # (N,S)
    each = min(max(LEAST_EXAMPLES, round(SHARE * count)), count // 2)
    order = labels.argsort(0)  # (N,213)
    low, high = order.narrow(0, 0, each), order.narrow(0, count - each, each)
    best = torch.empty(PACKED_SIZE, dtype=torch.long)
    for value in range(PACKED_SIZE):
        examples = torch.cat([delta[high[:, value]], -delta[low[:, value]]])  # (2*each, S)
        best[value] = (examples.mean(0).abs() / examples.std(0).clamp(min=1e-6)).argmax()
    response = _responses(predictor, styles.narrow(0, 0, min(count, _TRIED)), best, scale)  # change of the value for one deviation
    wanted = label_scale / response  # deviations of the channel for one deviation of the value
    wanted = torch.where(response.abs() > 1e-9, wanted, torch.zeros_like(wanted)).clamp(-LONGEST, LONGEST)
    steps = wanted * scale[best] / label_scale.clamp(min=1e-6)
    return ChannelEditor(best, torch.where(label_scale > 1e-6, steps, torch.zeros_like(steps)))


def _responses(predictor: AttributePredictor, styles: Tensor, best: Tensor, scale: Tensor) -> Tensor:
    """(213,): how T's value changes when its channel rises by one standard deviation; mean of central differences over codes."""
    found = torch.empty(PACKED_SIZE)
    for channel in sorted(set(best.tolist())):
        step = torch.zeros_like(styles)
        step[:, channel] = 0.5 * scale[channel]
        effect = (predictor(styles + step) - predictor(styles - step)).mean(0)  # (213,)
        own = best == channel
        found[own] = effect[own]
    return found
