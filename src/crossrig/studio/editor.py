"""One person's picture: puts together what is set, what is still to be drawn and kept, and what was asked for.

Messages only change what is wanted (on the server's thread, with the worker's lock held); :meth:`Editor.next_step` tells the worker what
to do about it, and only the worker's thread lets the `EditSession` compute. Nothing is queued, so a newer value of a slider replaces an
older one that was not drawn yet.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TypeVar

from crossrig.data.align import Crop
from crossrig.data.pictures import Picture
from crossrig.errors import UserError
from crossrig.face3d.controls import CONTROLS, check_value
from crossrig.rig.solve import LandmarkSolver
from crossrig.session import EditSession, Effort, Networks
from crossrig.studio import exports, panel
from crossrig.studio.copying import Copying
from crossrig.studio.domain_view import DomainView
from crossrig.studio.drawing import Drawing
from crossrig.studio.errands import Errands
from crossrig.studio.filming import Clip, Filming
from crossrig.studio.handles import HandleWork
from crossrig.studio.intake import Intake
from crossrig.studio.keeping import Keeper
from crossrig.studio.outlets import Outlet, Outlets
from crossrig.studio.project import ProjectFolder
from crossrig.studio.protocol import (
    ApplyLook,
    Attribute,
    ClearControls,
    ClientMessage,
    DomainWish,
    DragHandle,
    GoTo,
    Lock,
    MakeClip,
    PickFace,
    PlaceFace,
    PreviewClip,
    Problem,
    Redo,
    Reset,
    SetControls,
    Show,
    ShowDomains,
    ShowHandles,
    Undo,
    UseLook,
    UseSample,
)
from crossrig.studio.slow import SlowWork
from crossrig.studio.work import Work
from crossrig.studio.worker import Step, Worker

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Editor:
    """A session of the studio."""

    def __init__(self, worker: Worker, networks: Networks, fingerprint: str, folder: ProjectFolder, effort: Effort) -> None:
        self.worker = worker
        self.folder = folder
        self.last_seen = time.monotonic()
        self._outlets = Outlets()
        self._slow = SlowWork(worker, self._outlets)
        self._errands = Errands(worker)
        self._work = Work(worker, EditSession("auto", networks=networks, effort=effort, progress=self._slow.progress))
        self._drawing = Drawing(self._work, self._outlets)
        self._keeper = Keeper(self._work, self._outlets, folder)
        self._intake = Intake(self._work, self._outlets, self._slow, folder, networks, fingerprint, effort)
        self._handles = HandleWork(self._work, self._outlets, LandmarkSolver(networks.model))
        self._domains = DomainView(self._work, self._outlets, networks)
        self._copying = Copying(self._work, self._outlets, self._slow)
        self._filming = Filming(self._work, self._outlets, self._slow)

    # -- what others want to know -----------------------------------------------------------------------------------

    @property
    def has_picture(self) -> bool:
        return self._work.found is not None

    @property
    def busy(self) -> bool:
        """Whether it must not be forgotten now."""
        return bool(self._outlets or self._slow.busy or self._errands or self._work.edits.unsaved_since is not None)

    @property
    def name(self) -> str:
        """What the picture is called."""
        return self._work.name

    @property
    def values(self) -> Mapping[str, float]:
        """The controls that are set."""
        return self._work.edits.values

    @property
    def cut(self) -> Crop:
        """Where in the picture the head was cut out. Raises UserError before there is one."""
        return self._work.session.cut

    @property
    def clip(self) -> Clip | None:
        """The last clip that was made."""
        return self._filming.clip

    # -- pages ------------------------------------------------------------------------------------------------------

    def attach(self, outlet: Outlet) -> None:
        """Tell a page everything, now and from now on."""
        with self.worker.changed:
            self._outlets.pages.add(outlet)
            if self.has_picture:
                outlet.say(self._work.opened())
                outlet.say(self._work.edited())
            self._intake.begin(outlet)
            self._drawing.begin(outlet)
            self._domains.show_anew()
            self.worker.changed.notify_all()

    def detach(self, outlet: Outlet) -> None:
        """A page is gone."""
        with self.worker.changed:
            self._outlets.pages.discard(outlet)
            self.last_seen = time.monotonic()

    # -- what a page says -------------------------------------------------------------------------------------------

    def receive(self, message: ClientMessage) -> None:
        """Change what is wanted. Raises UserError when that is not possible; then nothing is changed."""
        with self.worker.changed:
            self._receive(message)
            self._handles.tell()
            self.worker.changed.notify_all()

    def _receive(self, message: ClientMessage) -> None:
        match message:
            case Show(extent):
                self._work.extent = extent
                self._drawing.show_anew()
                return
            case PickFace() | PlaceFace():
                self._intake.answer(message)
                return
            case UseSample(seed, domain):
                self._intake.sample(seed, domain)
                return
            case ShowDomains():
                self._domains.wish(message)
                return
            case ShowHandles(on):
                self._handles.on = on
                return
            case MakeClip():
                _ = self._work.subject
                self._filming.begin(message)
                return
            case PreviewClip():
                _ = self._work.subject
                self._filming.preview(message)
                return
        _ = self._work.subject
        if self._edit(message):
            self._outlets.say(self._work.edited())

    def _edit(self, message: ClientMessage) -> bool:
        """Change the edit; whether the pages are to be told."""
        edits = self._work.edits
        match message:
            case SetControls(values, settled):
                for name, value in values.items():
                    check_value(name, value)
                self._drawing.answers += 1
                return edits.change(values, settled)
            case DragHandle():
                return self._handles.drag(message)
            case ClearControls(names):
                for name in names:
                    if name not in CONTROLS:
                        raise UserError(f'There is no control "{name[:40]}".')
                edits.replace({name: value for name, value in edits.values.items() if name not in names})
            case ApplyLook(name):
                look = panel.look(name)
                kept = {name: value for name, value in edits.values.items() if name not in look.clears}
                edits.replace_unlocked(kept | look.values_for(self._work.session.params), look.info.title)
            case UseLook(title, values):
                for name, value in values.items():
                    check_value(name, value)
                kept = {name: value for name, value in edits.values.items() if name not in values}
                edits.replace_unlocked(kept | dict(values), title[:40] or "Look")
            case Lock(attribute, on):
                edits.lock(attribute, on)
            case Reset():
                edits.replace_unlocked({}, "Reset")
            case Undo() | Redo() | GoTo():
                edits.travel(message)
            case _:
                raise UserError(f"A session with a picture does not take {type(message).__name__}.")
        return True

    def cancel(self) -> None:
        """Stop slow work, also before it began."""
        with self.worker.changed:
            self._slow.cancel()
            self._intake.withdraw()

    # -- pictures come in -------------------------------------------------------------------------------------------

    def take(self, picture: Picture, png: bytes, domain: DomainWish, ask: bool = False) -> None:
        """Take a picture in, which takes its time; ``ask`` which face in any case. Raises UserError when there is a picture already."""
        with self.worker.changed:
            self._intake.take(picture, png, domain, ask)
            self.worker.changed.notify_all()

    def reopen(self) -> None:
        """Go on with what the folder holds."""
        with self.worker.changed:
            self._intake.reopen()
            self.worker.changed.notify_all()

    def copy(self, picture: Picture, attribute: Attribute) -> None:
        """Set an attribute of another picture. Raises UserError when that is not possible now."""
        with self.worker.changed:
            self._copying.begin(picture, attribute)
            self.worker.changed.notify_all()

    # -- files go out -----------------------------------------------------------------------------------------------

    def ask(self, work: Callable[[], T]) -> Future[T]:
        """Have something computed on the worker's thread."""
        return self._errands.ask(work)

    def export(self, ending: str) -> Future[bytes]:
        """The edited picture as a file."""
        return self.ask(lambda: exports.picture_file(self._work, ending))

    def face(self, ending: str) -> Future[bytes]:
        """The 3D face under the edit as a file."""
        return self.ask(lambda: exports.face_file(self._work, ending))

    def project(self) -> Future[bytes]:
        """The whole work as one zip."""
        return self.ask(self._project)

    def _project(self) -> bytes:
        _ = self._work.subject
        self._keeper.save()
        return self.folder.zip()

    # -- what the worker does ---------------------------------------------------------------------------------------

    def next_step(self, now: float) -> Step | None:
        """See `worker.Source`."""
        drawing = (*self._drawing.choices(now), *self._domains.choices(now))
        choices = [*drawing, *self._keeper.choices(now), *self._errands.choices(), *self._slow.choices()]
        if not choices:
            return None
        urgency, run = min(choices, key=lambda choice: choice.urgency)
        return Step(urgency, lambda: self._guarded(run))

    def due(self) -> float | None:
        """See `worker.Source`."""
        return min((*self._keeper.due(), *self._drawing.due()), default=None)

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except UserError as error:
            self._outlets.say(Problem(str(error)))
        except Exception:
            # one session's failure must not end the thread that serves them all
            _log.exception("the studio failed at %s", getattr(run, "__name__", run))
            self._outlets.say(Problem("Something went wrong inside the program; the window in which it was started says what."))
