"""`crossrig eval edits`: the evaluation of edits, run on the networks in use."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from torch import Tensor

from crossrig import assets, checkpoint
from crossrig.errors import UserError
from crossrig.evaluate import unseen_styles
from crossrig.evaluation import report
from crossrig.evaluation.controls import FILE, ControlFigure, ControlTable, measure_controls, save_table
from crossrig.evaluation.edits import OURS, UNSEEN, Evaluation, People, Progress, Sizes, evaluate_edits
from crossrig.evaluation.instruments import Instruments, Subjects
from crossrig.evaluation.methods import BASELINES, STYLERIGS, USUAL, build_editors, check_name, rig_editor, stylerig_editors
from crossrig.evaluation.portraits import embedded, inverted_styles, optimised, unseen_portraits
from crossrig.evaluation.rerendered import rerendered_figures
from crossrig.face3d.model import FaceModel
from crossrig.features import PerceptualDistance
from crossrig.gan.precision import feature_dtype
from crossrig.gan.weights import load_generator
from crossrig.inversion.encoder import load_encoder
from crossrig.metrics.identity import PACKAGE, FaceDescriptor
from crossrig.metrics.points import PointFinder
from crossrig.rig.manipulation import Rig
from crossrig.rig.weights import load_reconstruction, load_rig
from crossrig.train.codes import labelled_codes, load_codes

#: As T's recipe samples them (train/attributes.py): baselines learn from the same codes.
_MIXED, _SEED = 0.5, 1

#: Ways of inverting portraits.
Inversion = Literal["optimise", "pie"]


@dataclass(frozen=True)
class Request:
    """What is to be measured.

    codes: file of labelled codes that T was trained on; None: label `triples` codes as T's recipe does. rigs: more rigs by name, M
    alone. controls: subjects each named control is tried on; 0: leave the controls out. rendered: people who are rendered anew as a
    yardstick, 0: none. workers: processes that render portraits.
    stylerigs: trained StyleRigs, one of each latent space at most. inversion: how portraits become codes, a search in W+ or PIE.
    people: who is edited; those of the evaluation are kept for figures that are printed somewhere. champion: the method, or the name of a
    rig, whose margins over the others are given.
    """

    sizes: Sizes
    methods: tuple[str, ...] = USUAL
    codes: Path | None = None
    triples: int = 10000
    rigs: Mapping[str, Path] | None = None
    controls: int = 64
    workers: int | None = None
    stylerigs: tuple[Path, ...] = ()
    inversion: Inversion = "optimise"
    people: People = UNSEEN
    rendered: int = 256
    champion: str = OURS


@dataclass(frozen=True)
class Outcome:
    """Everything measured, with sentences about the run."""

    evaluation: Evaluation
    controls: ControlTable
    methods: list[str]
    notes: list[str]
    champion: str = OURS

    def as_json(self) -> str:
        """One flat object of figures."""
        flat = self.evaluation.flat()
        for name, row in self.controls.figures.items():
            flat |= {f"control.{name}.obedience": row.obedience, f"control.{name}.leak": row.leak}
        return json.dumps(flat, indent=1)

    def as_markdown(self) -> str:
        """The page."""
        return report.markdown(self.evaluation, self.methods, self.controls.figures, self.notes, self.champion)

    def write(self, folder: Path, overwrite: bool) -> None:
        """edits.md, edits.json, controls.json and the pictures into a folder that exists."""
        report.write_pictures(folder, self.evaluation, overwrite)
        report.write_page(folder, self.as_markdown(), self.as_json())
        if self.controls.figures:
            save_table(folder / FILE, self.controls)


def evaluate_shipped(request: Request, progress: Progress | None = None) -> Outcome:
    """Run the evaluation. Raises UserError naming what is missing."""
    tell = progress or (lambda what, step, steps: None)
    human, rig_file = assets.require("generator-human"), assets.require("manipulation")
    owner = checkpoint.sha256(human)
    generator = load_generator(human).eval().requires_grad_(False)
    rig = load_rig(rig_file, owner)
    extra = {check_name(name, ()): load_rig(path, owner) for name, path in (request.rigs or {}).items()}
    stylerigs = stylerig_editors(request.stylerigs, generator, owner, rig)
    names = [*request.methods, *stylerigs, *extra]
    if request.champion not in [OURS, *names]:
        raise UserError(f"There is no method {request.champion} in this run to compare (--compare); there are {', '.join(names)}.")
    reader, judge = load_reconstruction(assets.require("reconstruction")), load_reconstruction(assets.require("judge"))
    descriptor = FaceDescriptor.installed()
    model = FaceModel.load(assets.require("head"))
    instruments = Instruments.of(
        generator, reader, judge, model, descriptor=descriptor, finder=PointFinder.installed(), dtype=feature_dtype("auto")  # as an edit is
    )
    codes = _codes(request, owner, instruments, tell)
    editors = build_editors(request.methods, rig, generator, reader, instruments.units, codes)
    editors |= stylerigs
    editors |= {name: rig_editor(other) for name, other in extra.items()}
    inverted = _inverted(request, instruments, rig, tell)
    evaluation = evaluate_edits(instruments, editors, request.sizes, inverted, tell, request.people, request.champion)
    if request.rendered and not model.imported:  # our people have our parameters
        rendered = rerendered_figures(
            instruments, request.rendered, request.people.portraits, request.sizes.draws, partial(tell, "rendering people anew")
        )
        evaluation = replace(evaluation, figures={**evaluation.figures, **rendered})
    method = OURS if OURS in editors else next(iter(editors))
    figures: dict[str, ControlFigure] = {}
    if request.controls:
        count = min(request.controls, request.sizes.codes)
        subjects = Subjects.of(instruments, unseen_styles(generator, request.sizes.codes, request.people.codes))
        figures = measure_controls(instruments, editors[method], subjects, count, request.sizes.draws, partial(tell, "controls"))
    table = ControlTable(owner, checkpoint.sha256(rig_file), method, figures)
    return Outcome(evaluation, table, list(editors), _notes(request, rig, table, inverted, descriptor, list(editors)), request.champion)


def _codes(request: Request, owner: str, instruments: Instruments, tell: Progress) -> tuple[Tensor, Tensor] | None:
    if request.codes is not None:
        return load_codes(request.codes, owner)
    if not any(name in BASELINES for name in request.methods):
        return None
    if request.triples < 100:
        raise UserError(f"Baselines need 100 labelled codes or more to learn from, not {request.triples}.")
    progress = partial(tell, "labelling codes")
    return labelled_codes(instruments.generator, instruments.reader, request.triples, 0, _MIXED, _SEED, progress)


def _inverted(request: Request, instruments: Instruments, rig: Rig, tell: Progress) -> Tensor | None:
    count = request.sizes.portraits
    if not count:
        return None
    generator, found = instruments.generator, assets.find("encoder")
    images = unseen_portraits(count, generator.config.resolution, request.people.portraits, request.workers)
    encoder, perceptual = load_encoder(found) if found else None, PerceptualDistance()
    if request.inversion == "pie":
        way = embedded(generator, encoder, perceptual, rig, instruments.reader, instruments.units)
    else:
        way = optimised(generator, encoder, perceptual)
    return inverted_styles(images, way, partial(tell, "inverting"))


def _notes(
    request: Request,
    rig: Rig,
    table: ControlTable,
    inverted: Tensor | None,
    descriptor: FaceDescriptor | None,
    methods: Sequence[str],
) -> list[str]:
    sizes = request.sizes
    layers = "; ".join(f"{name}: {' '.join(manipulator.config.layers)}" for name, manipulator in rig.manipulators_by_name().items())
    notes = [
        f"{sizes.codes} unseen codes, {0 if inverted is None else len(inverted)} inverted unseen portraits; intervals: 95 %, bootstrap "
        f"over people. Generator {table.generator[:12]}, rig {table.manipulation[:12]}. Protocol: docs/7-edits-evaluation.md.",
        f"Layers edited: {layers}.",
    ]
    if request.people != UNSEEN:
        notes.insert(0, "A trial, on people set aside for choosing between settings: not the figures of the evaluation.")
    if inverted is not None and request.inversion == "pie":
        notes.append("Portraits were inverted by PIE (inversion/pie.py) under the edits of M.")
    if absent := [name for name in STYLERIGS.values() if name not in methods]:
        notes.append(f"Left out: {', '.join(absent)}. Trained weights are needed (`crossrig train stylerig`, then --stylerig FILE).")
    if descriptor is None:
        notes.append(f"dlib was not asked about identity and points: {PACKAGE} is not installed (`pip install crossrig[identity]`).")
    return notes


def parse_rigs(words: Sequence[str]) -> dict[str, Path]:
    """`NAME=FILE` words as a mapping. Raises UserError for anything else."""
    found: dict[str, Path] = {}
    for word in words:
        name, separator, path = word.partition("=")
        if not separator or not path:
            raise UserError(f"--rig {word}: write NAME=FILE, for example --rig full_s=runs/full-s/manipulation.safetensors.")
        found[check_name(name, list(found))] = Path(path)
    return found
