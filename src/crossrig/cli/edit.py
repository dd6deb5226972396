"""`crossrig edit`, `studio` and `controls`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossrig.cli.parser import add, add_common, at_least, check_device, parse_settings, show_progress
from crossrig.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from crossrig.data.align import Framing
    from crossrig.data.detect import Face
    from crossrig.data.pictures import Picture
    from crossrig.face3d.model import FaceModel


def edit_command(commands: Any) -> None:
    parser = add(
        commands, "edit", _edit, "Edit the face in a picture.",
        "example:\n  crossrig edit photo.jpg -o out.png --yaw 25 --set smile=0.8 --set light.azimuth=-60",
    )  # fmt: skip
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="PNG, JPEG, WebP, TIFF, BMP or GIF")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.png", help="the edited picture: .png, .jpg or .webp")
    parser.add_argument(
        "--domain", metavar="NAME", default="auto",
        help="whose generator edits it: human, toon, a domain of your own, or auto, which tries all and takes the nearest (default: auto)",
    )  # fmt: skip
    parser.add_argument("--model", metavar="NAME", help="edit with a generator of your own that `crossrig rig` has rigged")
    parser.add_argument(
        "--points", metavar="X,Y,...",
        help="where the face is, when it is not found: both eyes, tip of the nose, both corners of the mouth, in pixels",
    )  # fmt: skip
    parser.add_argument("--face", type=int, metavar="N", help="which of several faces, counted from the largest (default: 1)")
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
    add_common(parser)


def _edit(options: argparse.Namespace) -> None:
    from crossrig import models
    from crossrig.data.metadata import DigitalSource, check_destination, save_picture
    from crossrig.data.pictures import read_picture
    from crossrig.data.placing import read_points
    from crossrig.face3d import controls
    from crossrig.memory import keep_freed_memory
    from crossrig.session import EditSession, Effort, Networks
    from crossrig.sheets import contact_sheet

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
    if options.points is not None and options.face is not None:
        raise UserError("--points says where the face is, so --face is not needed; leave one of them out.")
    points = None if options.points is None else read_points(options.points)
    device = check_device(options.device)
    effort = Effort()
    effort = Effort(
        effort.trial_steps,
        at_least(options.steps, 1, "--steps", effort.steps),
        at_least(options.tuning_steps, 0, "--tuning-steps", effort.tuning_steps),
        effort.passes,
    )
    networks = None
    if options.model is not None:
        if options.domain != "auto":
            raise UserError("--model brings its own domain: leave --domain out.")
        networks = Networks.of_model(models.load(options.model), device)
    keep_freed_memory()
    session = EditSession(options.domain, device, networks, effort, None if options.json else show_progress)
    for name in values:
        controls.check_offered(name, session.networks.model)
    notes = session.set_image(picture, _face_wanted(picture, points, options.face, session.networks.model))
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
            "identity": asdict(judgement.identity),
            "angles": {name: {"commanded": asked, "judged": seen} for name, (asked, seen) in judgement.angles.items()},
        }, indent=2))  # fmt: skip
        return
    for note in notes:
        print(note, file=sys.stderr)
    print(options.output)
    if options.sheet:
        print(sheet)


def _face_wanted(picture: Picture, points: NDArray[np.float64] | None, number: int | None, model: FaceModel) -> Face | Framing | None:
    """The face that the options ask for; None where they do not say."""
    from crossrig.data.detect import detect_faces
    from crossrig.data.placing import framing_of_points

    if points is not None:
        height, width = picture.pixels.shape[:2]
        if (points < 0).any() or (points > (width, height)).any():
            raise UserError(f"--points lie outside the picture, which is {width} x {height} pixels.")
        return framing_of_points(points, model)
    if number is None:
        return None
    faces = detect_faces(picture.pixels)
    if not faces:
        return None  # and the session says so
    if not 1 <= number <= len(faces):
        raise UserError(f"--face must be at most {len(faces)}, the number of faces that were found, and at least 1, not {number}.")
    return faces[number - 1]


def studio_command(commands: Any) -> None:
    parser = add(commands, "studio", _studio, "Edit faces in the browser: a local page with sliders, history and clips.")
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
        steps=at_least(options.steps, 1, "--steps", effort.steps),
        tuning_steps=at_least(options.tuning_steps, 0, "--tuning-steps", effort.tuning_steps),
    )
    device = check_device(options.device)
    launch.run(launch.Settings(options.host, options.port, not options.no_browser, options.folder, device, effort))


def controls_command(commands: Any) -> None:
    parser = add(commands, "controls", _controls, "List every control with its range, unit and meaning.")
    parser.add_argument("filter", nargs="?", default="", metavar="WORD", help="only controls whose name or meaning contains this")
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def _controls(options: argparse.Namespace) -> None:
    from crossrig import assets
    from crossrig.evaluation.controls import WEAK, shipped_figures, tag
    from crossrig.face3d.controls import offered
    from crossrig.face3d.model import FaceModel

    word = options.filter.lower()
    model = FaceModel.load(assets.require("head"))
    if model.expression_kind == "components":
        print(f"The expressions of {model.space.name} are components: there are no controls of named face units.", file=sys.stderr)
    chosen = [control for control in offered(model).values() if word in control.name.lower() or word in control.meaning.lower()]
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
