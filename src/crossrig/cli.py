"""The command line: thin commands over the library.

Bad input ends with one sentence on stderr and exit status 2; nothing is written then. Results go to stdout, progress to stderr.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from crossrig.config import add_options, from_options, load_toml, suggest
from crossrig.errors import UserError

if TYPE_CHECKING:
    import torch

#: Largest number of pictures one `sample` command makes.
_MOST_SEEDS = 100_000


class Parser(argparse.ArgumentParser):
    """argparse that complains with one sentence, as everything else here does."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}; see `{self.prog} --help`.")

    def options(self) -> list[str]:
        """Every option it knows."""
        return [option for option in self._option_string_actions if option.startswith("--")]


@dataclass(frozen=True)
class Recipe:
    """A training recipe: `train(config)` of a module, with the dataclass of its settings."""

    module: str
    settings: str
    meaning: str
    fixed: tuple[tuple[str, str], ...] = ()
    """Settings that make it this recipe."""


#: Name on the command line -> recipe. Modules are loaded when asked for: each brings a good part of the library along.
RECIPES: Mapping[str, Recipe] = {
    "generator": Recipe("crossrig.train.generator", "GeneratorTraining", "StyleGAN2 of human faces"),
    "reconstruction": Recipe("crossrig.train.reconstruction", "ReconstructionTraining", "picture -> face parameters"),
    "judge": Recipe(
        "crossrig.train.reconstruction", "ReconstructionTraining",
        "a second reconstruction network, for evaluation only", (("role", "judge"),),
    ),
    "encoder": Recipe("crossrig.train.encoder", "EncoderTraining", "picture -> W+ of a generator"),
    "attributes": Recipe("crossrig.train.attributes", "AttributesTraining", "T: style code -> face parameters"),
    "layers": Recipe("crossrig.train.layers", "LayersTraining", "which style layers belong to which attribute"),
    "manipulation": Recipe("crossrig.train.manipulation", "ManipulationTraining", "M: moves style codes as commanded"),
    "stylerig": Recipe("crossrig.train.stylerig", "StyleRigTraining", "StyleRig, a baseline for M and a probe for the layers"),
    "toon": Recipe("crossrig.train.toon", "ToonTraining", "a child generator in the toon domain"),
    "detector": Recipe("crossrig.train.detector", "DetectorTraining", "finder of drawn faces"),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parser = build_parser(words)
        options, extra = parser.parse_known_args(words)
        if extra:
            chosen: Parser = options.parser
            name = extra[0].split("=")[0]
            hint = suggest(name, chosen.options()) if name.startswith("-") else ""
            what = "option" if name.startswith("-") else "argument"
            raise UserError(f'There is no {what} "{name}" in `{chosen.prog}`.{hint}')
        command: Callable[[argparse.Namespace], None] = options.command
        command(options)
    except UserError as error:
        print(f"crossrig: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("crossrig: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    return 0


def build_parser(words: Sequence[str] = ()) -> Parser:
    """The parser. ``words``: the command line to come; of the training recipes only the one it names is loaded."""
    parser = Parser(prog="crossrig", description="Rig any picture of a face with the sliders of a 3D face model.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser, required=True)
    parser.set_defaults(parser=parser)
    _edit_command(commands)
    _studio_command(commands)
    _controls_command(commands)
    _sample_command(commands)
    _synth_command(commands)
    _translate_command(commands)
    _blend_command(commands)
    _adapt_command(commands, words)
    _train_command(commands, words)
    _rig_command(commands, words)
    _import_command(commands)
    _export_command(commands)
    _eval_command(commands)
    _assets_command(commands)
    _doctor_command(commands)
    _demo_command(commands)
    return parser


def _add(commands: Any, name: str, command: Callable[[argparse.Namespace], None], help: str, epilog: str = "") -> Parser:
    parser: Parser = commands.add_parser(name, help=help, description=help, epilog=epilog)
    parser.set_defaults(command=command, parser=parser)
    return parser


# -- edit -----------------------------------------------------------------------------------------------------------


def _edit_command(commands: Any) -> None:
    parser = _add(
        commands, "edit", _edit, "Edit the face in a picture.",
        "example:\n  crossrig edit photo.jpg -o out.png --yaw 25 --set smile=0.8 --set light.azimuth=-60",
    )  # fmt: skip
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="PNG, JPEG, WebP, TIFF, BMP or GIF")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.png", help="the edited picture: .png, .jpg or .webp")
    parser.add_argument(
        "--domain", choices=("human", "toon", "auto"), default="auto",
        help="whose generator edits it; auto tries all and takes the one that comes nearest (default: auto)",
    )  # fmt: skip
    parser.add_argument("--model", metavar="NAME", help="edit with a generator of your own that `crossrig rig` has rigged")
    for angle, meaning in (("yaw", "to the face's own left"), ("pitch", "up"), ("roll", "counter-clockwise")):
        parser.add_argument(f"--{angle}", type=float, metavar="DEGREES", help=f"turn the head: positive is {meaning}")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="set a control, again for more; `crossrig controls` lists them",
    )  # fmt: skip
    parser.add_argument("--sheet", action="store_true", help="also write a contact sheet, OUT-sheet.png: input, inversion, edit, 3D model")
    parser.add_argument("--json", action="store_true", help="print the commanded and the judged change of every attribute")
    parser.add_argument("--steps", type=int, default=None, metavar="N", help="steps of the inversion; more is slower and closer")
    parser.add_argument("--tuning-steps", type=int, default=None, metavar="N", help="steps of pivotal tuning; 0: none")
    _add_common(parser)


def _add_common(parser: Parser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def _edit(options: argparse.Namespace) -> None:
    from crossrig import models
    from crossrig.data.metadata import DigitalSource, check_destination, save_picture
    from crossrig.data.pictures import read_picture
    from crossrig.face3d import controls
    from crossrig.session import EditSession, Effort, Networks
    from crossrig.sheets import contact_sheet
    from crossrig.train.memory import keep_freed_memory

    values = parse_settings(options.settings)
    for angle in ("yaw", "pitch", "roll"):
        if (given := getattr(options, angle)) is not None:
            values[angle] = given
    check_destination(options.output, options.overwrite)
    sheet = options.output.with_name(f"{options.output.stem}-sheet.png")
    if options.sheet:
        check_destination(sheet, options.overwrite)
    picture = read_picture(options.picture)
    for name, value in values.items():  # before the slow part
        controls.check_value(name, value)
    device = check_device(options.device)
    effort = Effort()
    effort = Effort(
        effort.trial_steps,
        _at_least(options.steps, 1, "--steps", effort.steps),
        _at_least(options.tuning_steps, 0, "--tuning-steps", effort.tuning_steps),
        effort.passes,
    )
    networks = None
    if options.model is not None:
        if options.domain != "auto":
            raise UserError("--model brings its own domain: leave --domain out.")
        networks = Networks.of_model(models.load(options.model), device)
    keep_freed_memory()
    session = EditSession(options.domain, device, networks, effort, None if options.json else _show_progress)
    notes = session.set_image(picture)
    session.edit(values)
    edited = session.render()
    judgement = session.judged() if options.json else None
    if options.sheet:
        cells = [
            ("input", session.input_crop()), ("inversion", session.inverted_crop()), ("edited", session.render_crop()),
            ("3D model", session.rendering_of_model()),
        ]  # fmt: skip
        title = ", ".join(f"{name} {value:g}" for name, value in values.items())
        save_picture(sheet, contact_sheet([cells], title=title), DigitalSource.EDITED, options.overwrite)
    save_picture(options.output, edited, DigitalSource.EDITED, options.overwrite)
    if judgement is not None:
        print(json.dumps({
            "picture": str(options.picture), "output": str(options.output), "sheet": str(sheet) if options.sheet else None,
            "domain": session.domain, "notes": notes, "controls": values,
            "attributes": {name: asdict(change) for name, change in judgement.attributes.items()},
            "angles": {name: {"commanded": asked, "judged": seen} for name, (asked, seen) in judgement.angles.items()},
        }, indent=2))  # fmt: skip
        return
    for note in notes:
        print(note, file=sys.stderr)
    print(options.output)
    if options.sheet:
        print(sheet)


def parse_settings(words: Sequence[str]) -> dict[str, float]:
    """`NAME=VALUE` words as a mapping. Raises :class:`UserError` for anything else."""
    values: dict[str, float] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator or not name.strip():
            raise UserError(f'--set {word}: write NAME=VALUE, for example --set smile=0.8.')
        try:
            number = float(value)
        except ValueError as error:
            raise UserError(f'--set {word}: "{value}" is not a number.') from error
        if number != number or number in (float("inf"), float("-inf")):
            raise UserError(f'--set {word}: "{value}" is not a finite number.')
        values[name.strip()] = number
    return values


def _at_least(value: int | None, least: int, flag: str, default: int) -> int:
    if value is None:
        return default
    if value < least:
        raise UserError(f"{flag} must be at least {least}, not {value}.")
    return value


def check_device(name: str) -> str:
    """A device torch can use here; :class:`UserError` otherwise."""
    import torch

    if name == "cpu" or (re.fullmatch(r"cuda(:\d+)?", name) and torch.cuda.is_available()):
        return name
    if name.startswith("cuda"):
        raise UserError("--device cuda: this computer or this torch has no CUDA; leave --device out to use the processor.")
    raise UserError(f'--device must be cpu or cuda, not "{name}".')


def _show_progress(what: str, step: int, steps: int) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{what} {step}/{steps}", end="\n" if step == steps else "", file=sys.stderr, flush=True)
    elif step == steps:
        print(f"{what}: done", file=sys.stderr)


# -- studio ---------------------------------------------------------------------------------------------------------


def _studio_command(commands: Any) -> None:
    parser = _add(commands, "studio", _studio, "Edit faces in the browser: a local page with sliders, history and clips.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; others than this want a token (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=None, metavar="N", help="port (default: 8765, or a free one when it is taken)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--folder", type=Path, default=None, help="where work is kept (default: the user's data folder)")
    parser.add_argument("--steps", type=int, default=None, metavar="N", help="steps of the inversion; more is slower and closer")
    parser.add_argument("--tuning-steps", type=int, default=None, metavar="N", help="steps of pivotal tuning; 0: none")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def _studio(options: argparse.Namespace) -> None:
    from crossrig.session import Effort
    from crossrig.studio import launch

    if options.port is not None and not 0 <= options.port <= 65535:
        raise UserError(f"--port must be between 0 and 65535, not {options.port}.")
    effort = Effort()
    effort = replace(
        effort,
        steps=_at_least(options.steps, 1, "--steps", effort.steps),
        tuning_steps=_at_least(options.tuning_steps, 0, "--tuning-steps", effort.tuning_steps),
    )
    device = check_device(options.device)
    launch.run(launch.Settings(options.host, options.port, not options.no_browser, options.folder, device, effort))


# -- controls -------------------------------------------------------------------------------------------------------


def _controls_command(commands: Any) -> None:
    parser = _add(commands, "controls", _controls, "List every control with its range, unit and meaning.")
    parser.add_argument("filter", nargs="?", default="", metavar="WORD", help="only controls whose name or meaning contains this")
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def _controls(options: argparse.Namespace) -> None:
    from crossrig.evaluation.controls import WEAK, shipped_figures, tag
    from crossrig.face3d.controls import CONTROLS

    word = options.filter.lower()
    chosen = [control for control in CONTROLS.values() if word in control.name.lower() or word in control.meaning.lower()]
    figures = shipped_figures()
    if options.json:
        rows = []
        for control in chosen:
            figure = figures.get(control.name)
            measured = {"obedience": figure.obedience, "leak": figure.leak, "weak": figure.weak} if figure else None
            rows.append(asdict(control) | {"measured": measured})
        print(json.dumps(rows, indent=2))
        return
    if not chosen:
        raise UserError(f'No control has "{options.filter}" in its name or meaning; `crossrig controls` lists all.')
    width = max(len(control.name) for control in chosen)
    for control in chosen:
        reach = f"{control.minimum:g} .. {control.maximum:g} {control.unit}"
        beginning = "added to the face: " if control.relative else ""
        print(f"{control.name:{width}}  {reach:18}  {tag(figures.get(control.name)):19}  {beginning}{control.meaning}")
    if figures:
        print(f"\nweak: less than {WEAK:g} of the commanded change is what a second network sees; docs/7-edits-evaluation.md")


# -- sample ---------------------------------------------------------------------------------------------------------


def _sample_command(commands: Any) -> None:
    parser = _add(commands, "sample", _sample, "Make pictures of people who do not exist.")
    parser.add_argument("--seeds", default="0-7", metavar="LIST", help="for example 0-7 or 1,5,9-12 (default: 0-7)")
    parser.add_argument("--domain", default="human", metavar="NAME", help="human, toon, or a domain of your own (default: human)")
    parser.add_argument("--network", type=Path, metavar="FILE", help="a generator checkpoint instead of the shipped one")
    parser.add_argument("--trunc", type=float, default=0.8, metavar="PSI", help="truncation: 1 all variety, 0 the mean face (default: 0.8)")
    parser.add_argument("--class", type=int, default=None, metavar="N", dest="label", help="class of a network with classes, from 0")
    parser.add_argument("--outdir", type=Path, default=Path("samples"), help="folder for seedNNNN.png and grid.png (default: samples)")
    _add_common(parser)


def _sample(options: argparse.Namespace) -> None:
    import torch

    from crossrig.data.align import to_pixels
    from crossrig.data.metadata import DigitalSource, check_destination, save_picture
    from crossrig.domains.generators import generator_file
    from crossrig.gan.weights import load_generator
    from crossrig.sheets import grid

    seeds = parse_seeds(options.seeds)
    if not 0.0 <= options.trunc <= 2.0:
        raise UserError(f"--trunc must be between 0 and 2, not {options.trunc:g}.")
    device = check_device(options.device)
    path = options.network if options.network is not None else generator_file(options.domain)
    generator = load_generator(path).to(device).eval().requires_grad_(False)
    c = class_vector(generator.config.c_dim, options.label)
    folder = make_folder(options.outdir)
    names = [folder / f"seed{seed:04d}.png" for seed in seeds] + [folder / "grid.png"]
    for name in names:
        check_destination(name, options.overwrite)
    images = []
    with torch.no_grad():
        for seed, name in zip(seeds, names, strict=False):
            z = torch.randn(1, generator.config.z_dim, generator=torch.Generator().manual_seed(seed)).to(device)
            image = generator(z, options.trunc, c=None if c is None else c.to(device))
            save_picture(name, to_pixels(image), DigitalSource.TRAINED, options.overwrite)
            images.append(image)
    save_picture(names[-1], grid(torch.cat(images), min(8, len(images))), DigitalSource.TRAINED, options.overwrite)
    print(names[-1])


def class_vector(classes: int, label: int | None) -> torch.Tensor | None:
    """The one-hot vector (1, classes) of `--class`, or None for a network without classes."""
    import torch

    if not classes:
        if label is not None:
            raise UserError("--class: this network has no classes; leave it out.")
        return None
    if label is None or not 0 <= label < classes:
        raise UserError(f"--class must be between 0 and {classes - 1} for this network; say which.")
    return torch.eye(classes)[label][None]


def parse_seeds(text: str) -> list[int]:
    """`0-7` or `1,5,9-12` as numbers."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})(?:-(\d{1,18}))?\s*", part)
        if match is None:
            raise UserError(f'--seeds {text}: "{part}" is no number or range; write for example 0-7 or 1,5,9-12.')
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last - first >= _MOST_SEEDS:
            raise UserError(f"--seeds {text}: {part} must rise and hold at most {_MOST_SEEDS} seeds.")
        seeds.extend(range(first, last + 1))
    return seeds


def make_folder(path: Path) -> Path:
    """The folder, made when it is not there; :class:`UserError` when that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"{path}: is a file, and a folder is needed; choose another --outdir.") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be made ({error.strerror}); choose another --outdir.") from error
    return path


# -- synth ----------------------------------------------------------------------------------------------------------


def _synth_command(commands: Any) -> None:
    parser = _add(commands, "synth", _synth, "Render labelled portraits of synthetic people into a stylegan2-ada ZIP.")
    parser.add_argument("--count", type=int, required=True, metavar="N", help="portraits")
    parser.add_argument("--size", type=int, default=128, metavar="PX", help="pixels a side (default: 128)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="stream of people (default: 0)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first portrait of the stream (default: 0)")
    parser.add_argument("--outdir", type=Path, required=True, help="folder for the archive")
    styles = ("photo", "toon", "painting", "sketch")
    parser.add_argument("--style", choices=styles, default="photo", help="how they are drawn (default: photo)")
    text = "share of the people who wear hair, and of those who wear clothes, of registered packs (crossrig assets add; default: 0)"
    parser.add_argument("--packs", type=float, default=0.0, metavar="SHARE", help=text)
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes; the result is the same (default: all cores)")


def _synth(options: argparse.Namespace) -> None:
    from crossrig.data.packs import installed_packs
    from crossrig.data.synth import synthesise
    from crossrig.data.wardrobe import Wardrobe

    wardrobe = Wardrobe.of(installed_packs(), options.packs) if options.packs else None
    folder = make_folder(options.outdir)
    path = synthesise(
        options.count, options.size, options.seed, folder, options.workers, options.style, options.first, wardrobe=wardrobe
    )
    print(path)


# -- other domains --------------------------------------------------------------------------------------------------


def _translate_command(commands: Any) -> None:
    parser = _add(
        commands, "translate", _translate, "Show the person in a picture in another domain.",
        "The head alone is written, at the resolution of the generators.\nexample:\n  crossrig translate photo.jpg --to toon -o drawn.png",
    )  # fmt: skip
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="PNG, JPEG, WebP, TIFF, BMP or GIF")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.png", help="the head there: .png, .jpg or .webp")
    names = "human, toon, a domain of your own or a generator checkpoint"
    parser.add_argument("--to", required=True, metavar="NAME", dest="target", help=f"domain to go to: {names}")
    parser.add_argument(
        "--from", default="auto", metavar="NAME", dest="source",
        help=f"domain of the picture: {names}; auto takes the shipped one that comes nearest (default: auto)",
    )  # fmt: skip
    parser.add_argument(
        "--blend", default=None, metavar="PX=SHARE,...",
        help="take only this share of the new domain's layers from each resolution on, in [0, 1]; 16 alone keeps the build of the head",
    )  # fmt: skip
    parser.add_argument("--sheet", action="store_true", help="also write OUT-sheet.png: input, inversion, translation")
    parser.add_argument("--steps", type=int, default=None, metavar="N", help="steps of the inversion; more is slower and closer")
    _add_common(parser)


def _translate(options: argparse.Namespace) -> None:
    from crossrig.data.align import to_pixels
    from crossrig.data.metadata import DigitalSource, check_destination, save_picture
    from crossrig.data.pictures import read_picture
    from crossrig.domains.blend import check_fit, parse_steps, shares_by_resolution
    from crossrig.domains.generators import domain_label, generator_file
    from crossrig.domains.translate import translate
    from crossrig.gan.weights import load_generator
    from crossrig.session import DOMAINS, EditSession, Effort, Networks
    from crossrig.sheets import contact_sheet
    from crossrig.train.memory import keep_freed_memory

    if options.source == options.target:
        raise UserError(f"--from and --to are both {options.target}; choose two domains.")
    steps = None if options.blend is None else parse_steps(options.blend, "--blend")
    check_destination(options.output, options.overwrite)
    sheet = options.output.with_name(f"{options.output.stem}-sheet.png")
    if options.sheet:
        check_destination(sheet, options.overwrite)
    picture = read_picture(options.picture)
    usual = Effort()
    # No tuning: the other generator must understand the code without a part of the picture in its weights.
    effort = replace(usual, steps=_at_least(options.steps, 1, "--steps", usual.steps), tuning_steps=0, detail=False)
    device = check_device(options.device)
    target = load_generator(generator_file(options.target)).requires_grad_(False)
    if options.source in (*DOMAINS, "auto"):
        networks, domain = Networks.shipped(options.source, device), options.source
    else:  # a child of the human generator: its W is the encoder's, and its pictures are framed alike
        own = load_generator(generator_file(options.source)).to(device).requires_grad_(False)
        networks, domain = replace(Networks.shipped("human", device), generators={"human": own}), "human"
    for generator in networks.generators.values():  # before the slow part
        check_fit(generator.cpu(), target)
        generator.to(device)
    if steps is not None:
        shares_by_resolution(target.style_space, steps)
    keep_freed_memory()
    session = EditSession(domain, device, networks, effort, _show_progress)
    notes = [note for note in session.set_image(picture) if not note.startswith("Edited in the")]
    found = session.domain if options.source == "auto" else domain_label(options.source)
    goal = domain_label(options.target)
    if found == goal:
        raise UserError(
            f"{options.picture}: looks like a picture of the {found} domain already; say with --from which it is, or choose another --to."
        )
    translated = to_pixels(translate(session.style_code.cpu(), networks.generators[session.domain].cpu(), target, steps))
    if options.sheet:
        cells = [("input", session.input_crop()), (f"inversion ({found})", session.inverted_crop()), (goal, translated)]
        save_picture(sheet, contact_sheet([cells]), DigitalSource.EDITED, options.overwrite)
    save_picture(options.output, translated, DigitalSource.EDITED, options.overwrite)
    for note in (*notes, f"Taken as a picture of the {found} domain."):
        print(note, file=sys.stderr)
    print(options.output)
    if options.sheet:
        print(sheet)


def _blend_command(commands: Any) -> None:
    parser = _add(
        commands, "blend", _blend, "Swap layers of two generators: the structure of one, the texture of the other.",
        "A and B: human, toon, a domain of your own, or a checkpoint; they must share a latent space, as a child and its parent do.\n"
        "example:\n  crossrig blend human toon -o human-painted.safetensors --from-resolution 32",
    )  # fmt: skip
    parser.add_argument("first", metavar="A", help="whose structure is taken: everything below the resolution")
    parser.add_argument("second", metavar="B", help="whose texture is taken: everything from the resolution on")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.safetensors", help="the blended generator")
    parser.add_argument(
        "--from-resolution", type=int, default=None, metavar="PX",
        help="first resolution of B, its convolutions and toRGB; lower ones take more of B's shapes (default: 16)",
    )  # fmt: skip
    parser.add_argument(
        "--shares", default=None, metavar="PX=SHARE,...",
        help="instead: how much of B from each resolution on, in [0, 1]; 8=0.5,32=1 passes over gradually",
    )  # fmt: skip
    parser.add_argument("--reverse", action="store_true", help="the other way round: structure of B, texture of A")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")


def _blend(options: argparse.Namespace) -> None:
    from crossrig.checkpoint import sha256
    from crossrig.data.metadata import check_destination
    from crossrig.domains.blend import blend, parse_steps, shares_by_resolution
    from crossrig.domains.generators import generator_file
    from crossrig.gan.weights import load_generator, save_generator

    if options.shares is not None and options.from_resolution is not None:
        raise UserError("--from-resolution and --shares say the same thing; give one of them.")
    first = 16 if options.from_resolution is None else options.from_resolution
    steps = {first: 1.0} if options.shares is None else parse_steps(options.shares)
    check_destination(options.output, options.overwrite, what="networks", endings=(".safetensors",))
    files = [generator_file(word) for word in (options.first, options.second)]
    if options.reverse:
        files.reverse()
    structure, texture = (load_generator(file).requires_grad_(False) for file in files)
    shares = shares_by_resolution(structure.style_space, steps)
    mixed = blend(structure, texture, shares)
    facts = {"structure": sha256(files[0]), "texture": sha256(files[1]), "shares": {str(size): share for size, share in shares.items()}}
    save_generator(options.output, mixed, {"blended": facts})
    print(options.output)


def _adapt_command(commands: Any, words: Sequence[str]) -> None:
    parser = _add(
        commands, "adapt", _adapt, "Teach a generator a new domain from a folder of pictures of faces.",
        "A run that was interrupted continues when the same command is given again.\n"
        "example:\n  crossrig adapt --images clay-heads --name clay --freeze b4,b8\n"
        "  crossrig translate photo.jpg --to runs/clay/generator-clay.safetensors -o clay.png",
    )  # fmt: skip
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="settings; options given here go before them")
    if list(words[:1]) == ["adapt"]:
        from crossrig.train.adapt import AdaptTraining

        add_options(parser, AdaptTraining)
        parser.add_argument("--from", dest="parent", metavar="TEXT", default=argparse.SUPPRESS, help="another word for --parent")


def _adapt(options: argparse.Namespace) -> None:
    from crossrig.evaluation.progress import TimeLeft
    from crossrig.train.adapt import AdaptTraining, train

    base = load_toml(AdaptTraining, options.config) if options.config is not None else None
    if base is None and hasattr(options, "name") and not hasattr(options, "outdir"):
        options.outdir = str(Path("runs") / options.name)
    progress = TimeLeft(_show_progress)
    print(train(from_options(AdaptTraining, options, base), progress=lambda done, total: progress("pictures", done, total)))


# -- train ----------------------------------------------------------------------------------------------------------


def _train_command(commands: Any, words: Sequence[str]) -> None:
    parser: Parser = commands.add_parser("train", help="Train a network.", description="Train a network.")
    parser.set_defaults(parser=parser)
    recipes = parser.add_subparsers(title="recipes", metavar="RECIPE", parser_class=Parser, required=True)
    for name, recipe in RECIPES.items():
        epilog = "A run that was interrupted continues when the same command is given again."
        child = _add(recipes, name, _train, f"Train: {recipe.meaning}.", epilog)
        child.set_defaults(recipe=name)
        child.add_argument("--config", type=Path, metavar="FILE.toml", help="settings; options given here go before them")
        if list(words[:2]) == ["train", name]:
            settings, _ = load_recipe(name)
            add_options(child, settings)


def load_recipe(name: str) -> tuple[type[Any], Callable[[Any], Path]]:
    """Settings class and training function of a recipe."""
    recipe = RECIPES[name]
    try:
        module = importlib.import_module(recipe.module)
    except ModuleNotFoundError as error:
        if error.name != recipe.module:
            raise
        raise UserError(f"This version of crossrig has no recipe for {name}.") from error
    return getattr(module, recipe.settings), module.train


def _train(options: argparse.Namespace) -> None:
    settings, train = load_recipe(options.recipe)
    for field, value in RECIPES[options.recipe].fixed:
        setattr(options, field, value)
    base = load_toml(settings, options.config) if options.config is not None else None
    if options.recipe == "judge" and not hasattr(options, "outdir") and base is None:
        options.outdir = "runs/judge"
    print(train(from_options(settings, options, base)))


# -- rig ------------------------------------------------------------------------------------------------------------


def _rig_command(commands: Any, words: Sequence[str]) -> None:
    parser = _add(
        commands, "rig", _rig, "Rig a generator of faces: train T and M for it, measure them, and make one file that `edit --model` takes.",
        "A rigging that was interrupted continues when the same command is given again.\n\n"
        "example:\n  crossrig import generator ffhq.pkl -o ffhq.safetensors\n"
        "  crossrig rig ffhq.safetensors --name ffhq --device cuda\n  crossrig edit photo.jpg -o out.png --model ffhq --yaw 25",
    )  # fmt: skip
    parser.add_argument("generator", type=Path, metavar="GENERATOR", help="generator.safetensors, trained here or imported")
    if list(words[:1]) == ["rig"]:
        from crossrig.train.rig import RigTraining

        add_options(parser, RigTraining, leave_out=("generator",))


def _rig(options: argparse.Namespace) -> None:
    from crossrig.train.rig import RigTraining, train

    print(train(from_options(RigTraining, options)))


# -- import and export ----------------------------------------------------------------------------------------------


def _import_command(commands: Any) -> None:
    meaning = "Read files of other programs."
    parser: Parser = commands.add_parser("import", help=meaning, description=meaning)
    parser.set_defaults(parser=parser)
    things = parser.add_subparsers(title="things", metavar="THING", parser_class=Parser, required=True)
    child = _add(
        things, "generator", _import_generator, "Read a StyleGAN2 of NVIDIA's (.pkl) or rosinality's (.pt).",
        "Nothing in the file is executed; a file that wants something executed is refused.",
    )  # fmt: skip
    child.add_argument("file", type=Path, metavar="FILE", help="the network file")
    child.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.safetensors", help="our checkpoint of the generator")
    child.add_argument(
        "--which", choices=("G_ema", "G"), default="G_ema",
        help="the averaged generator, or the one trained last (default: G_ema)",
    )  # fmt: skip
    child.add_argument("--discriminator", type=Path, metavar="OUT.safetensors", help="also write the discriminator there")
    child.add_argument("--overwrite", action="store_true", help="replace files that exist")


def _import_generator(options: argparse.Namespace) -> None:
    from crossrig.checkpoint import sha256
    from crossrig.data.metadata import check_destination
    from crossrig.gan.importers.generators import import_networks
    from crossrig.gan.weights import save_discriminator, save_generator

    for path in (options.output, options.discriminator):
        if path is not None:
            check_destination(path, options.overwrite, what="networks", endings=(".safetensors",))
    if options.discriminator == options.output:
        raise UserError(f"{options.output}: the generator and the discriminator need two names.")
    networks = import_networks(options.file, options.which)
    if options.discriminator is not None and networks.discriminator is None:
        raise UserError(" ".join((f"{options.file}: holds no discriminator to import.", *networks.notes)))
    source = {"file": options.file.name, "sha256": sha256(options.file), "layout": networks.layout}
    save_generator(options.output, networks.generator, {"imported": {**source, "network": options.which}})
    print(options.output)
    if options.discriminator is not None and networks.discriminator is not None:
        save_discriminator(options.discriminator, networks.discriminator, {"imported": source})
        print(options.discriminator)
    for note in networks.notes:
        print(note, file=sys.stderr)


def _export_command(commands: Any) -> None:
    meaning = "Write networks for other programs."
    parser: Parser = commands.add_parser("export", help=meaning, description=meaning)
    parser.set_defaults(parser=parser)
    things = parser.add_subparsers(title="things", metavar="THING", parser_class=Parser, required=True)
    child = _add(things, "generator", _export_generator, "Write a generator in rosinality's layout, as ONNX, or as its difference.")
    child.add_argument("network", type=Path, metavar="NET.safetensors", help="a generator checkpoint")
    child.add_argument(
        "--format", choices=("pt", "onnx", "difference"), required=True,
        help="pt: rosinality's PyTorch layout; difference: what a child changed in its parent, in 8 bits, a quarter of its size or less",
    )  # fmt: skip
    child.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="a name that ends in .pt, .onnx or .safetensors")
    child.add_argument("--parent", default="human", metavar="NAME", help="of a difference: name or file of the parent (default: human)")
    child.add_argument("--from", choices=("z", "s"), default="z", dest="start", help="what the ONNX network takes (default: z)")
    child.add_argument("--overwrite", action="store_true", help="replace files that exist")


def _export_generator(options: argparse.Namespace) -> None:
    from crossrig.checkpoint import sha256
    from crossrig.data.metadata import check_destination
    from crossrig.domains.generators import generator_file
    from crossrig.gan.export import export_onnx, export_rosinality
    from crossrig.gan.weights import load_generator, save_difference

    ending = ".safetensors" if options.format == "difference" else f".{options.format}"
    check_destination(options.output, options.overwrite, what="these networks", endings=(ending,))
    generator = load_generator(options.network).requires_grad_(False)
    notes: tuple[str, ...] = ()
    if options.format == "pt":
        notes = export_rosinality(options.output, generator)
    elif options.format == "difference":
        parent = generator_file(options.parent)
        save_difference(options.output, generator, parent, {"source": sha256(options.network)})
        notes = (f"It is read only where {parent.name} is: beside it, or among the networks in use.",)
    else:
        export_onnx(options.output, generator, options.start)
    print(options.output)
    for note in notes:
        print(note, file=sys.stderr)


# -- eval, assets, doctor, demo -------------------------------------------------------------------------------------


def _eval_command(commands: Any) -> None:
    parser = _add(commands, "eval", _eval, "Measure the shipped networks on people none of them was trained on.")
    parser.add_argument("--quick", action="store_true", help="the short evaluation of everything")
    parser.add_argument("--json", action="store_true", help="print one flat object of figures and nothing else")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes that render portraits (default: all cores)")
    parts = parser.add_subparsers(title="parts", metavar="PART", parser_class=Parser)
    _eval_edits_command(parts)
    _eval_generator_command(parts)
    _eval_domains_command(parts)


def _eval(options: argparse.Namespace) -> None:
    from crossrig import evaluate

    if not options.quick:
        raise UserError("Say what to measure: `crossrig eval --quick`, `eval edits`, `eval generator` or `eval domains`.")
    figures = evaluate.shipped_quick(options.workers)
    print(evaluate.as_json(figures) if options.json else evaluate.table(figures))


def _eval_edits_command(parts: Any) -> None:
    parser = _add(parts, "edits", _eval_edits, "Measure edits: obedience, leak, identity, realism and cost, beside simpler methods.")
    parser.add_argument("--samples", type=int, default=512, metavar="N", help="unseen codes that are edited (default: 512)")
    parser.add_argument("--portraits", type=int, default=None, metavar="N", help="unseen portraits that are inverted and edited; 0: none")
    parser.add_argument("--controls", type=int, default=None, metavar="N", help="codes that each named control is tried on; 0: none")
    parser.add_argument("--methods", default=None, metavar="LIST", help="with commas between (default: ours and the baselines)")
    parser.add_argument("--codes", type=Path, default=None, metavar="FILE", help="codes.safetensors of T's run, for the baselines")
    parser.add_argument("--triples", type=int, default=10000, metavar="N", help="codes to label where there is no --codes (default: 10000)")
    parser.add_argument("--rig", action="append", default=[], metavar="NAME=FILE", dest="rigs", help="another rig to compare, repeatable")
    parser.add_argument(
        "--stylerig", action="append", type=Path, default=[], metavar="FILE", dest="stylerigs",
        help="weights of `crossrig train stylerig`, as stylerig_wplus or stylerig_s; once for each",
    )  # fmt: skip
    parser.add_argument(
        "--inversion", choices=("optimise", "pie"), default="optimise",
        help="how portraits become codes: as in `crossrig edit`, or by PIE (default: optimise)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one flat object of figures and nothing else")
    parser.add_argument("--outdir", type=Path, default=None, help="folder for edits.md, edits.json, controls.json and the pictures")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes that render portraits (default: all cores)")


def _eval_edits(options: argparse.Namespace) -> None:
    from crossrig.evaluation import report
    from crossrig.evaluation.edits import Sizes
    from crossrig.evaluation.methods import STYLERIGS, USUAL, check_methods
    from crossrig.evaluation.shipped import Request, evaluate_shipped, parse_rigs
    from crossrig.train.memory import keep_freed_memory

    samples = _at_least(options.samples, 8, "--samples", 512)
    sizes = Sizes.of(samples, options.portraits)
    methods = check_methods(options.methods.split(",")) if options.methods is not None else USUAL
    rigs = parse_rigs(options.rigs)
    controls = _at_least(options.controls, 0, "--controls", min(64, samples))
    request = Request(
        sizes, methods, options.codes, options.triples, rigs, controls, options.workers, tuple(options.stylerigs), options.inversion
    )
    if options.outdir is not None:
        make_folder(options.outdir)
        report.check_folder(options.outdir, [*methods, *STYLERIGS.values(), *rigs], options.overwrite)
    keep_freed_memory()
    outcome = evaluate_shipped(request, None if options.json else _show_progress)
    if options.outdir is not None:
        outcome.write(options.outdir, options.overwrite)
    print(outcome.as_json() if options.json else outcome.as_markdown())


def _eval_domains_command(parts: Any) -> None:
    parser = _add(parts, "domains", _eval_domains, "Measure a child generator: consistency with its parent, edits, style and variety.")
    parser.add_argument("--domain", default="toon", metavar="NAME", help="the child: toon, a domain of your own, or a file (default: toon)")
    parser.add_argument("--parent", default="human", metavar="NAME", help="its parent (default: human)")
    parser.add_argument(
        "--pictures", type=Path, nargs="+", default=[], metavar="ZIP",
        help="archives of its domain; toon, painting and sketch are rendered where none are given",
    )  # fmt: skip
    parser.add_argument("--judge", type=Path, default=None, metavar="FILE", help="a judge that saw the domain (default: the shipped)")
    parser.add_argument("--samples", type=int, default=512, metavar="N", help="unseen codes, and as many pictures (default: 512)")
    parser.add_argument("--json", action="store_true", help="print one flat object of figures and nothing else")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes that render pictures (default: all cores)")


def _eval_domains(options: argparse.Namespace) -> None:
    from crossrig.evaluation.domains import DomainRequest, as_json, as_text, evaluate_domain
    from crossrig.train.memory import keep_freed_memory

    samples = _at_least(options.samples, 8, "--samples", 512)
    request = DomainRequest(options.domain, options.parent, tuple(options.pictures), options.judge, samples, options.workers)
    keep_freed_memory()
    figures, notes = evaluate_domain(request, None if options.json else _show_progress)
    print(as_json(figures) if options.json else as_text(figures, notes))


def _eval_generator_command(parts: Any) -> None:
    parser = _add(parts, "generator", _eval_generator, "Measure a generator: quality of samples, latent spaces, and inversions.")
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
    from crossrig.session import Effort
    from crossrig.train.memory import keep_freed_memory

    usual = Effort()
    steps = _at_least(options.steps, 1, "--steps", usual.steps)
    tuning_steps = _at_least(options.tuning_steps, 0, "--tuning-steps", usual.tuning_steps)
    sizes = Sizes.of(options.samples, options.inversions, Effort(steps=steps, tuning_steps=tuning_steps))
    for archive in options.training:  # before the slow part
        if not archive.is_file():
            raise UserError(f"There is no portrait archive {archive}: give those of the training, made with `crossrig synth`.")
    if options.outdir is not None:
        check_folder(make_folder(options.outdir), options.overwrite)
    keep_freed_memory()
    progress = None if options.json else TimeLeft(_show_progress)
    outcome = evaluate_shipped(sizes, options.network, options.training, options.workers, progress)
    if options.outdir is not None:
        outcome.write(options.outdir, options.overwrite)
    print(outcome.as_json() if options.json else outcome.as_text())


def _assets_command(commands: Any) -> None:
    meaning = "Optional packs of hair and clothes."
    parser: Parser = commands.add_parser("assets", help=meaning, description=meaning)
    parser.set_defaults(parser=parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", parser_class=Parser, required=True)
    add = _add(actions, "add", _assets_add, "Register a folder with MakeHuman packs for `crossrig synth`.")
    add.add_argument("folder", type=Path, metavar="FOLDER", help="a folder with .mhclo and .obj files")


def _assets_add(options: argparse.Namespace) -> None:
    from crossrig.data import packs

    if not options.folder.is_dir():
        raise UserError(f"{options.folder}: there is no such folder.")
    print(packs.add(options.folder))


def _doctor_command(commands: Any) -> None:
    parser = _add(commands, "doctor", _doctor, "Say what is installed, what is missing and how to get it.")
    parser.add_argument("--json", action="store_true", help="print one object")


def _doctor(options: argparse.Namespace) -> None:
    from crossrig.doctor import diagnose, report

    diagnosis = diagnose()
    print(json.dumps(diagnosis.to_json(), indent=2) if options.json else report(diagnosis))


def _demo_command(commands: Any) -> None:
    parser = _add(commands, "demo", _demo, "Edit two real pictures and write a contact sheet.")
    parser.add_argument("--outdir", type=Path, default=Path("demo"), help="folder for sheet.png (default: demo)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def _demo(options: argparse.Namespace) -> None:
    from crossrig.demo import make_sheet
    from crossrig.train.memory import keep_freed_memory

    keep_freed_memory()
    print(make_sheet(make_folder(options.outdir), check_device(options.device), _show_progress))


if __name__ == "__main__":
    sys.exit(main())
