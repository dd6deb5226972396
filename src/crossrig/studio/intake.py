"""Taking pictures in, and opening work of before: the slow beginning of a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from crossrig.data.align import Framing
from crossrig.data.detect import Face, detect_faces
from crossrig.data.pictures import Picture
from crossrig.data.placing import framing_of_points
from crossrig.errors import UserError
from crossrig.session import EditSession, Effort, Networks
from crossrig.studio.history import History
from crossrig.studio.keeping import written_to
from crossrig.studio.outlets import Outlet, Outlets
from crossrig.studio.pictures import WIDEST, fitted, to_jpeg, to_png
from crossrig.studio.project import FORMAT, Info, Project, ProjectFolder, Square
from crossrig.studio.protocol import Box, DomainWish, FacesFound, Frame, PickFace, PlaceFace, Problem, Stopped
from crossrig.studio.slow import SlowWork
from crossrig.studio.work import Subject, Work

MOST_FACES = 32
"""Faces that a person is asked to choose from."""
MOST_SAMPLES = 1_000_000
"""People who can be made up, so that their numbers can be remembered."""


@dataclass(frozen=True)
class _Upload:
    """A picture that is to come in."""

    picture: Picture
    png: bytes
    domain: DomainWish
    ask: bool = False


@dataclass(frozen=True)
class _Question:
    """Which face is meant?"""

    upload: _Upload
    faces: tuple[Face, ...]
    shown: bytes
    """The picture as a JPEG of modest size."""

    def put_to(self, outlet: Outlet) -> None:
        """Ask."""
        height, width = self.upload.picture.pixels.shape[:2]
        boxes = []
        for face in self.faces:
            x, y, half = face.framing.x, face.framing.y, face.framing.half
            boxes.append(Box((x - half) / width, (y - half) / height, (x + half) / width, (y + half) / height))
        match len(boxes):
            case 0:
                sentence = f"{self.upload.picture.name}: no face was found; place the five points on it, or choose another picture."
            case 1:
                sentence = "One face was found; it is taken unless you place five points on another."
            case count:
                sentence = f"{count} faces were found; the largest is taken unless you pick another."
        outlet.say(FacesFound(sentence, tuple(boxes)))
        outlet.show(Frame("faces", 0, True, 0, 0), self.shown)


class Intake:
    """One picture comes in, once; another picture is another session's."""

    def __init__(
        self, work: Work, outlets: Outlets, slow: SlowWork, folder: ProjectFolder, networks: Networks, fingerprint: str, effort: Effort
    ) -> None:
        self._work = work
        self._outlets = outlets
        self._slow = slow
        self._folder = folder
        self._networks = networks
        self._fingerprint = fingerprint
        self._effort = effort
        self._question: _Question | None = None

    def take(self, picture: Picture, png: bytes, domain: DomainWish, ask: bool) -> None:
        """Have a picture taken in; ``ask`` which face also where there is but one.

        Raises UserError when there is a picture already, or no such domain.
        """
        self._check_empty()
        self._session_for(domain)  # complains at once
        upload = _Upload(picture, png, domain, ask)
        self._slow.begin(lambda: self._look(upload), "A picture is being taken in already; stop that first.")
        self._question = None

    def sample(self, seed: int, domain: DomainWish) -> None:
        """Have a person taken who does not exist. Raises UserError when there is a picture already, or no such domain or number."""
        if not 0 <= seed < MOST_SAMPLES:
            raise UserError(f"The number of a sample is between 0 and {MOST_SAMPLES - 1}.")
        self._check_empty()
        session = self._session_for(domain)
        self._slow.begin(lambda: self._make_up(session, seed), "A picture is being taken in already; stop that first.")
        self._question = None

    def reopen(self) -> None:
        """Have what the folder holds opened. Raises UserError when there is a picture already."""
        self._check_empty()
        self._slow.begin(self._reopen, "A picture is being taken in already; stop that first.")

    def answer(self, message: PickFace | PlaceFace) -> None:
        """Go on with the face that the person means. Raises UserError when there is no such face, or nothing was asked."""
        question = self._question
        if question is None:
            raise UserError("There is no picture that waits for a face; choose one first.")
        face: Face | Framing
        match message:
            case PickFace(number):
                if not 0 <= number < len(question.faces):
                    raise UserError(f"There are {len(question.faces)} faces to pick from; choose one of them, or place five points.")
                face = question.faces[number]
            case PlaceFace(points):
                if any(not (0 <= point.x <= 1 and 0 <= point.y <= 1) for point in points):
                    raise UserError("The five points must lie in the picture.")
                height, width = question.upload.picture.pixels.shape[:2]
                places = [(point.x * width, point.y * height) for point in points]
                face = framing_of_points(places, self._networks.model)
        upload = question.upload
        self._slow.begin(lambda: self._take(upload, face), "A picture is being taken in already; stop that first.")
        self._question = None

    def withdraw(self) -> None:
        """The person does not want to answer."""
        if self._question is not None:
            self._question = None
            self._outlets.say(Stopped())

    def begin(self, outlet: Outlet) -> None:
        """Ask a page that has just come, too."""
        if self._question is not None:
            self._question.put_to(outlet)

    def _check_empty(self) -> None:
        if self._work.found is not None:
            raise UserError("A picture is open here already; start anew for another one.")

    def _look(self, upload: _Upload) -> None:
        """Look for faces; where it is not clear which, ask."""
        self._slow.progress("Looking for the face", 0, 1)
        faces = detect_faces(upload.picture.pixels)
        if len(faces) == 1 and not upload.ask:
            self._take(upload, faces[0])
            return
        question = _Question(upload, tuple(faces[:MOST_FACES]), to_jpeg(fitted(upload.picture.pixels, WIDEST)))
        with self._work.worker.changed:
            self._question = question
            self._slow.end()
            question.put_to(self._outlets)

    def _take(self, upload: _Upload, face: Face | Framing | None, history: History | None = None) -> None:
        session = self._session_for(upload.domain)
        self._slow.progress("Looking for the face", 0, 1)
        notes = session.set_image(upload.picture, face)
        self._keep(session, upload.picture, upload.png, notes, history or History())

    def _make_up(self, session: EditSession, seed: int) -> None:
        notes = session.set_sample(seed)
        self._keep(session, session.picture, to_png(session.picture.pixels), notes, History())

    def _keep(self, session: EditSession, picture: Picture, png: bytes, notes: Sequence[str], history: History) -> None:
        """Write down what a session found out, and open it."""
        frame = session.cut.framing
        info = Info(FORMAT, picture.name, self._fingerprint, tuple(notes), Square(frame.x, frame.y, frame.half))
        with written_to(self._folder):
            self._folder.write_picture(info, png, session.memory())
        self._open(session, info, picture, history, None)

    def _session_for(self, domain: DomainWish) -> EditSession:
        networks = self._networks
        if domain in networks.generators:
            networks = replace(networks, generators={domain: networks.generators[domain]})
        elif domain != "auto":
            raise UserError(f'There is no domain "{domain[:40]}"; there are auto, {", ".join(networks.generators)}.')
        return EditSession(domain, networks=networks, effort=self._effort, progress=self._slow.progress)

    def _reopen(self) -> None:
        project = self._folder.read()
        if project.info.networks != self._fingerprint:
            # the weights were changed since: the edit holds, the codes do not
            upload = _Upload(project.picture, to_png(project.picture.pixels), "auto")
            square = project.info.face
            face = None if square is None else Framing(square.x, square.y, square.half)
            self._take(upload, face, project.history)
            self._outlets.say(
                Problem("This work was made with other networks; its picture was taken in anew, and may look different.")
            )
            return
        session = self._session_for("auto")
        session.recall(project.picture, project.memory)
        self._open(session, project.info, project.picture, project.history, project)

    def _open(self, session: EditSession, info: Info, picture: Picture, history: History, project: Project | None) -> None:
        work = self._work
        session.warm_up()
        with work.worker.changed:
            work.session = session
            work.found = Subject(info, picture)
            if project is not None:
                work.edits.begin(history, project.values, project.locked)
            else:
                work.edits.begin(history, history.current.values)
            self._slow.end()
            self._outlets.say(work.opened())
            self._outlets.say(work.edited())
