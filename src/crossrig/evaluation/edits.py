"""The evaluation of edits: one harness for every method. `crossrig eval edits`; docs/7-edits-evaluation.md explains it to a reader.

Protocol
--------
*subjects*     codes of unseen z (UNSEEN.codes, truncation 1, unmixed), and W+ inversions of unseen portraits (UNSEEN.portraits);
               figures of the latter begin with `inverted.`.
*commands*     for each subject and attribute the difference to the next subject's value, both read from the unedited picture by the
               reconstruction network. Every method gets the same commands.
*judge*        another network looks at the picture before and after; figures compare its change with the command.
*obedience*    `metrics.obedience`, in the units of `rig.units`. Method `target` is not a method: it shows the next subject's own picture,
               which fulfils the command exactly, so what it misses is what judge and reader disagree about when they read two pictures.
               An editor that moves with more caution than people differ can score higher, as it brings less of that into play.
               Neither is `rendered` (evaluation/rerendered.py), the yardstick of leaks.
*by dlib*      where its 51 points inside the face move, beside where the command moves our landmarks (`obedience_dlib`, metrics/points.py):
               a tool that others trained. `dlib_found`: share of the subjects whose points it found before and after.
*leak*         `leak_matrix.{commanded}.{other}.{method}`: sum over subjects of the judged change of the other attribute, in its population
               spreads, over the sum of the commanded changes in theirs. `leak.{commanded}.{method}`: mean of the four others. A part is
               the judge's own unrest: it is not the same face to it from another side. An editor that hardly moves hardly leaks, so
               `leak_per_moved.{commanded}.{method}` divides by what moved along the command instead of by what was commanded.
*yaw*          targets uniform in +-40 degrees, everything else kept: |judged yaw - target| (`yaw_error_deg`), and |judged change -
               commanded change| (`yaw_change_error_deg`), medians.
*the rest*     `metrics.landmarks`, `.outside`, `.identity`, `.disentanglement`, `.frechet`; evaluation/coherence.py; `milliseconds`: median
               time of one edit of one code, without painting it, on the machine at hand.
*intervals*    95 %, bootstrap over subjects (`metrics.bootstrap`), the same draws for all methods; `margin.*` are differences of a baseline
               to `ours` on the same subjects and commands, above 0 where ours is better.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from crossrig.errors import UserError
from crossrig.evaluate import unseen_styles, yaw
from crossrig.evaluation.coherence import order_figures, slider_figures
from crossrig.evaluation.instruments import Instruments, Seen, Subjects, faces, look
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.metrics import disentanglement
from crossrig.metrics.angles import ANGLES
from crossrig.metrics.bootstrap import Resampling, Statistic, average
from crossrig.metrics.frechet import frechet_distance
from crossrig.metrics.identity import same_person
from crossrig.metrics.landmarks import landmark_error
from crossrig.metrics.moves import moves
from crossrig.metrics.obedience import Answer, answer
from crossrig.metrics.outside import outside_change
from crossrig.metrics.points import answer_of_points
from crossrig.rig.editors import Editor
from crossrig.rig.units import MEASURED_BLOCK

EDIT_TARGETS_SEED = 770_000_023


@dataclass(frozen=True)
class People:
    """Seeds of the people of an evaluation: codes that are edited, portraits that are inverted, codes of the unedited pictures."""

    codes: int
    portraits: int
    realism: int


#: Reserved for the evaluation: no recipe may use them, and no choice may be made by them.
UNSEEN = People(770_000_021, 770_000_029, 770_000_031)
#: As many others, for choosing between settings.
TRIAL = People(880_000_021, 880_000_029, 880_000_031)

#: The full method, the one baselines are compared with.
OURS = "ours"
#: The next subject's own picture: what a perfect edit would score.
TARGET = "target"
#: People rendered anew: what an edit without fault would be judged as.
RENDERED = "rendered"
#: Attributes under whose edits a person stays the same person.
KEEPS_IDENTITY: tuple[str, ...] = ("pose", "expression", "illumination")
#: Attributes whose edits move the points of a face.
MOVES_POINTS: tuple[str, ...] = ("pose", "expression", "shape")
#: Reach of the yaw targets, degrees.
YAW_REACH = 40.0

Figures = dict[str, Statistic]
Points = dict[str, dict[str, tuple[Tensor, Tensor]]]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Sizes:
    """How much is measured. codes and portraits: subjects. anchors, targets: sets of the disentanglement score; anchors also get all five
    attributes in two orders. slides: subjects whose sliders are drawn slowly. timed: edits timed one by one. draws: of the bootstrap."""

    codes: int = 512
    portraits: int = 200
    anchors: int = 64
    targets: int = 5
    slides: int = 4
    timed: int = 25
    draws: int = 1000

    def __post_init__(self) -> None:
        if self.codes < 8 or not (self.portraits == 0 or self.portraits >= 8):
            raise UserError(f"An evaluation needs 8 or more codes, and 8 or more portraits or none; got {self.codes} and {self.portraits}.")
        if not 1 <= self.anchors <= self.codes or not 2 <= self.targets < self.codes:
            raise UserError(f"Sets of {self.targets} targets for {self.anchors} anchors cannot be made of {self.codes} codes.")

    @classmethod
    def of(cls, samples: int, portraits: int | None = None) -> Sizes:
        """The proportions of the full evaluation (512 codes, 200 portraits) for another number of codes."""
        if portraits is None:
            portraits = max(8, min(200, math.ceil(samples * 200 / 512)))
        return cls(samples, portraits, max(1, min(64, samples // 8)), min(5, max(2, samples // 2)))


@dataclass(frozen=True)
class Outcome:
    """One attribute edited by one method, per subject."""

    answer: Answer
    moved: dict[str, Tensor]
    """Attribute -> (N,): judged change in spreads."""
    landmarks: Tensor
    """(N,) percent of the picture's side."""
    outside: Tensor
    """(N,) levels of 255."""
    identity: Tensor | None
    """(min(N, DESCRIBED),) cosine."""
    pointed: tuple[Answer, Tensor] | None
    """What dlib's points say came of the command, and (N,) whose points it found; None for attributes that move none, or without dlib."""
    features: Tensor
    """(N,C)"""


@dataclass(frozen=True)
class Evaluation:
    """figures by name; points (commanded, judged) by method and panel; features (M,C) of all edited pictures by method."""

    figures: Figures
    points: Points
    features: dict[str, Tensor]

    def flat(self) -> dict[str, float]:
        """`name`, `name.low`, `name.high` -> value, as one flat object; intervals are left out where there is none."""
        found: dict[str, float] = {}
        for name, statistic in self.figures.items():
            found[name] = round(statistic.value, 5)
            interval = statistic.interval()
            if interval is not None:
                found |= {f"{name}.low": round(interval[0], 5), f"{name}.high": round(interval[1], 5)}
        return found


def evaluate_edits(
    instruments: Instruments,
    editors: Mapping[str, Editor],
    sizes: Sizes,
    inverted: Tensor | None = None,
    progress: Progress | None = None,
    people: People = UNSEEN,
    champion: str = OURS,
) -> Evaluation:
    """Everything about every editor. `inverted`: codes (M,S) of unseen portraits, None to leave them out. `champion`: the editor whose
    margins over the others are given."""
    tell = progress or (lambda what, step, steps: None)
    styles = unseen_styles(instruments.generator, sizes.codes, people.codes)
    subjects = Subjects.of(instruments, styles)
    evaluation = evaluate_subjects(instruments, editors, subjects, sizes, "", tell, champion)
    figures, points = dict(evaluation.figures), evaluation.points
    figures |= realism_figures(instruments, evaluation.features, people.realism)
    sets = Resampling(sizes.anchors, sizes.draws)
    for step, (method, editor) in enumerate(editors.items()):
        figures |= disentanglement_figures(instruments, editor, subjects, sizes, sets, method)
        figures |= order_figures(instruments, editor, subjects, sizes.anchors, sizes.draws, method)
        figures |= slider_figures(instruments, editor, subjects, sizes.slides, sizes.draws, method)
        figures[f"milliseconds.{method}"] = Statistic.single(milliseconds(editor, subjects, sizes.timed))
        tell("disentanglement, order, sliders, cost", step + 1, len(editors))
    if inverted is not None:
        portraits = Subjects.of(instruments, inverted)
        figures |= evaluate_subjects(instruments, editors, portraits, sizes, "inverted.", tell, champion).figures
    return Evaluation(figures, points, evaluation.features)


def evaluate_subjects(
    instruments: Instruments,
    editors: Mapping[str, Editor],
    subjects: Subjects,
    sizes: Sizes,
    prefix: str,
    progress: Progress,
    champion: str = OURS,
) -> Evaluation:
    """Obedience, leak, yaw, landmarks, surroundings and identity on one set of subjects."""
    resampling = Resampling(len(subjects), sizes.draws)
    figures: Figures = {}
    points: Points = {}
    features: dict[str, Tensor] = {}
    for attribute in ATTRIBUTES:
        perfect = _answer(instruments, subjects, attribute, subjects.command(attribute), _rolled(subjects.before))
        figures |= _obedience(perfect, resampling, attribute, TARGET)
    if (known := subjects.before.descriptors) is not None:
        figures["identity.strangers"] = Resampling(len(known), sizes.draws).mean(same_person(known, known.roll(-1, 0)))
    for step, (method, editor) in enumerate(editors.items()):
        panels: dict[str, tuple[Tensor, Tensor]] = {}
        pictured = []
        for attribute in ATTRIBUTES:
            found = edit_and_look(instruments, subjects, editor, attribute)
            pictured.append(found.features)
            figures |= outcome_figures(found, resampling, attribute, method)
            length = found.answer.asked.sqrt()
            panels[attribute] = (length, found.answer.along / length.clamp(min=1e-9))
        figures |= mean_leak(figures, method)
        turned, panels["yaw, degrees"] = yaw_figures(instruments, subjects, editor, resampling, method)
        figures |= turned
        points[method], features[method] = panels, torch.cat(pictured)
        progress(f"{prefix or 'codes.'}edits".replace(".", " "), step + 1, len(editors))
    figures |= margins(figures, list(editors), champion)
    return Evaluation({prefix + name: statistic for name, statistic in figures.items()}, points, features)


@torch.no_grad()
def edit_and_look(instruments: Instruments, subjects: Subjects, editor: Editor, attribute: str) -> Outcome:
    """Command every subject the next one's attribute and look at what comes of it."""
    edited = editor(subjects.styles, attribute, subjects.command(attribute))
    return outcome(instruments, subjects, attribute, look(instruments, edited, attribute in KEEPS_IDENTITY, attribute in MOVES_POINTS))


def outcome(instruments: Instruments, subjects: Subjects, attribute: str, after: Seen) -> Outcome:
    """What came of commanding every subject the next one's attribute."""
    command, before = subjects.command(attribute), subjects.before
    goal = before.params.with_attribute(attribute, before.params.attribute(attribute) + command)
    identity = None
    if before.descriptors is not None and after.descriptors is not None:
        identity = same_person(before.descriptors, after.descriptors)
    pointed = None
    if attribute in MOVES_POINTS and before.points is not None and after.points is not None:
        own = subjects.own
        wanted = own.with_attribute(attribute, own.attribute(attribute) + command)
        commanded = instruments.landmarks.points(wanted) - instruments.landmarks.points(own)
        pointed = answer_of_points(commanded, after.points - before.points)
    return Outcome(
        _answer(instruments, subjects, attribute, command, after),
        moves(instruments.units, subjects.spread, before.params, after.params),
        landmark_error(instruments.landmarks, after.params, goal),
        outside_change(before.pictures, after.pictures, torch.maximum(subjects.face, faces(instruments, after))),
        identity,
        pointed,
        after.features,
    )


def _answer(instruments: Instruments, subjects: Subjects, attribute: str, command: Tensor, after: Seen) -> Answer:
    block = MEASURED_BLOCK[attribute]
    own, before = subjects.own, subjects.before.params
    goal = own.with_attribute(attribute, own.attribute(attribute) + command)
    asked = getattr(goal, block) - getattr(own, block)
    return answer(instruments.units, block, subjects.spread[block], asked, getattr(after.params, block) - getattr(before, block))


def _rolled(seen: Seen) -> Seen:
    """What would be seen if every subject had become the next one."""
    params = FaceParams.unpack(seen.params.pack().roll(-1, 0))
    descriptors = None if seen.descriptors is None else seen.descriptors.roll(-1, 0)
    points = None if seen.points is None else seen.points.roll(-1, 0)
    return Seen(params, seen.pictures.roll(-1, 0), seen.features.roll(-1, 0), descriptors, points)


def mean_leak(figures: Mapping[str, Statistic], method: str) -> Figures:
    """`leak.mean.{method}`: of all five attributes."""
    return {f"leak.mean.{method}": average([figures[f"leak.{attribute}.{method}"] for attribute in ATTRIBUTES])}


def outcome_figures(outcome: Outcome, resampling: Resampling, attribute: str, method: str) -> Figures:
    """The figures of one attribute and method."""
    figures = _obedience(outcome.answer, resampling, attribute, method)
    asked = outcome.answer.asked.sqrt()
    row = {name: resampling.ratio(change, asked) for name, change in outcome.moved.items()}
    figures |= {f"leak_matrix.{attribute}.{name}.{method}": leak for name, leak in row.items()}
    others = [name for name in row if name != attribute]
    figures[f"leak.{attribute}.{method}"] = average([row[name] for name in others])
    along = outcome.answer.along / asked.clamp(min=1e-9)  # (N,) spreads moved along the command
    total = resampling.mean(along)
    if total.value > 0 and not bool((total.drawn <= 0).any()):  # otherwise it did not move that way, and there is nothing to divide by
        figures[f"leak_per_moved.{attribute}.{method}"] = average([resampling.ratio(outcome.moved[name], along) for name in others])
    figures[f"landmark_error.{attribute}.{method}"] = resampling.mean(outcome.landmarks)
    figures[f"outside_change.{attribute}.{method}"] = resampling.mean(outcome.outside)
    if outcome.pointed is not None:
        answered, found = outcome.pointed
        figures[f"dlib_found.{attribute}.{method}"] = resampling.mean(found.double())
        if found.any():
            figures[f"obedience_dlib.{attribute}.{method}"] = answered.r2(resampling)
            figures[f"obedience_dlib_slope.{attribute}.{method}"] = answered.slope(resampling)
    if outcome.identity is not None:
        described = Resampling(len(outcome.identity), resampling.draws)
        figures[f"identity.{attribute}.{method}"] = described.mean(outcome.identity)
    return figures


def _obedience(answered: Answer, resampling: Resampling, attribute: str, method: str) -> Figures:
    return {
        f"obedience.{attribute}.{method}": answered.r2(resampling),
        f"obedience_slope.{attribute}.{method}": answered.slope(resampling),
    }


def yaw_figures(
    instruments: Instruments, subjects: Subjects, editor: Editor, resampling: Resampling, method: str
) -> tuple[Figures, tuple[Tensor, Tensor]]:
    """Yaw commanded to uniform targets; figures, and (commanded, judged) change in degrees, (N,) each."""
    random = torch.Generator().manual_seed(EDIT_TARGETS_SEED)
    target = (torch.rand(len(subjects), generator=random) * 2 - 1) * YAW_REACH  # degrees
    rotation = subjects.own.rotation.clone()
    rotation[:, ANGLES.index("yaw")] = torch.deg2rad(target)
    command = subjects.own.replace(rotation=rotation).attribute("pose") - subjects.own.attribute("pose")
    with torch.no_grad():
        after = instruments.judged(editor(subjects.styles, "pose", command))
    asked, changed = target - yaw(subjects.own), yaw(after) - yaw(subjects.before.params)
    figures = {
        f"yaw_error_deg.{method}": resampling.median((yaw(after) - target).abs()),
        f"yaw_change_error_deg.{method}": resampling.median((changed - asked).abs()),
    }
    return figures, (asked, changed)


def margins(figures: Mapping[str, Statistic], methods: list[str], champion: str = OURS) -> Figures:
    """How much better the champion is than every other method, in obedience and in leak of every attribute."""
    if champion not in methods:
        return {}
    found: Figures = {}
    for method in methods:
        if method == champion:
            continue
        for attribute in ATTRIBUTES:
            obedience, leak = f"obedience.{attribute}", f"leak.{attribute}"
            found[f"margin.{obedience}.{method}"] = figures[f"{obedience}.{champion}"] - figures[f"{obedience}.{method}"]
            found[f"margin.{leak}.{method}"] = figures[f"{leak}.{method}"] - figures[f"{leak}.{champion}"]
    return found


def realism_figures(instruments: Instruments, edited: Mapping[str, Tensor], seed: int) -> Figures:
    """`frechet.{method}`: features (M,C) of all edited pictures against M unedited pictures of other codes; `frechet.unedited`: two such
    sets of unedited pictures, the distance that M pictures have by chance."""
    figures: Figures = {}
    for method, features in edited.items():
        if not figures:
            fresh = look(instruments, unseen_styles(instruments.generator, 2 * len(features), seed), False, False).features
            reference, other = torch.split(fresh, len(features))
            figures["frechet.unedited"] = Statistic.single(frechet_distance(other, reference))
        figures[f"frechet.{method}"] = Statistic.single(frechet_distance(features, reference))
    return figures


@torch.no_grad()
def disentanglement_figures(
    instruments: Instruments, editor: Editor, subjects: Subjects, sizes: Sizes, resampling: Resampling, method: str
) -> Figures:
    """`metrics.disentanglement` on the first `anchors` subjects, each edited towards the next `targets`."""
    anchors = torch.arange(sizes.anchors)
    goals = (anchors[:, None] + 1 + torch.arange(sizes.targets)) % len(subjects)  # (K,targets)
    starts = anchors[:, None].expand_as(goals).flatten()
    scores: Figures = {}
    for attribute in ATTRIBUTES:
        values = subjects.own.attribute(attribute)
        edited = editor(subjects.styles[starts], attribute, values[goals.flatten()] - values[starts])
        readings = instruments.judged(edited)
        variances = disentanglement.set_variances(instruments.units, subjects.spread, readings, sizes.targets)
        scores[attribute] = disentanglement.score(variances, attribute, resampling)
    figures = {f"disentanglement_score.{attribute}.{method}": statistic for attribute, statistic in scores.items()}
    return figures | {f"disentanglement_score.{method}": disentanglement.overall(scores)}


@torch.no_grad()
def milliseconds(editor: Editor, subjects: Subjects, timed: int) -> float:
    """Median time of one edit of one code, over attributes in turn, after one that is not counted."""
    names = list(ATTRIBUTES)
    taken = []
    for index in range(timed + 1):
        attribute, row = names[index % len(names)], torch.tensor([index % len(subjects)])
        styles, command = subjects.styles[row], subjects.command(attribute)[row]
        began = time.perf_counter()
        editor(styles, attribute, command)
        taken.append((time.perf_counter() - began) * 1000.0)
    return statistics.median(taken[1:])
