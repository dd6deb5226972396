"""`crossrig eval`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from crossrig.cli.parser import Parser, add, at_least, make_folder, show_progress
from crossrig.errors import UserError


def eval_command(commands: Any) -> None:
    parser = add(commands, "eval", _eval, "Measure the shipped networks on people none of them was trained on.")
    parser.add_argument("--quick", action="store_true", help="the short evaluation of everything")
    parser.add_argument("--json", action="store_true", help="print one flat object of figures and nothing else")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes that render portraits (default: all cores)")
    parts = parser.add_subparsers(title="parts", metavar="PART", parser_class=Parser)
    eval_attributes_command(parts)
    eval_edits_command(parts)
    eval_generator_command(parts)
    eval_domains_command(parts)
    eval_detector_command(parts)


def _eval(options: argparse.Namespace) -> None:
    from crossrig import evaluate

    if not options.quick:
        raise UserError("Say what to measure: `crossrig eval --quick`, or `eval` with attributes, edits, generator, domains or detector.")
    figures = evaluate.shipped_quick(options.workers)
    print(evaluate.as_json(figures) if options.json else evaluate.table(figures))


def eval_attributes_command(parts: Any) -> None:
    parser = add(parts, "attributes", _eval_attributes, "Measure T: what it reads in unseen codes, block by block and control by control.")
    parser.add_argument("--samples", type=int, default=512, metavar="N", help="unseen codes (default: 512)")
    parser.add_argument("--rig", type=Path, default=None, metavar="FILE", help="another rig of the same generator (default: the shipped)")
    parser.add_argument("--json", action="store_true", help="print one flat object of figures and nothing else")
    parser.add_argument("--outdir", type=Path, default=None, help="folder for attributes.md, attributes.json and attributes.png")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def _eval_attributes(options: argparse.Namespace) -> None:
    from functools import partial

    from crossrig.evaluation.attributes import FILES, evaluate_attributes
    from crossrig.evaluation.report import refuse_taken

    samples = at_least(options.samples, 8, "--samples", 512)
    if options.outdir is not None:
        refuse_taken(make_folder(options.outdir), FILES, options.overwrite)
    progress = None if options.json else partial(show_progress, "looking at codes")
    report = evaluate_attributes(samples, options.rig, progress)
    if options.outdir is not None:
        report.write(options.outdir, options.overwrite)
    print(report.as_json() if options.json else report.as_markdown())


def eval_edits_command(parts: Any) -> None:
    parser = add(parts, "edits", _eval_edits, "Measure edits: obedience, leak, identity, realism and cost, beside simpler methods.")
    parser.add_argument("--samples", type=int, default=512, metavar="N", help="unseen codes that are edited (default: 512)")
    parser.add_argument("--portraits", type=int, default=None, metavar="N", help="unseen portraits that are inverted and edited; 0: none")
    parser.add_argument("--controls", type=int, default=None, metavar="N", help="codes that each named control is tried on; 0: none")
    parser.add_argument("--rendered", type=int, default=None, metavar="N", help="people rendered anew, a yardstick (default: 256); 0: none")
    parser.add_argument("--methods", default=None, metavar="LIST", help="with commas between (default: ours and the baselines)")
    parser.add_argument("--codes", type=Path, default=None, metavar="FILE", help="codes.safetensors of T's run, for the baselines")
    parser.add_argument("--triples", type=int, default=10000, metavar="N", help="codes to label where there is no --codes (default: 10000)")
    parser.add_argument("--rig", action="append", default=[], metavar="NAME=FILE", dest="rigs", help="another rig to compare, repeatable")
    parser.add_argument(
        "--stylerig", action="append", type=Path, default=[], metavar="FILE", dest="stylerigs",
        help="weights of `crossrig train stylerig`, as stylerig_wplus or stylerig_s; once for each",
    )  # fmt: skip
    parser.add_argument("--compare", default="ours", metavar="NAME", help="method or rig held against the others (default: ours)")
    parser.add_argument(
        "--inversion", choices=("optimise", "pie"), default="optimise",
        help="how portraits become codes: as in `crossrig edit`, or by PIE (default: optimise)",
    )  # fmt: skip
    parser.add_argument("--trial", action="store_true", help="edit other people, set aside for choosing between settings; the page says so")
    parser.add_argument("--json", action="store_true", help="print one flat object of figures and nothing else")
    parser.add_argument("--outdir", type=Path, default=None, help="folder for edits.md, edits.json, controls.json and the pictures")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes that render portraits (default: all cores)")


def _eval_edits(options: argparse.Namespace) -> None:
    from crossrig.evaluation import report
    from crossrig.evaluation.edits import TRIAL, UNSEEN, Sizes
    from crossrig.evaluation.methods import STYLERIGS, USUAL, check_methods
    from crossrig.evaluation.shipped import Request, evaluate_shipped, parse_rigs
    from crossrig.memory import keep_freed_memory

    samples = at_least(options.samples, 8, "--samples", 512)
    sizes = Sizes.of(samples, options.portraits)
    methods = check_methods(options.methods.split(",")) if options.methods is not None else USUAL
    rigs = parse_rigs(options.rigs)
    if 0 < (rendered := at_least(options.rendered, 0, "--rendered", min(256, samples))) < 8:
        raise UserError("A yardstick needs 8 or more people (--rendered), or none.")
    controls = at_least(options.controls, 0, "--controls", min(64, samples))
    request = Request(
        sizes, methods, options.codes, options.triples, rigs, controls, options.workers, tuple(options.stylerigs), options.inversion,
        TRIAL if options.trial else UNSEEN, rendered, options.compare,
    )  # fmt: skip
    if options.outdir is not None:
        make_folder(options.outdir)
        report.check_folder(options.outdir, [*methods, *STYLERIGS.values(), *rigs], options.overwrite)
    keep_freed_memory()
    outcome = evaluate_shipped(request, None if options.json else show_progress)
    if options.outdir is not None:
        outcome.write(options.outdir, options.overwrite)
    print(outcome.as_json() if options.json else outcome.as_markdown())


def eval_domains_command(parts: Any) -> None:
    parser = add(parts, "domains", _eval_domains, "Measure a child generator: consistency with its parent, edits, style and variety.")
    parser.add_argument("--domain", default="toon", metavar="NAME", help="the child: toon, a domain of your own, or a file (default: toon)")
    parser.add_argument("--parent", default="human", metavar="NAME", help="its parent (default: human)")
    parser.add_argument(
        "--pictures", type=Path, nargs="+", default=[], metavar="PATH",
        help="folders or archives of heads of its domain, cut out; those of shipped domains are rendered where none are given",
    )  # fmt: skip
    parser.add_argument("--judge", type=Path, default=None, metavar="FILE", help="a judge that saw the domain (default: the shipped)")
    text = "another rig for the child, trained on it or on its parent (default: the shipped, which the parent has in any case)"
    parser.add_argument("--rig", type=Path, default=None, metavar="FILE", help=text)
    parser.add_argument("--samples", type=int, default=512, metavar="N", help="unseen codes, and as many pictures (default: 512)")
    text = "people drawn anew in the style with one attribute of somebody else: what an edit without fault scores (default: 0)"
    parser.add_argument("--exact", type=int, default=0, metavar="N", help=text)
    text = "unseen pictures of the domain that are inverted and edited (default: 0)"
    parser.add_argument("--inverted", type=int, default=0, metavar="N", help=text)
    parser.add_argument("--json", action="store_true", help="print one flat object of figures and nothing else")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes that render pictures (default: all cores)")


def _eval_domains(options: argparse.Namespace) -> None:
    from crossrig.evaluation.domains import DomainRequest, as_json, as_text, evaluate_domain
    from crossrig.memory import keep_freed_memory

    samples = at_least(options.samples, 8, "--samples", 512)
    exact, inverted = (at_least(getattr(options, name), 0, f"--{name}", 0) for name in ("exact", "inverted"))
    for name, count in (("exact", exact), ("inverted", inverted)):
        if 0 < count < 8:
            raise UserError(f"An evaluation needs 8 or more pictures (--{name}), or none.")
    request = DomainRequest(
        options.domain, options.parent, pictures=tuple(options.pictures), judge=options.judge, rig=options.rig,
        samples=samples, exact=exact, inverted=inverted, workers=options.workers,
    )  # fmt: skip
    keep_freed_memory()
    figures, notes = evaluate_domain(request, None if options.json else show_progress)
    print(as_json(figures) if options.json else as_text(figures, notes))


def eval_detector_command(parts: Any) -> None:
    parser = add(parts, "detector", _eval_detector, "Measure how many faces are found in drawings and portraits, beside dlib.")
    parser.add_argument("--detector", type=Path, default=None, metavar="FILE", help="another detector (default: the shipped)")
    text = "folders of drawn heads with the framing.json that tools/avatars writes"
    parser.add_argument("--drawn", type=Path, nargs="+", default=[], metavar="FOLDER", help=text)
    parser.add_argument("--without", type=Path, nargs="+", default=[], metavar="PATH", help="folders or archives without faces")
    parser.add_argument("--samples", type=int, default=200, metavar="N", help="pictures of each set (default: 200)")
    parser.add_argument("--json", action="store_true", help="print one flat object of figures and nothing else")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes that render portraits (default: all cores)")


def _eval_detector(options: argparse.Namespace) -> None:
    from crossrig.evaluation.finding import FindingRequest, as_json, as_text, evaluate_detector

    samples = at_least(options.samples, 2, "--samples", 200)
    request = FindingRequest(options.detector, tuple(options.drawn), tuple(options.without), samples, options.workers)
    figures = evaluate_detector(request, None if options.json else show_progress)
    print(as_json(figures) if options.json else as_text(figures))


def eval_generator_command(parts: Any) -> None:
    parser = add(parts, "generator", _eval_generator, "Measure a generator: quality of samples, latent spaces, and inversions.")
    parser.add_argument("--samples", type=int, default=10000, metavar="N", help="samples, against as many portraits (default: 10000)")
    parser.add_argument("--inversions", type=int, default=None, metavar="N", help="unseen portraits that are inverted and edited; 0: none")
    parser.add_argument("--steps", type=int, default=None, metavar="N", help="steps of the inversion (default: as `crossrig edit`)")
    parser.add_argument("--tuning-steps", type=int, default=None, metavar="N", help="steps of pivotal tuning (default: as `crossrig edit`)")
    parser.add_argument("--network", type=Path, default=None, metavar="FILE", help="a generator checkpoint instead of the human one in use")
    parser.add_argument(
        "--training", type=Path, nargs="+", default=[], metavar="ZIP", help="archives it was trained on: are samples copies of them?"
    )
    parser.add_argument("--json", action="store_true", help="print one flat object of figures and nothing else")
    parser.add_argument("--outdir", type=Path, default=None, help="folder for generator.txt, generator.json and the sheets")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes that render portraits (default: all cores)")


def _eval_generator(options: argparse.Namespace) -> None:
    from crossrig.evaluation.generator import Sizes, check_folder, evaluate_shipped
    from crossrig.evaluation.progress import TimeLeft
    from crossrig.memory import keep_freed_memory
    from crossrig.session import Effort

    usual = Effort()
    steps = at_least(options.steps, 1, "--steps", usual.steps)
    tuning_steps = at_least(options.tuning_steps, 0, "--tuning-steps", usual.tuning_steps)
    sizes = Sizes.of(options.samples, options.inversions, Effort(steps=steps, tuning_steps=tuning_steps))
    for archive in options.training:  # before the slow part
        if not archive.is_file():
            raise UserError(f"There is no portrait archive {archive}: give those of the training, made with `crossrig synth`.")
    if options.outdir is not None:
        check_folder(make_folder(options.outdir), options.overwrite)
    keep_freed_memory()
    progress = None if options.json else TimeLeft(show_progress)
    outcome = evaluate_shipped(sizes, options.network, options.training, options.workers, progress)
    if options.outdir is not None:
        outcome.write(options.outdir, options.overwrite)
    print(outcome.as_json() if options.json else outcome.as_text())
