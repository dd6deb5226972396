"""One picture and its sliders: what the command line, and any other surface, calls.

    session = EditSession(domain="auto")
    notes = session.set_image("photo.jpg")     # detect, align, invert, read the parameters
    session.edit({"yaw": 25, "smile": 0.8})    # controls of face3d/controls.py, in the units they declare
    picture = session.render()                 # (H, W, 3) uint8, the size of the picture given

``set_image`` does the slow work once; ``edit`` and ``render`` are cheap and start from the picture as it was, so that
setting a control to another value replaces the first.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from crossrig import assets, checkpoint
from crossrig.data.align import Crop, Framing, crop, paste_back, refine, to_pixels, to_tensor
from crossrig.data.detect import Face, choose_face, detect_faces
from crossrig.data.pictures import Picture, from_array, read_picture
from crossrig.domains.blend import check_fit
from crossrig.domains.generators import domain_label, generator_file, installed_domains
from crossrig.errors import UserError
from crossrig.face3d import controls
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.features import PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.gan.precision import feature_dtype
from crossrig.gan.weights import load_generator
from crossrig.inversion.detail import ROUGH, SMOOTH, CarriedHead, MovingHead, backdrop_of, carry_head, compose, resized
from crossrig.inversion.encoder import Encoder, load_encoder
from crossrig.inversion.matte import matte
from crossrig.inversion.optimise import Inversion, invert
from crossrig.inversion.pivotal import tune
from crossrig.inversion.relight import relit
from crossrig.judging import Edit, Judgement, judgement_of
from crossrig.models import Model
from crossrig.packing import pack, unpack
from crossrig.render.quick import QuickFace
from crossrig.rig.manipulation import Rig
from crossrig.rig.reconstruction import Reconstruction
from crossrig.rig.stacked import StackedRig
from crossrig.rig.units import Units
from crossrig.rig.weights import load_reconstruction, load_rig
from crossrig.side import alone, beside

Pixels = NDArray[np.uint8]
Source = str | os.PathLike[str] | NDArray[np.uint8] | Picture
#: Attributes whose edits move things; the others change what is seen of them.
MOVING = ("pose", "shape", "expression")
_FINEST = 512  # px: side of the edited head from which larger pictures get it enlarged
_TRUNCATION = 0.8  # of people who are made up; as that of `crossrig sample`
_QUICK = 128  # px at which the generator stops for a preview; the finest details of a preview are the picture's own in any case
_COARSE = 64  # px that are enough to see what light and skin change: it is found at `ROUGH` px and has the edges of the picture itself
# An inversion whose perceptual distance is above this shows something else: portraits of the domain come out at 2.2 to 2.5, those of
# the other domain at 3.1 to 3.3, pictures without a face above 5.
_HOPELESS = 4.0


@dataclass(frozen=True)
class Effort:
    """How long an inversion may take."""

    trial_steps: int = 20
    """Steps in each domain before one is chosen (``domain="auto"``)."""
    steps: int = 25
    """Steps of the optimisation in W+."""
    tuning_steps: int = 180
    """Steps of pivotal tuning of the generator; 0 leaves it as it is."""
    passes: int = 2
    """Passes of the latent manipulation networks; each corrects what T finds missing after the one before."""
    detail: bool = True
    """Whether the picture itself is carried along with the head (``inversion.detail``), or the generator's answer shown alone."""


@dataclass(frozen=True)
class Networks:
    """The networks of a session. ``Networks.shipped()`` loads those of the package; tests and other surfaces bring their own."""

    generators: Mapping[str, Generator]
    rig: Rig
    reconstruction: Reconstruction
    judge: Reconstruction
    encoder: Encoder | None
    model: FaceModel
    perceptual: PerceptualDistance
    own_encoders: Mapping[str, Encoder] = field(default_factory=dict)
    """Domain -> what sees people in its pictures better than ``encoder`` does."""

    def encoder_of(self, domain: str) -> Encoder | None:
        """What finds the code of a picture of that domain, to begin with."""
        return self.own_encoders.get(domain, self.encoder)

    @cached_property
    def quick_rig(self) -> StackedRig:
        """The rig for previews."""
        return StackedRig(self.rig)

    @cached_property
    def quick_face(self) -> QuickFace:
        """The pictures of the 3D face."""
        return QuickFace(self.model)

    @classmethod
    def shipped(cls, domain: str, device: str = "cpu") -> Networks:
        """Load what ``domain`` needs: a child of the human generator by name or file (`domains.generators`), or ``"auto"``, all at hand.

        Raises :class:`UserError` naming what is missing and how to get it, or when the domain's generator is no child of the human one.
        """
        wanted = installed_domains() if domain == "auto" else (domain,)
        files = {domain_label(name): generator_file(name) for name in wanted}
        human = assets.require("generator-human")
        parent = load_generator(human)
        generators: dict[str, Generator] = {}
        own: dict[str, Encoder] = {}
        for name, file in files.items():
            child = parent if file == human else load_generator(file)
            try:
                check_fit(parent, child)  # else the rig says nothing about it
            except UserError:
                if domain != "auto":
                    raise
                continue  # a generator with another rig: `crossrig edit --model`
            generators[name] = child
            beside = file.with_name(f"encoder-{name}.safetensors")  # as `crossrig adapt --repaint-weight` leaves it
            if beside.is_file():
                own[name] = load_encoder(beside)
        encoder = assets.find("encoder")
        rig = load_rig(assets.require("manipulation"), checkpoint.sha256(human))
        return cls._with_readers(generators, rig, load_encoder(encoder) if encoder else None, device, own)

    @classmethod
    def of_model(cls, model: Model, device: str = "cpu") -> Networks:
        """Those of a model of one's own, which is the only domain then. Raises :class:`UserError` as :meth:`shipped` does."""
        return cls._with_readers({model.name: model.generator}, model.rig, model.encoder, device)

    @classmethod
    def _with_readers(
        cls, generators: Mapping[str, Generator], rig: Rig, encoder: Encoder | None, device: str, own: Mapping[str, Encoder] | None = None
    ) -> Networks:
        networks = cls(
            generators,
            rig,
            load_reconstruction(assets.require("reconstruction")),
            load_reconstruction(assets.require("judge")),
            encoder,
            FaceModel.load(assets.require("head")),
            PerceptualDistance(),
            own or {},
        )
        for space, what in (
            (networks.reconstruction.space, "reconstruction network"), (networks.judge.space, "judge"), (rig.predictor.space, "rig"),
        ):  # fmt: skip
            space.check(networks.model.space, what)
        parts: list[nn.Module | None] = [*networks.generators.values(), networks.rig, networks.reconstruction, networks.judge]
        for part in (*parts, networks.encoder, *networks.own_encoders.values(), networks.model, networks.perceptual):
            if part is not None:
                part.to(device).eval().requires_grad_(False)
        return networks


@dataclass(frozen=True)
class Memory:
    """What a session found out about its picture, as it is kept on disk: named tensors and values for JSON."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class _Subject:
    """A picture and everything found out about it."""

    picture: Picture
    cut: Crop
    target: Tensor  # (1, 3, R, R)
    domain: str
    generator: Generator  # the domain's, or a copy tuned to the picture
    inversion: Inversion
    params: FaceParams
    fine: Tensor  # (1, 3, D, D): the head at the picture's own resolution where its detail is carried, or D = R
    person: Tensor  # (1, 1, D, D): 1 where it shows the person, 0 where it shows the backdrop


def _picture(source: Source) -> Picture:
    if isinstance(source, Picture):
        return source
    return from_array(source) if isinstance(source, np.ndarray) else read_picture(source)


def _enlarge(image: Tensor, side: int) -> Tensor:
    """Pictures (B, 3, R, R) at side x side pixels."""
    return image if image.shape[-1] == side else F.interpolate(image, (side, side), mode="bicubic", align_corners=False)


@dataclass(frozen=True)
class _Scene:
    """What does not change while the head in a picture of side x side pixels is edited."""

    head: MovingHead
    person: Tensor  # (1, 1, side, side)
    backdrop: Tensor  # (1, 3, side, side)

    def carried(self, photograph: Tensor, params: FaceParams) -> CarriedHead:
        """The photograph (1, 3, side, side), roughly, when the head has moved to other parameters."""
        return carry_head(photograph, self.person, self.head.to(params), ROUGH)


@dataclass(frozen=True)
class _Carried:
    """A preview under what moves things alone; light and skin often change while this stays as it is."""

    moved: Mapping[str, Tensor]  # attribute -> dP (1, n)
    code: Tensor  # (1, S)
    coarse: Tensor  # (1, 3, c, c): the generator's picture
    seen: Tensor  # (1, 3, R, R): the photograph, moved
    follows: Tensor  # (1, 1, R, R): where it shows the person

    def fits(self, moving: Mapping[str, Tensor]) -> bool:
        """Whether it is the one for these commands."""
        return moving.keys() == self.moved.keys() and all(torch.equal(command, self.moved[name]) for name, command in moving.items())


class EditSession:
    """Edits one picture at a time."""

    def __init__(
        self,
        domain: str = "auto",
        device: str = "cpu",
        networks: Networks | None = None,
        effort: Effort | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        """``progress(what, step, steps)`` is told how the slow parts of ``set_image`` come along.

        ``domain``: one of the networks', or without these what :meth:`Networks.shipped` takes. ``"auto"``: the picture is inverted a little
        in every domain, and the one whose generator comes nearest, in perceptual distance, is taken.
        """
        self.device = device
        self.effort = effort or Effort()
        self.networks = networks if networks is not None else Networks.shipped(domain, device)
        known = tuple(self.networks.generators)
        self.domain_wanted = domain_label(domain)
        if self.domain_wanted not in (*known, "auto"):
            raise UserError(f'There is no domain "{domain}"; the domains are {", ".join(known)} and auto.')
        self._progress = progress
        self._found: _Subject | None = None
        self._values: dict[str, float] = {}
        self._under: tuple[dict[str, float], FaceParams] | None = None  # values, and the subject's parameters under them
        self._scenes: dict[tuple[int, bool], _Scene] = {}  # of the subject, by the size of the picture and whether it must be quick
        self._painters: dict[tuple[int, int], Callable[[Tensor], tuple[Tensor, Tensor]]] = {}  # of the subject, by the sizes they paint
        self._carried: _Carried | None = None  # of the last preview

    # -- the picture ------------------------------------------------------------------------------------------------

    def set_image(self, source: Source, face: Face | Framing | None = None) -> list[str]:
        """Take a picture; returns notes for the person. Raises :class:`UserError` when it cannot be used or has no face.

        ``face``: one that `data.detect.detect_faces` found in it, or exactly where to look (`data.placing.framing_of_points` makes that
        of five points); None takes the largest face that is found.
        """
        picture = _picture(source)
        networks, size = self.networks, self._size
        framing, notes = self._frame(picture, face)
        cut = crop(picture.pixels, framing, size)
        if cut.side < size // 2:
            notes.append(f"The face is small ({cut.side} pixels with hair and neck): the result will be blurred.")
        target = to_tensor(cut.image).to(self.device)
        domain, start = self._choose_domain(target)
        notes.append(f"Edited in the {domain} domain.")
        generator = networks.generators[domain]
        inversion = self._invert(target, domain, self.effort.steps, "inverting", start)
        if inversion.perceptual > _HOPELESS:
            notes.append("The generator does not know faces like this one; expect a different face.")
        if self.effort.tuning_steps:
            generator = tune(
                generator, inversion.s, target, steps=self.effort.tuning_steps, perceptual=networks.perceptual, dtype=feature_dtype("auto"),
                progress=lambda step, steps: self._tell("tuning", step, steps),
            )  # fmt: skip
            with torch.no_grad():
                inversion = replace(inversion, image=generator.synthesise(inversion.s))
        fine = self._finely(picture, framing)
        # Not T(s): the code of a photograph or of somebody's drawing is none of those that T has learned to read.
        params = networks.reconstruction.predict(fine)
        self._begin(_Subject(picture, cut, target, domain, generator, inversion, params, fine, matte(fine, networks.model, params)))
        return [*picture.notes, *notes]

    @torch.no_grad()
    def set_sample(self, seed: int) -> list[str]:
        """Take a person who does not exist: the picture of `crossrig sample --seeds SEED`, whose code need not be searched for.

        ``domain="auto"`` takes the first domain. Returns notes for the person.
        """
        networks = self.networks
        domain = next(iter(networks.generators)) if self.domain_wanted == "auto" else self.domain_wanted
        generator = networks.generators[domain]
        w_plus = generator.broadcast(generator.map(generator.sample_z(seed).to(self.device), _TRUNCATION))
        s = generator.affine(w_plus)
        image = generator.synthesise(s)
        pixels = to_pixels(image)
        size = pixels.shape[0]
        cut = crop(pixels, Framing(size / 2, size / 2, size / 2), size)
        target = to_tensor(cut.image).to(self.device)
        params = networks.reconstruction.predict(target)
        inversion = Inversion(s, w_plus, image, (), 0.0)
        picture = from_array(pixels, f"sample {seed}")
        self._begin(_Subject(picture, cut, target, domain, generator, inversion, params, target, matte(target, networks.model, params)))
        return [f"Nobody: number {seed} of the people that the {domain} generator makes up."]

    def read(self, source: Source, face: Face | Framing | None = None) -> tuple[FaceParams, list[str]]:
        """The parameters of the face in another picture, and notes for the person; the picture under edit stays. As ``set_image``."""
        picture = _picture(source)
        framing, notes = self._frame(picture, face)
        return self.networks.reconstruction.predict(self._finely(picture, framing)), [*picture.notes, *notes]

    @property
    def _size(self) -> int:
        """R: pixels of the generators' pictures."""
        return next(iter(self.networks.generators.values())).config.resolution

    def _frame(self, picture: Picture, face: Face | Framing | None) -> tuple[Framing, list[str]]:
        """Where to cut the head out, and notes."""
        if isinstance(face, Framing):
            return face, []  # a person's word stands
        notes: list[str] = []
        if face is None:
            face, notes = choose_face(detect_faces(picture.pixels), picture)
        reconstruction = self.networks.reconstruction
        return refine(picture.pixels, face.framing, lambda image: reconstruction.predict(image.to(self.device)), self._size), notes

    def _finely(self, picture: Picture, framing: Framing) -> Tensor:
        """(1, 3, D, D): the head as it is cut out, at the picture's own resolution where its detail is carried."""
        cut = crop(picture.pixels, framing, self._size)
        side = min(max(cut.side, self._size), _FINEST) if self.effort.detail else self._size
        return to_tensor(crop(picture.pixels, framing, side).image).to(self.device)

    def memory(self) -> Memory:
        """Everything found out about the picture, so that :meth:`recall` need not find it out again; the picture itself is not in it."""
        subject = self._subject
        tensors, facts = pack(subject, leave_out=("picture", "generator"))
        original = self.networks.generators[subject.domain].state_dict()
        for name, tensor in subject.generator.state_dict().items():
            if not torch.equal(tensor, original[name]):
                tensors[f"generator.{name}"] = tensor
        return Memory(tensors, facts)

    def recall(self, picture: Picture, memory: Memory) -> None:
        """Take a picture of before, with what was found out about it by a session with the same networks.

        Raises :class:`UserError` when the memory is not one of such a session.
        """
        wanted = memory.facts.get("domain")
        domain = next((name for name in self.networks.generators if name == wanted), None)
        if domain is None:
            raise UserError(f'The picture was edited in the domain "{wanted}", whose generator is not loaded; take the picture anew.')
        tensors = {name: tensor.to(self.device) for name, tensor in memory.tensors.items()}
        tuned = {name.removeprefix("generator."): tensor for name, tensor in tensors.items() if name.startswith("generator.")}
        generator = self.networks.generators[domain]
        if tuned:
            generator = copy.deepcopy(generator)
            try:
                generator.load_state_dict(generator.state_dict() | tuned)
            except RuntimeError as error:
                raise UserError("What is known of the picture belongs to another generator; take the picture anew.") from error
        self._begin(unpack(_Subject, tensors, memory.facts, {"picture": picture, "generator": generator}))

    def _begin(self, subject: _Subject) -> None:
        """Edit this from now on."""
        self._found = subject
        self._values, self._scenes, self._painters, self._carried = {}, {}, {}, None

    def _choose_domain(self, target: Tensor) -> tuple[str, Tensor | None]:
        """The domain, and the W+ to go on from when it was already searched a little."""
        if self.domain_wanted != "auto":
            return self.domain_wanted, None
        if len(self.networks.generators) == 1:
            return next(iter(self.networks.generators)), None
        trials = {
            name: self._invert(target, name, self.effort.trial_steps, f"trying {name}") for name in self.networks.generators
        }
        best = min(trials, key=lambda name: trials[name].perceptual)
        return best, trials[best].w_plus

    def _invert(self, target: Tensor, domain: str, steps: int, what: str, start: Tensor | None = None) -> Inversion:
        networks = self.networks
        return invert(
            target, networks.generators[domain], networks.encoder_of(domain), steps=steps, start=start, perceptual=networks.perceptual,
            dtype=feature_dtype("auto"), progress=lambda step, total: self._tell(what, step, total),
        )  # fmt: skip

    def _tell(self, what: str, step: int, steps: int) -> None:
        if self._progress is not None:
            self._progress(what, step, steps)

    @property
    def _subject(self) -> _Subject:
        if self._found is None:
            raise UserError("There is no picture yet; call set_image first.")
        return self._found

    @property
    def domain(self) -> str:
        """The domain the picture is edited in."""
        return self._subject.domain

    @property
    def picture(self) -> Picture:
        """The picture under edit, as it was given."""
        return self._subject.picture

    @property
    def cut(self) -> Crop:
        """Where in the picture the head was cut out."""
        return self._subject.cut

    @property
    def generator(self) -> Generator:
        """The generator that edits the picture: its domain's, or a copy tuned to it."""
        return self._subject.generator

    @property
    def params(self) -> FaceParams:
        """The parameters read from the picture."""
        return self._subject.params

    @property
    def style_code(self) -> Tensor:
        """(1, S): the style code of the picture before any edit."""
        return self._subject.inversion.s

    # -- editing ----------------------------------------------------------------------------------------------------

    def controls(self) -> Mapping[str, controls.Control]:
        """Every control that the face model has, by name, with its range, unit and meaning."""
        return controls.offered(self.networks.model)

    def edit(self, values: Mapping[str, float]) -> None:
        """Set controls; those set before keep their values. Raises :class:`UserError` for unknown names and values out of range."""
        wanted = self._values | dict(values)
        for name, value in values.items():
            controls.check_value(name, value)
            controls.check_offered(name, self.networks.model)
        self._values = wanted

    def reset(self) -> None:
        """Back to the picture as it was."""
        self._values = {}

    @property
    def edited_params(self) -> FaceParams:
        """The parameters under the controls set so far."""
        if self._under is None or self._under[0] is not self._values:  # they are replaced, and never changed in place
            with torch.inference_mode(False):  # kept from a preview, they may have to take part in a solver's gradients
                self._under = self._values, controls.apply(self._subject.params, self._values)
        return self._under[1]

    def _commands(self) -> dict[str, Tensor]:
        """Attribute -> dP (1, n), for the attributes that the controls set so far change."""
        start, goal = self._subject.params, self.edited_params
        commands = {name: goal.attribute(name) - start.attribute(name) for name in ATTRIBUTES}
        return {name: command for name, command in commands.items() if bool((command != 0).any())}

    @torch.no_grad()
    def _generated(self, commands: Mapping[str, Tensor]) -> Tensor:
        """(1, 3, R, R): the generator's picture under commands."""
        inversion = self._subject.inversion
        if not commands:
            return inversion.image
        return self._subject.generator.synthesise(self.networks.rig.move(inversion.s, commands, self.effort.passes))

    def _painter(self, side: int) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """Style codes (B, S) -> the first one's picture of up to side x side pixels, and those of all with `_COARSE` at most."""
        sides = min(side, self._size), min(side, self._size, _COARSE)
        if sides not in self._painters:
            self._painters[sides] = self._subject.generator.frozen(feature_dtype("auto"), *sides)
        return self._painters[sides]

    @torch.no_grad()
    def edited_code(self) -> Tensor:
        """(1, S): the style code under the controls set so far; any generator fine-tuned from ours understands it."""
        commands = self._commands()
        code = self._subject.inversion.s
        return self.networks.rig.move(code, commands, self.effort.passes) if commands else code

    @torch.no_grad()
    def _edited(self, photograph: Tensor) -> Tensor:
        """(1, 3, D, D): the head under the controls set so far, from the photograph (1, 3, D, D) and the generator's answer."""
        side, passes, commands = photograph.shape[-1], self.effort.passes, self._commands()
        if not self.effort.detail:
            return _enlarge(self._generated(commands), side)
        if not commands:
            return photograph
        moving = {name: command for name, command in commands.items() if name in MOVING}
        if len(moving) == len(commands):
            edited = moved = _enlarge(self._generated(commands), side)
        else:
            code, move = self._subject.inversion.s, self.networks.rig.move
            halfway = move(code, moving, passes) if moving else code
            # Both in one go, which takes a quarter less time than one after the other.
            pictures = _enlarge(self._subject.generator.synthesise(torch.cat([move(code, commands, passes), halfway])), side)
            edited, moved = pictures[:1], pictures[1:]
        scene = self._scene(photograph)
        return compose(photograph, scene.person, moved, edited, scene.head.to(self.edited_params), scene.backdrop)

    def _previewed(self, photograph: Tensor) -> Tensor:
        """As ``_edited``, roughly: one pass of M, a picture of fewer pixels, and on two cores what can go side by side."""
        side, code, move, commands = photograph.shape[-1], self._subject.inversion.s, self.networks.quick_rig.move, self._commands()
        if not self.effort.detail or not commands:
            return photograph if self.effort.detail else _enlarge(self._painter(_QUICK)(move(code, commands))[0], side)
        moving = {name: command for name, command in commands.items() if name in MOVING}
        others = {name: command for name, command in commands.items() if name not in MOVING}
        carried = self._carried
        if carried is not None and carried.fits(moving):
            coarse = self._painter(_COARSE)(move(carried.code, others))[1] if others else carried.coarse
        else:
            scene = self._scene(photograph, quick=True)
            head = beside(scene.carried, photograph, self.edited_params)
            # What moves things comes first in EDIT_ORDER, so the others go on from there.
            halfway = move(code, moving)
            # Both in one go, which takes a quarter less time than one after the other.
            moved, both = self._painter(_QUICK)(torch.cat([halfway, move(halfway, others)]) if others else halfway)
            coarse = both[-1:]
            moved = resized(moved, side)
            photographed = head.result()
            seen = photographed.filled(moved, scene.backdrop)
            self._carried = carried = _Carried(moving, halfway, both[:1], seen, photographed.follows)
        return relit(carried.seen, coarse - carried.coarse, carried.follows, ROUGH) if others else carried.seen

    def _scene(self, photograph: Tensor, quick: bool = False) -> _Scene:
        side, subject = photograph.shape[-1], self._subject
        if (side, quick) not in self._scenes:
            head = MovingHead(self.networks.model, subject.params, side, largest=ROUGH if quick else SMOOTH)
            person = F.interpolate(subject.person, (side, side), mode="bilinear", align_corners=False)
            self._scenes[side, quick] = _Scene(head, person, backdrop_of(photograph, person))
        return self._scenes[side, quick]

    def _result(self) -> Tensor:
        """(1, 3, D, D): the edited head as it is put into the picture."""
        return self._edited(self._subject.fine)

    # -- pictures ---------------------------------------------------------------------------------------------------

    def render(self) -> Pixels:
        """The picture with the edited head in it, (H, W, 3) uint8."""
        subject = self._subject
        # The sheet of `inversion.detail` meets what is around it; the generator's own picture needs a wider seam.
        feather = 0.06 if self.effort.detail else 0.16
        return paste_back(subject.picture.pixels, subject.cut, to_pixels(self._result()), feather)

    def render_crop(self) -> Pixels:
        """The edited head as it is put into the picture, (D, D, 3) uint8; D depends on the size of the picture."""
        return to_pixels(self._result())

    @torch.inference_mode()  # a few per cent less for each of some thousand small operations
    @alone()
    def preview_crop(self) -> Pixels:
        """The edited head as fast as it can be had, (R, R, 3) uint8: one pass of M, and everything that is smooth found roughly."""
        return to_pixels(self._previewed(self._subject.target))

    def warm_up(self) -> None:
        """Make a preview that nobody sees, so that the first is as quick as all others: tables and compiled loops are there then."""
        values, self._values = self._values, {"yaw": 10.0, "light.strength": 1.1}  # something that moves, and something that does not
        try:
            self.preview_crop()
        finally:
            self._values = values

    def generated_crop(self) -> Pixels:
        """The edited head as the generator makes it, (R, R, 3) uint8."""
        return to_pixels(self._generated(self._commands()))

    def input_crop(self) -> Pixels:
        """The head as it was cut out of the picture, (R, R, 3) uint8."""
        return self._subject.cut.image

    def inverted_crop(self) -> Pixels:
        """The head as the generator makes it before any edit, (R, R, 3) uint8."""
        return to_pixels(self._subject.inversion.image)

    def rendering_of_model(self, size: int = 192, smooth: bool = True) -> Pixels:
        """The 3D face model under the edited parameters on mid-grey, (size, size, 3) uint8; not ``smooth``: jagged, and quicker."""
        return self.model_drawing(size, smooth)()

    def model_drawing(self, size: int, smooth: bool = True) -> Callable[[], Pixels]:
        """`rendering_of_model` of what is set now, to be drawn whenever and on any thread."""
        return partial(self.networks.quick_face.draw, self.edited_params, size, supersample=2 if smooth else 1)

    # -- the judge --------------------------------------------------------------------------------------------------

    @cached_property
    def _units(self) -> Units:
        return Units.of(self.networks.model)

    def judged(self) -> Judgement:
        """What was commanded against what the judge, a network that took no part in the edit, sees between before and after."""
        networks, subject = self.networks, self._subject
        unedited = subject.fine if self.effort.detail else subject.inversion.image
        before = networks.judge.predict(unedited.clamp(-1, 1))
        after = networks.judge.predict(self._result().clamp(-1, 1))
        return judgement_of(Edit(subject.params, self.edited_params, before, after), self._units, networks.judge.label_scale)
