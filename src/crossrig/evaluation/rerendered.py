"""The yardstick of an exact edit: people rendered anew, with one attribute of the next person's and everything else their own.

Nothing leaks there. What the judge finds moved in such pictures beside what was commanded is its own error of reading two pictures of one
face, and no editor without fault could score better on people as different as these. Figures are called after the method RENDERED.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from crossrig.data.people import Person, in_light_of, person, sample_code
from crossrig.data.style_names import Style
from crossrig.data.synth import draw
from crossrig.evaluation.edits import KEEPS_IDENTITY, MOVES_POINTS, RENDERED, Figures, mean_leak, outcome, outcome_figures
from crossrig.evaluation.instruments import SHOWN, Instruments, Subjects, look_at
from crossrig.face3d.params import ATTRIBUTES
from crossrig.metrics.bootstrap import Resampling


def with_attribute_of(someone: Person, other: Person, attribute: str) -> Person:
    """The same person with the attribute of another; hair, eyes, clothes and whatever else no parameter says stay."""
    if attribute == "illumination":
        return in_light_of(someone, other)
    changed = replace(someone, blocks={**someone.blocks, **{name: other.blocks[name] for name in ATTRIBUTES[attribute]}})
    if attribute == "albedo":  # drawn styles take the skin from the traits
        return replace(changed, traits=replace(someone.traits, skin=other.traits.skin, darkness=other.traits.darkness))
    return changed


def rerendered_figures(
    instruments: Instruments, count: int, seed: int, draws: int = 1000, progress: Callable[[int, int], None] | None = None,
    style: Style = "photo",
) -> Figures:
    """The figures of `evaluation.edits.outcome_figures` for portraits 0 .. count-1 of a reserved stream, count >= 8, at SHOWN px.

    In another style than photographs commands are still read from these: the reader knows no drawings.
    """
    people = [person(*sample_code(seed, index)) for index in range(count)]
    following = [*people[1:], people[0]]
    total = count * (1 + len(ATTRIBUTES) + (style != "photo"))
    done = 0

    def pictures(shown: list[Person], style: Style = style) -> Iterator[Tensor]:
        nonlocal done
        for someone in shown:
            image = torch.from_numpy(np.ascontiguousarray(draw(someone, SHOWN, style).transpose(2, 0, 1)))
            done += 1
            if progress is not None:
                progress(done, total)
            yield image[None].float() / 127.5 - 1.0

    subjects = Subjects.of_pictures(instruments, torch.cat(list(pictures(people))))
    if style != "photo":
        subjects = replace(subjects, own=instruments.reader.predict(torch.cat(list(pictures(people, "photo")))))
    resampling = Resampling(count, draws)
    figures: Figures = {}
    for attribute in ATTRIBUTES:
        changed = [with_attribute_of(*pair, attribute) for pair in zip(people, following, strict=True)]
        after = look_at(instruments, pictures(changed), attribute in KEEPS_IDENTITY, attribute in MOVES_POINTS)
        figures |= outcome_figures(outcome(instruments, subjects, attribute, after), resampling, attribute, RENDERED)
    return figures | mean_leak(figures, RENDERED)
