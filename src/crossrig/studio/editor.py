"""One person's picture: what is set, what was set before, and what is still to be drawn, kept and judged.

Messages only change what is wanted (on the server's thread, with the worker's lock held); :meth:`Editor.next_step` tells the worker what
to do about it, and only the worker's thread touches the `EditSession`. Nothing is queued, so a newer value of a slider replaces an older
one that was not drawn yet.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from crossrig.data.metadata import DigitalSource, encode_picture
from crossrig.data.pictures import Picture
from crossrig.errors import UserError
from crossrig.face3d.controls import CONTROLS, apply, check_value
from crossrig.face3d.obj import obj_text
from crossrig.session import DOMAINS, EditSession, Effort, Networks
from crossrig.studio import clips, panel
from crossrig.studio.history import History
from crossrig.studio.pictures import THUMB, WIDEST, fitted, to_jpeg, to_png
from crossrig.studio.project import FORMAT, Info, Project, ProjectFolder
from crossrig.studio.protocol import (
    ApplyLook,
    ClearControls,
    ClientMessage,
    ClipReady,
    DomainWish,
    Edited,
    Entry,
    Extent,
    Frame,
    FrameKind,
    GoTo,
    MakeClip,
    Meter,
    Meters,
    Opened,
    Problem,
    Progress,
    Redo,
    Reset,
    Saved,
    ServerMessage,
    SetControls,
    Show,
    Stopped,
    Undo,
)
from crossrig.studio.readings import readings
from crossrig.studio.worker import Step, Urgency, Worker

Pixels = NDArray[np.uint8]
T = TypeVar("T")

REST = 0.15
"""Seconds without a new value after which a picture is refined although the hand holds on."""
THINK = 0.6
"""Seconds of rest after which the judge looks."""
ONE_STEP = 0.7
"""Seconds within which changes of the same controls are one step of the history."""
KEEP_AFTER = 0.4
"""Seconds after a change when it is written to disk."""
OVERDUE_AFTER = 0.7
"""Seconds after which that goes before drawing."""
MODEL_SIZE = 256
"""Pixels of the picture of the 3D face."""
MODEL_QUICK = 160
_MOST_SENT = 200
"""Steps of the history, the last ones, that a page sees."""

_log = logging.getLogger(__name__)


class Outlet(Protocol):
    """A page that looks on. Called on any thread."""

    def say(self, message: ServerMessage) -> None: ...

    def show(self, frame: Frame, picture: bytes) -> None: ...


class _Cancelled(Exception):
    """The person stopped the slow work."""


@dataclass
class _Drawn:
    """Revisions up to which things are done."""

    preview: int = -1
    model_quick: int = -1
    model: int = -1
    refined: int = -1
    before: bool = False
    saved: int = -1
    judged: int = -1


@dataclass
class _Slow:
    """Slow work that was asked for."""

    run: Callable[[], None]
    cancelled: bool = False


@dataclass(frozen=True)
class Clip:
    """A finished film."""

    content: bytes
    name: str
    ending: str


@dataclass(frozen=True)
class _Subject:
    """The picture under edit."""

    info: Info
    picture: Picture


@dataclass(eq=False)
class Editor:
    """A session of the studio."""

    worker: Worker
    networks: Networks
    fingerprint: str
    folder: ProjectFolder
    effort: Effort
    outlets: set[Outlet] = field(default_factory=set)
    history: History = field(default_factory=History)
    values: dict[str, float] = field(default_factory=dict)
    clip: Clip | None = None
    last_seen: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._session = EditSession("auto", networks=self.networks, effort=self.effort, progress=self._progress)
        self._subject: _Subject | None = None
        self._extent: Extent = "face"
        self._revision = 0
        self._changed_at = 0.0
        self._unsaved_since: float | None = None
        self._settled = True
        self._last_settled: tuple[set[str], float] | None = None
        self._answers = 0
        self._drawn = _Drawn()
        self._thumbs: dict[int, bytes] = {}
        self._slow: _Slow | None = None
        self._running: _Slow | None = None
        self._asked: list[Callable[[], None]] = []

    # -- pages ------------------------------------------------------------------------------------------------------

    def attach(self, outlet: Outlet) -> None:
        """Tell a page everything, now and from now on."""
        with self.worker.changed:
            self.outlets.add(outlet)
            self._answers = 0
            if self._subject is not None:
                outlet.say(self._opened(self._subject))
                outlet.say(self._edited())
                for number, thumb in self._thumbs.items():
                    outlet.show(self._frame("thumb", number), thumb)
            drawn, self._drawn = self._drawn, _Drawn(saved=self._drawn.saved)
            self._drawn.preview = drawn.preview  # the refined picture comes at once
            self.worker.changed.notify_all()

    def detach(self, outlet: Outlet) -> None:
        """A page is gone."""
        with self.worker.changed:
            self.outlets.discard(outlet)
            self.last_seen = time.monotonic()

    @property
    def has_picture(self) -> bool:
        return self._subject is not None

    @property
    def busy(self) -> bool:
        """Whether it must not be forgotten now."""
        return bool(self.outlets or self._slow or self._running or self._asked or self._unsaved_since is not None)

    @property
    def name(self) -> str:
        """What the picture is called."""
        return self._subject.info.name if self._subject is not None else "picture"

    def _say(self, message: ServerMessage) -> None:
        for outlet in tuple(self.outlets):
            outlet.say(message)

    def _show(self, frame: Frame, picture: bytes) -> None:
        for outlet in tuple(self.outlets):
            outlet.show(frame, picture)

    # -- what a page says -------------------------------------------------------------------------------------------

    def receive(self, message: ClientMessage) -> None:
        """Change what is wanted. Raises UserError when that is not possible; then nothing is changed."""
        with self.worker.changed:
            self._receive(message)
            self.worker.changed.notify_all()

    def _receive(self, message: ClientMessage) -> None:
        match message:
            case Show(extent):
                self._extent = extent
                self._drawn.refined, self._drawn.before = -1, False
                return
            case _ if self._subject is None:
                raise UserError("There is no picture yet; choose one first.")
            case SetControls(values, settled):
                for name, value in values.items():
                    check_value(name, value)
                self._answers += 1
                self._set(values, settled)
            case ClearControls(names):
                for name in names:
                    if name not in CONTROLS:
                        raise UserError(f'There is no control "{name[:40]}".')
                self._replace({name: value for name, value in self.values.items() if name not in names})
            case ApplyLook(name):
                if name not in panel.LOOKS:
                    raise UserError(f'There is no preset "{name[:40]}"; the presets are {", ".join(panel.LOOKS)}.')
                look = panel.LOOKS[name]
                kept = {name: value for name, value in self.values.items() if name not in look.clears}
                self._replace(kept | look.values_for(self._session.params), look.info.title)
            case Reset():
                self._replace({}, "Reset")
            case Undo() | Redo() | GoTo():
                self._travel(message)
            case MakeClip():
                self._start_clip(message)
            case _:
                raise UserError(f"A session with a picture does not take {type(message).__name__}.")

    def _set(self, values: Mapping[str, float], settled: bool) -> None:
        # what was touched last has the last word, where controls move the same units
        for name, value in values.items():
            self.values.pop(name, None)
            self.values[name] = value
        self._touch(settled)
        if settled:
            self._settle("")

    def _replace(self, values: dict[str, float], label: str = "") -> None:
        self.values = values
        self._touch(True)
        self._settle(label)

    def _settle(self, label: str) -> None:
        """A step of the history. A key that is held down, or a double click, makes one step and not many."""
        names = self._changed_names()
        now = time.monotonic()
        again = self._last_settled
        if not label and again is not None and names == again[0] and now - again[1] < ONE_STEP:
            self.history.take_back()
            names = self._changed_names()
        self.history.add(label or panel.label_of(names, self.values), self.values)
        self._last_settled = (names, now) if names and not label else None
        self._say(self._edited())

    def _changed_names(self) -> set[str]:
        """Controls that differ from the step shown."""
        before = self.history.current.values
        return {name for name in self.values.keys() | before.keys() if self.values.get(name) != before.get(name)}

    def _travel(self, message: Undo | Redo | GoTo) -> None:
        match message:
            case Undo():
                # a drag that was never settled is undone first
                if self.values == self.history.current.values:
                    self.history.undo()
            case Redo():
                self.history.redo()
            case GoTo(number):
                self.history.go_to(number)
        self.values = dict(self.history.current.values)
        self._last_settled = None
        self._touch(True)
        self._say(self._edited())

    def _touch(self, settled: bool) -> None:
        self._revision += 1
        self._settled = settled
        self._changed_at = time.monotonic()
        if self._unsaved_since is None:
            self._unsaved_since = self._changed_at

    def cancel(self) -> None:
        """Stop slow work, also before it began."""
        with self.worker.changed:
            if self._slow is not None:
                self._slow = None
                self._say(Stopped())
            if self._running is not None:
                self._running.cancelled = True

    # -- pictures come in -------------------------------------------------------------------------------------------

    def take(self, picture: Picture, png: bytes, domain: DomainWish) -> None:
        """Take a picture in, which takes its time. Raises UserError when there is one already."""
        self._begin(lambda: self._take(picture, png, domain))

    def reopen(self) -> None:
        """Go on with what the folder holds."""
        self._begin(self._reopen)

    def _begin(self, run: Callable[[], None]) -> None:
        with self.worker.changed:
            if self._subject is not None:
                raise UserError("A picture is open here already; start anew for another one.")
            if self._slow is not None or self._running is not None:
                raise UserError("A picture is being taken in already; stop that first.")
            self._slow = _Slow(run)
            self.worker.changed.notify_all()

    def _take(self, picture: Picture, png: bytes, domain: DomainWish, history: History | None = None) -> None:
        session = self._session_for(domain)
        self._progress("Looking for the face", 0, 1)
        notes = session.set_image(picture)
        memory = session.memory()
        info = Info(FORMAT, picture.name, self.fingerprint, tuple(notes))
        self.folder.write_picture(info, png, memory)
        self._open(session, info, picture, history or History(), None)

    def _session_for(self, domain: DomainWish) -> EditSession:
        networks = self.networks
        if domain in networks.generators:
            one = next(name for name in DOMAINS if name == domain)
            networks = replace(networks, generators={one: networks.generators[one]})
        elif domain != "auto":
            raise UserError(f"The generator of the {domain} domain is not installed; choose another domain.")
        return EditSession(domain, networks=networks, effort=self.effort, progress=self._progress)

    def _reopen(self) -> None:
        project = self.folder.read()
        if project.info.networks != self.fingerprint:
            # the weights were changed since: the edit holds, the codes do not
            self._take(project.picture, to_png(project.picture.pixels), "auto", project.history)
            self._say(Problem("This work was made with other networks; its picture was taken in anew, and may look different."))
            return
        session = self._session_for("auto")
        session.recall(project.picture, project.memory)
        self._open(session, project.info, project.picture, project.history, project)

    def _open(self, session: EditSession, info: Info, picture: Picture, history: History, project: Project | None) -> None:
        with self.worker.changed:
            self._session = session
            self._subject = _Subject(info, picture)
            self.history = history
            self.values = dict(project.values if project is not None else history.current.values)
            self._touch(True)
            self._running = None  # whoever hears of it may ask for more at once
            self._say(self._opened(self._subject))
            self._say(self._edited())

    # -- what the page is told --------------------------------------------------------------------------------------

    def _opened(self, subject: _Subject) -> Opened:
        height, width = subject.picture.pixels.shape[:2]
        return Opened(subject.info.name, self._session.domain, width, height, subject.info.notes)

    def _edited(self) -> Edited:
        steps = self.history.steps
        first = max(0, min(len(steps) - _MOST_SENT, self.history.position - _MOST_SENT // 2))
        return Edited(
            dict(self.values),
            readings(apply(self._session.params, self.values), self.values),
            tuple(Entry(step.number, step.label) for step in steps[first : first + _MOST_SENT]),
            self.history.current.number,
            self.history.can_undo or self.values != self.history.current.values,
            self.history.can_redo,
        )

    def _frame(
        self, kind: FrameKind, entry: int = 0, refined: bool = True, media: Literal["image/jpeg", "image/png"] = "image/jpeg"
    ) -> Frame:
        return Frame(kind, self._revision, refined, self._answers, entry, media)

    def _arm(self, values: Mapping[str, float]) -> None:
        self._session.reset()
        self._session.edit(values)

    def _progress(self, what: str, step: int, steps: int) -> None:
        """Told by the session between two steps of slow work."""
        running = self._running
        if running is not None and (running.cancelled or self.worker.stopping):
            raise _Cancelled
        self._say(Progress(what, step, steps))
        self.worker.give_way()

    # -- what the worker does ---------------------------------------------------------------------------------------

    def next_step(self, now: float) -> Step | None:
        """See `worker.Source`."""
        drawn, revision, subject = self._drawn, self._revision, self._subject
        choices: list[tuple[Urgency, bool, Callable[[], None]]] = []
        if subject is not None:
            waiting = 0.0 if self._unsaved_since is None else now - self._unsaved_since
            # the whole picture has no quick version, so it is drawn as often as there is time
            rested = self._settled or self._extent == "whole" or now - self._changed_at >= REST
            seen = bool(self.outlets)
            quick = seen and self._extent == "face" and drawn.preview < revision and drawn.refined < revision
            choices = [
                (Urgency.PREVIEW, quick, self._draw_preview),
                (Urgency.OVERDUE, waiting >= OVERDUE_AFTER, self._save),
                (Urgency.MODEL, seen and drawn.model_quick < revision and drawn.model < revision, self._draw_model_quick),
                (Urgency.REFINE, seen and not drawn.before, self._draw_before),
                (Urgency.REFINE, seen and rested and drawn.refined < revision, self._draw_refined),
                (Urgency.REFINE, seen and rested and drawn.model < revision, self._draw_model),
                (Urgency.SAVE, waiting >= KEEP_AFTER, self._save),
                (Urgency.THUMB, seen and self._thumb_is_wanted(), self._draw_thumb),
                (Urgency.JUDGE, seen and drawn.judged < revision and now - self._changed_at >= THINK, self._judge),
            ]
        if self._asked:
            choices.append((Urgency.ASKED, True, self._answer))
        if self._slow is not None and self._running is None:
            choices.append((Urgency.SLOW, True, self._run_slow))
        open_choices = [(urgency, run) for urgency, wanted, run in choices if wanted]
        if not open_choices:
            return None
        urgency, run = min(open_choices, key=lambda choice: choice[0])
        return Step(urgency, lambda: self._guarded(run))

    def due(self) -> float | None:
        """See `worker.Source`."""
        if self._subject is None:
            return None
        times = []
        if self._unsaved_since is not None:
            times.append(self._unsaved_since + KEEP_AFTER)
        if self.outlets:
            if self._drawn.refined < self._revision:
                times.append(self._changed_at + REST)
            if self._drawn.judged < self._revision:
                times.append(self._changed_at + THINK)
        return min(times) if times else None

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except UserError as error:
            self._say(Problem(str(error)))
        except Exception:
            # one session's failure must not end the thread that serves them all
            _log.exception("the studio failed at %s", getattr(run, "__name__", run))
            self._say(Problem("Something went wrong inside the program; the window in which it was started says what."))

    def _begin_drawing(self, mark: Callable[[_Drawn, int], None]) -> Frame:
        """Take down what is drawn, so that a change meanwhile is drawn again; marked first, so that a failure is not repeated for ever."""
        with self.worker.changed:
            mark(self._drawn, self._revision)
            self._arm(self.values)
            return self._frame("result")

    def _draw_preview(self) -> None:
        frame = self._begin_drawing(lambda drawn, revision: setattr(drawn, "preview", revision))
        picture = to_png(self._session.preview_crop())
        self._show(Frame("result", frame.revision, False, frame.answers, 0, "image/png"), picture)

    def _draw_refined(self) -> None:
        frame = self._begin_drawing(lambda drawn, revision: setattr(drawn, "refined", revision))
        self._show(frame, to_jpeg(self._picture()))

    def _draw_before(self) -> None:
        with self.worker.changed:
            self._drawn.before = True
            self._arm({})
            frame = self._frame("before")
        self._show(frame, to_jpeg(self._picture()))

    def _picture(self) -> Pixels:
        """What the person looks at, under the controls that the session is armed with."""
        return self._session.render_crop() if self._extent == "face" else fitted(self._session.render(), WIDEST)

    def _draw_model_quick(self) -> None:
        frame = self._begin_drawing(lambda drawn, revision: setattr(drawn, "model_quick", revision))
        picture = to_jpeg(self._session.rendering_of_model(MODEL_QUICK))
        self._show(Frame("model", frame.revision, False, frame.answers, 0, "image/jpeg"), picture)

    def _draw_model(self) -> None:
        frame = self._begin_drawing(lambda drawn, revision: setattr(drawn, "model", revision))
        picture = to_jpeg(self._session.rendering_of_model(MODEL_SIZE))
        self._show(Frame("model", frame.revision, True, frame.answers, 0, "image/jpeg"), picture)

    def _thumb_is_wanted(self) -> bool:
        current = self.history.current
        return self._settled and current.number not in self._thumbs and self.values == current.values

    def _draw_thumb(self) -> None:
        with self.worker.changed:
            self._arm(self.values)
            frame = self._frame("thumb", self.history.current.number)
        thumb = to_jpeg(fitted(self._session.render_crop(), THUMB), 85)
        with self.worker.changed:
            self._thumbs[frame.entry] = thumb
            if len(self._thumbs) > _MOST_SENT:
                del self._thumbs[min(self._thumbs)]
        self._show(frame, thumb)

    def _judge(self) -> None:
        frame = self._begin_drawing(lambda drawn, revision: setattr(drawn, "judged", revision))
        judgement = self._session.judged()
        rows = tuple(Meter(name, change.commanded, change.judged, change.unit) for name, change in judgement.attributes.items())
        self._say(Meters(frame.revision, rows))

    def _save(self) -> None:
        with self.worker.changed:
            self._unsaved_since = None
            revision, values = self._revision, dict(self.values)
            history = History(list(self.history.steps), self.history.position, self.history.last_number)
        try:
            self.folder.write_history(history, values)
        except OSError as error:
            raise UserError(f"The work could not be kept in {self.folder.path.parent} ({error.strerror}); make room there.") from error
        self._drawn.saved = revision
        self._say(Saved(revision))

    def _run_slow(self) -> None:
        with self.worker.changed:
            slow, self._slow = self._slow, None
            self._running = slow
        try:
            if slow is not None:
                slow.run()
        except _Cancelled:
            self._say(Stopped())
        except OSError as error:
            raise UserError(f"The work could not be kept in {self.folder.path.parent} ({error.strerror}); make room there.") from error
        finally:
            self._running = None

    def _answer(self) -> None:
        with self.worker.changed:
            run = self._asked.pop(0)
        run()

    # -- pictures go out --------------------------------------------------------------------------------------------

    def ask(self, work: Callable[[], T]) -> Future[T]:
        """Have something computed on the worker's thread."""
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)

        with self.worker.changed:
            self._asked.append(run)
            self.worker.changed.notify_all()
        return future

    def export(self, ending: str) -> Future[bytes]:
        """The edited picture as a file, at the size of the picture given, with what was done to it."""
        return self.ask(lambda: self._export(ending))

    def _export(self, ending: str) -> bytes:
        with self.worker.changed:
            if self._subject is None:
                raise UserError("There is no picture yet; choose one first.")
            values = dict(self.values)
            self._arm(values)
        recipe = json.dumps({"domain": self._session.domain, "controls": values})
        return encode_picture(self._session.render(), DigitalSource.EDITED, ending, recipe)

    def face(self) -> Future[bytes]:
        """The 3D face under the edit as OBJ."""
        return self.ask(self._face)

    def _face(self) -> bytes:
        with self.worker.changed:
            if self._subject is None:
                raise UserError("There is no picture yet; choose one first.")
            params = apply(self._session.params, self.values)
        return obj_text(self.networks.model, params).encode()

    def project(self) -> Future[bytes]:
        """The whole work as one zip."""
        return self.ask(self._project)

    def _project(self) -> bytes:
        if self._subject is None:
            raise UserError("There is no picture yet; choose one first.")
        self._save()
        return self.folder.zip()

    # -- clips ------------------------------------------------------------------------------------------------------

    def _start_clip(self, wish: MakeClip) -> None:
        clips.check_clip(wish)
        if self._slow is not None or self._running is not None:
            raise UserError("A clip is being made already; stop it first.")
        extent = self._extent
        self._slow = _Slow(lambda: self._make_clip(wish, extent))

    def _make_clip(self, wish: MakeClip, extent: Extent) -> None:
        rest = readings(self._session.params, {})
        path = clips.path_of(wish.keyframes, wish.easing, wish.frames_per_second, rest)

        def frames() -> Iterator[Pixels]:
            for index, values in enumerate(path):
                self._progress("Making the clip", index, len(path))  # others may have armed the session meanwhile
                self._arm(values)
                yield self._session.render_crop() if extent == "face" else fitted(self._session.render(), WIDEST)

        content = clips.write_clip(frames(), wish)
        self.clip = Clip(content, self.name, clips.ENDINGS[wish.format])
        self._running = None
        self._say(ClipReady(f"{self.name}{self.clip.ending}", len(path)))
