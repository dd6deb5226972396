"""Attribute-adaptive layer selection: which layers of S an attribute's network may edit (CDDFM3D, section 3.3, the reduced StyleSpace).

Two measurements, each a table attribute -> layer -> score:

*rig*   the paper's: a rig that edits every convolution layer for every attribute is trained first (a StyleRig in S, or the small editor
        of `train.layers`); attributes are commanded one at a time, each code the next one's, which is as good as drawn at random; a
        layer's score is its mean change (in standard deviations of its styles) times what that change alone does to the commanded
        attribute (in population spreads, by T). Change alone would let layers in that T does not look at: nothing holds them back.
*swap*  without any trained editor: a layer's style is exchanged for another person's; the score is how much the attribute then
        changes in the picture (in population spreads, by the reconstruction network).

Both are repeated with other seeds; scores are means over the repeats, and how far the repeats would have chosen alike is reported.

The paper's thresholds are not published. Ours: a layer belongs to an attribute when its score is at least `share` of the best layer's
(default 0.15), and never fewer than `least` layers. toRGB layers are never candidates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from crossrig.errors import UserError
from crossrig.face3d.params import ATTRIBUTES, PACKED_SIZE, FaceParams
from crossrig.gan.generator import Generator
from crossrig.gan.stylespace import StyleSpace
from crossrig.rig.attributes import AttributePredictor
from crossrig.rig.manipulation import Manipulator, shift
from crossrig.rig.reading import see
from crossrig.rig.reconstruction import Reconstruction
from crossrig.rig.units import MEASURED_BLOCK, Units

Scores = dict[str, dict[str, float]]
#: A rig over all candidate layers: style codes (B,S), attribute, dP (B,n) -> layer name -> change of its styles (B, size).
Probe = Callable[[Tensor, str, Tensor], Mapping[str, Tensor]]

#: Layers scoring at least this share of the best layer's score are selected.
SHARE = 0.15


def editable(space: StyleSpace) -> tuple[str, ...]:
    """Names of the convolution layers, in order."""
    return tuple(layer.name for layer in space.layers if layer.kind == "conv")


@torch.no_grad()
def swap_scores(generator: Generator, network: Reconstruction, units: Units, styles: Tensor) -> Scores:
    """Attribute -> layer -> mean change, in population spreads, when the layer's style is the next person's. `styles` (N,S), N >= 8."""
    space = generator.style_space
    if len(styles) < 8:
        raise UserError(f"layer swaps need 8 or more codes; there are {len(styles)}.")

    before = see(network, generator, styles)
    spread = units.spread(before)
    own = space.split(styles)
    scores: Scores = {name: {} for name in ATTRIBUTES}
    for layer in editable(space):
        swapped = space.join({name: style.roll(1, 0) if name == layer else style for name, style in own.items()})
        after = see(network, generator, swapped)
        for attribute in ATTRIBUTES:
            change = units.distance(attribute, before, after).mean()
            scores[attribute][layer] = float(change) / spread[MEASURED_BLOCK[attribute]]
    return scores


def manipulator_probe(manipulator: Manipulator, space: StyleSpace) -> Probe:
    """One network that commands all blocks and edits all candidate layers, as a probe."""

    def change(styles: Tensor, attribute: str, command: Tensor) -> Mapping[str, Tensor]:
        nothing = FaceParams.unpack(command.new_zeros(len(command), PACKED_SIZE))
        return manipulator(space.split(styles), nothing.with_attribute(attribute, command).pack())  # type: ignore[no-any-return]

    return change


@torch.no_grad()
def rig_scores(probe: Probe, predictor: AttributePredictor, space: StyleSpace, units: Units, styles: Tensor) -> Scores:
    """Attribute -> layer -> (mean change of the layer) x (effect of that change alone); each code (N,S) is commanded to take over one
    attribute of the next."""
    own = predictor.predict(styles)
    spread = units.spread(own)
    parts = space.split(styles)
    scores: Scores = {name: {} for name in ATTRIBUTES}
    for attribute in ATTRIBUTES:
        offsets = probe(styles, attribute, own.attribute(attribute).roll(1, 0) - own.attribute(attribute))
        for layer in editable(space):
            deviation = parts[layer].std(0).clamp(min=1e-4)
            change = float((offsets[layer] / deviation).square().mean(1).sqrt().mean())
            alone = predictor.predict(shift(space, styles, {layer: offsets[layer]}))
            effect = float(units.distance(attribute, own, alone).mean()) / spread[MEASURED_BLOCK[attribute]]
            scores[attribute][layer] = change * effect
    return scores


def combine(first: Scores, second: Scores) -> Scores:
    """Geometric mean of two tables, each relative to its best layer: a layer must count in both."""
    combined: Scores = {}
    for attribute, row in first.items():
        best, other_best = max(row.values()), max(second[attribute].values())
        combined[attribute] = {
            layer: math.sqrt(score / max(best, 1e-12) * second[attribute][layer] / max(other_best, 1e-12)) for layer, score in row.items()
        }
    return combined


def mean_share(tables: Sequence[Scores]) -> Scores:
    """Mean of several tables of the same layers, each row as shares of its best layer's score."""
    shared: Scores = {}
    for attribute, row in tables[0].items():
        best = [max(max(table[attribute].values()), 1e-12) for table in tables]
        shared[attribute] = {
            layer: sum(table[attribute][layer] / most for table, most in zip(tables, best, strict=True)) / len(tables) for layer in row
        }
    return shared


def agreement(chosen: Mapping[str, tuple[str, ...]], others: Sequence[Mapping[str, tuple[str, ...]]]) -> dict[str, float]:
    """Attribute -> mean share of layers that the selection and each of the others have in common, of those that either has (Jaccard)."""

    def common(attribute: str, other: Mapping[str, tuple[str, ...]]) -> float:
        first, second = set(chosen[attribute]), set(other[attribute])
        return len(first & second) / len(first | second)

    return {attribute: sum(common(attribute, other) for other in others) / len(others) for attribute in chosen}


def select(scores: Scores, share: float = SHARE, least: int = 2) -> dict[str, tuple[str, ...]]:
    """Attribute -> layer names, in the order of the tables."""
    chosen = {}
    for attribute, row in scores.items():
        ranked = sorted(row, key=lambda layer: row[layer], reverse=True)
        kept = {layer for layer in ranked if row[layer] >= share * row[ranked[0]]} | set(ranked[:least])
        chosen[attribute] = tuple(layer for layer in row if layer in kept)
    return chosen
