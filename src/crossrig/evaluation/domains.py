"""How well a child generator carries its parent's rig into its domain: `crossrig eval domains`.

*consistency*  the same codes (DOMAIN_CODES_SEED) painted by child and parent: correlation, over codes, of what the judges read in both
*reading*      the codes as T reads them, beside what the judge reads in the child's pictures: correlation, as above
*obedience*    the rig's edits of these codes, in child and parent, by the judges: as `evaluation.edits`, for M alone; and the child's
               share of the parent's obedience. The commands are the same in both, from what is read in the parent's pictures
*leak*         as there: how much the other attributes moved, in population spreads, per spread commanded
*exact*        obedience and leak of people drawn anew in the style, the next one's attribute in the place of theirs: what an edit without
               fault would score with this judge. What a style does not show (light, in pencil) no editor can show in it
*inverted*     obedience and leak again, of the codes that are found for unseen pictures of the domain as an edit finds them; and how far
               the child's pictures of these codes lie from them (`inverted.l2`, in [-1,1])
*style*        Frechet distance (EfficientNet-Lite0) of the child's samples to pictures of the domain, beside the parent's and beside that
               of two sets of such pictures; and how much the child's samples differ from one another, as a share of how much those
               pictures do (mean distance of pairs of feature vectors)
*moved*        how far the weights of every block lie from the parent's

Pictures of a rendered domain are made for the purpose (DOMAIN_PICTURES_SEED). The parent's pictures are read by the shipped judge, the
child's by that one or, better, by one that learned from pictures of the domain; which one was used is printed.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

import torch
from torch import Tensor

from crossrig import assets, checkpoint
from crossrig.data.align import to_tensor
from crossrig.data.images import open_images
from crossrig.data.style_names import STYLES, Style
from crossrig.domains.blend import check_fit
from crossrig.domains.consistency import correlation
from crossrig.domains.generators import generator_file
from crossrig.errors import UserError
from crossrig.evaluate import unseen_styles
from crossrig.evaluation.edits import RENDERED, Sizes, evaluate_subjects
from crossrig.evaluation.instruments import Instruments, Seen, Subjects, look
from crossrig.evaluation.methods import rig_editor
from crossrig.evaluation.portraits import inverted_styles, optimised, unseen_set
from crossrig.evaluation.rerendered import rerendered_figures
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.features import PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.gan.weights import load_generator
from crossrig.inversion.encoder import load_encoder
from crossrig.metrics.angles import ANGLES
from crossrig.metrics.bootstrap import Statistic
from crossrig.metrics.frechet import frechet_distance, pooled_features
from crossrig.rig.manipulation import Rig
from crossrig.rig.weights import load_reconstruction, load_rig

DOMAIN_CODES_SEED = 770_000_067
DOMAIN_PICTURES_SEED = 770_000_071
#: Domains whose pictures can be rendered.
DRAWN: Mapping[str, Style] = {style: style for style in STYLES if style != "photo"}

_METHOD = "m"
Figures = dict[str, float]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class DomainRequest:
    """domain: name or file of the child. parent: name or file. pictures: folders or archives of heads of its domain, cut out;
    none for those that can be rendered.

    judge: a reconstruction network that learned from the domain, for evaluation only; None: the shipped one. rig: another T and M for the
    child, trained on it or on its parent; None: the shipped ones, which the parent has in any case. samples: codes, and as many
    pictures. exact: people drawn anew, of a domain that can be rendered. inverted: pictures of the domain that are inverted and edited.
    """

    domain: str
    parent: str = "human"
    pictures: tuple[Path, ...] = ()
    judge: Path | None = None
    rig: Path | None = None
    samples: int = 512
    exact: int = 0
    inverted: int = 0
    workers: int | None = None


def evaluate_domain(request: DomainRequest, progress: Progress | None = None) -> tuple[Figures, list[str]]:
    """The figures, `{domain}.{name}`, and sentences about the run. Raises UserError naming what is missing or does not fit."""
    tell = progress or (lambda what, step, steps: None)
    if request.exact and request.domain not in DRAWN:
        raise UserError(f"People cannot be drawn anew as {request.domain}: leave out --exact.")
    sizes = Sizes.of(request.samples, 0)
    child_file, parent_file = generator_file(request.domain), generator_file(request.parent)
    child, parent = (load_generator(path).eval().requires_grad_(False) for path in (child_file, parent_file))
    check_fit(parent, child)
    rigs = _rigs(request, child_file, parent_file)
    reader = load_reconstruction(assets.require("reconstruction"))
    judges = {"parent": load_reconstruction(assets.require("judge"))}
    judges["child"] = load_reconstruction(request.judge) if request.judge else judges["parent"]
    model = FaceModel.load(assets.require("head"))
    pictures = domain_pictures(request, child.config.resolution)
    tell("pictures of the domain", 1, 1)
    generators = {"parent": parent, "child": child}
    # Of the same people; the same codes, too, where the child's latent space was held.
    styles = {name: unseen_styles(generator, request.samples, DOMAIN_CODES_SEED) for name, generator in generators.items()}
    instruments = {name: Instruments.of(generator, reader, judges[name], model) for name, generator in generators.items()}
    seen = {name: look(tools, styles[name], identity=False) for name, tools in instruments.items()}
    figures = agreement_figures("consistency", seen["parent"].params, seen["child"].params)
    figures |= agreement_figures("reading", rigs["child"].predictor.predict(styles["child"]), seen["child"].params)
    figures |= obedience_figures(instruments, rigs, styles, sizes, tell)
    if request.exact:
        figures |= exact_figures(instruments["child"], request, tell)
    if request.inverted:
        figures |= inverted_figures(instruments, rigs, pictures[: request.inverted], tell)
    figures |= style_figures(instruments["child"], seen["child"], seen["parent"], pictures) | moved_figures(parent, child)
    name = Path(request.domain).name.removesuffix(".safetensors").removeprefix("generator-")
    judged = f"judge of the child: {request.judge}" if request.judge else "judge: the shipped one, which saw photographic people only"
    notes = [f"{request.samples} codes, {len(pictures)} pictures of the domain; {judged}."]
    if request.rig:
        notes.append(f"T and M of the child: {request.rig}.")
    return {f"{name}.{key}": round(value, 5) for key, value in figures.items()}, notes


def _rigs(request: DomainRequest, child: Path, parent: Path) -> dict[str, Rig]:
    """The rigs of "parent" and "child", files of generators; UserError where they were trained for others."""
    owner = checkpoint.sha256(parent)
    shipped = load_rig(assets.require("manipulation"), owner)
    if request.rig is None:
        return {"parent": shipped, "child": shipped}
    own = load_rig(request.rig)
    if own.generator not in (checkpoint.sha256(child), owner):
        raise UserError(f"{request.rig} was trained for another generator than {request.domain} and {request.parent}.")
    return {"parent": shipped, "child": own}


def domain_pictures(request: DomainRequest, resolution: int) -> Tensor:
    """(N,3,R,R) in [-1,1]: twice as many pictures of the domain as samples, or all there are. Raises UserError where there are too few."""
    most = 2 * request.samples
    if request.pictures:
        heads = chain.from_iterable(open_images(path, labelled=False).read_all(resolution) for path in request.pictures)
        found = torch.stack([to_tensor(head)[0] for head in islice(heads, most)])
    elif request.domain in DRAWN:
        archive = unseen_set(most, resolution, DOMAIN_PICTURES_SEED, request.workers, style=DRAWN[request.domain])
        found = archive.batch(torch.arange(len(archive)))[0]
    else:
        raise UserError(f"Pictures of {request.domain} cannot be rendered: give --pictures with a folder or archives of its domain.")
    if len(found) < 16:
        raise UserError(f"16 or more pictures of the domain are needed, and there are {len(found)}.")
    return found


def agreement_figures(name: str, first: FaceParams, second: FaceParams) -> Figures:
    """`{name}.*`: correlation of two readings (N each) of the same codes, about their means, the values of a block in one sum."""
    angles = {angle: (first.rotation[:, [i]], second.rotation[:, [i]]) for i, angle in enumerate(ANGLES)}
    blocks = {block: (getattr(first, block), getattr(second, block)) for block in ("expression", "illumination", "shape", "albedo")}
    return {f"{name}.{part}": correlation(*pair) for part, pair in (angles | blocks).items()}


def obedience_figures(
    instruments: Mapping[str, Instruments], rigs: Mapping[str, Rig], styles: Mapping[str, Tensor], sizes: Sizes, progress: Progress
) -> Figures:
    """Obedience and leak of M in the child, and the child's share of the parent's obedience; `instruments`, `rigs` and
    `styles` (N,S) of "parent" and "child"."""
    found: dict[str, dict[str, Statistic]] = {}
    subjects = {name: Subjects.of(tools, styles[name]) for name, tools in instruments.items()}
    for name, tools in instruments.items():
        asked = replace(subjects[name], own=subjects["parent"].own)  # the same commands for both: the reader knows no drawings
        found[name] = evaluate_subjects(tools, {_METHOD: rig_editor(rigs[name])}, asked, sizes, "", progress).figures
    figures: Figures = {}
    for attribute in ATTRIBUTES:
        mine, theirs = (found[name][f"obedience.{attribute}.{_METHOD}"].value for name in ("child", "parent"))
        figures[f"obedience.{attribute}"] = mine
        figures[f"obedience_share_of_human.{attribute}"] = mine / theirs if theirs > 0 else float("nan")
        figures[f"leak.{attribute}"] = found["child"][f"leak.{attribute}.{_METHOD}"].value
    return figures


def exact_figures(instruments: Instruments, request: DomainRequest, progress: Progress) -> Figures:
    """`exact.obedience.*` and `exact.leak.*` of people drawn anew, of a domain in DRAWN."""
    tell = partial(progress, "drawn anew")
    found = rerendered_figures(instruments, request.exact, DOMAIN_PICTURES_SEED, progress=tell, style=DRAWN[request.domain])
    names = [f"{figure}.{attribute}" for figure in ("obedience", "leak") for attribute in ATTRIBUTES]
    return {f"exact.{name}": found[f"{name}.{RENDERED}"].value for name in names}


def inverted_figures(
    instruments: Mapping[str, Instruments], rigs: Mapping[str, Rig], pictures: Tensor, progress: Progress
) -> Figures:
    """`inverted.l2`, and the figures of `obedience_figures` for the codes that are found for pictures (N,3,R,R) of the domain."""
    child = instruments["child"].generator
    way = optimised(child, load_encoder(assets.require("encoder")), PerceptualDistance())
    styles = inverted_styles(pictures, way, partial(progress, "inverted"))
    with torch.no_grad():
        apart = [(child.synthesise(s[None]) - picture).square().mean() for s, picture in zip(styles, pictures, strict=True)]
    found = obedience_figures(instruments, rigs, dict.fromkeys(instruments, styles), Sizes.of(len(pictures), 0), progress)
    return {"inverted.l2": float(torch.stack(apart).mean())} | {f"inverted.{name}": value for name, value in found.items()}


def style_figures(instruments: Instruments, child: Seen, parent: Seen, pictures: Tensor) -> Figures:
    """How near the samples of child and parent are to pictures (M,3,R,R) of the domain, and how different from one another."""
    with torch.no_grad():
        real = torch.cat([pooled_features(instruments.features, part) for part in torch.split(pictures, 32)])
    half = len(real) // 2
    count = min(half, len(child.features))
    first, second = real[:count], real[half : half + count]
    return {
        "style_frechet": frechet_distance(child.features[:count], first),
        "style_frechet_parent": frechet_distance(parent.features[:count], first),
        "style_frechet_real_real": frechet_distance(second, first),
        "diversity_share": difference(child.features[:count]) / difference(first),
    }


def moved_figures(parent: Generator, child: Generator) -> Figures:
    """How far the weights of every block moved, and those of the latent space: L2 of the change over L2 of the parent's (after Wu et al.
    2022, *StyleAlign*, arXiv 2110.11323, which asks it of every layer)."""
    other = child.state_dict()
    change, size = defaultdict[str, float](float), defaultdict[str, float](float)
    for name, weight in parent.state_dict().items():
        if weight.ndim >= 2:  # no biases, no strengths
            words = name.split(".")
            part = "affine" if "affine" in words else "b4" if name == "const" else words[1] if words[0] == "synthesis" else words[0]
            change[part] += float((other[name] - weight).float().square().sum())
            size[part] += float(weight.float().square().sum())
    return {f"moved.{part}": math.sqrt(change[part] / size[part]) for part in size}


def difference(features: Tensor) -> float:
    """Mean distance between feature vectors (N,C) of neighbours in the list: how different N pictures are."""
    return float((features - features.roll(1, 0)).norm(dim=1).mean())


def as_text(figures: Figures, notes: list[str]) -> str:
    """A line each."""
    width = max(map(len, figures))
    return "\n".join([f"{name:{width}}  {value:.3f}" for name, value in figures.items()] + ["", *notes])


def as_json(figures: Figures) -> str:
    """One flat object."""
    return json.dumps(figures, indent=1)
