"""Which pictures a session owes its pages, and drawing them: a quick answer first, a refined one when the hand rests."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from crossrig.side import beside
from crossrig.studio.outlets import Outlet, Outlets
from crossrig.studio.pictures import THUMB, fitted, to_jpeg
from crossrig.studio.protocol import Frame, FrameKind, Meter, Meters
from crossrig.studio.work import Work
from crossrig.studio.worker import Choice, Urgency

REST = 0.15
"""Seconds without a new value after which a picture is refined although the hand holds on; from the preview, for which it waited."""
THINK = 0.6
"""Seconds of rest after which the judge looks."""
MODEL_EVERY = 0.12
"""Seconds from one quick picture of the 3D face to the next: while it is drawn, the preview for which the hand waits takes longer."""
MODEL_SIZE = 256
"""Pixels of the picture of the 3D face."""
MODEL_QUICK = 160
MOST_THUMBS = 200


@dataclass
class _Drawn:
    """Revisions up to which things are done."""

    preview: int = -1
    model_quick: int = -1
    model: int = -1
    refined: int = -1
    before: bool = False
    judged: int = -1


class Drawing:
    """Nothing is queued: what to draw follows from what is set now and from what was drawn last."""

    def __init__(self, work: Work, outlets: Outlets) -> None:
        self._work = work
        self._outlets = outlets
        self._drawn = _Drawn()
        self._thumbs: dict[int, bytes] = {}
        self._model: Future[None] | None = None
        """The quick picture of the 3D face that is being drawn."""
        self._previewed_at = 0.0
        self._model_at = 0.0
        self.answers = 0
        """Number of the `SetControls` of the latest page that was the last to be seen."""

    def begin(self, outlet: Outlet) -> None:
        """Show a page that has just come everything there is."""
        self.answers = 0
        for number, thumb in self._thumbs.items():
            outlet.show(self._frame("thumb", number), thumb)
        # the refined picture comes at once
        self._drawn = _Drawn(preview=self._drawn.preview)

    def show_anew(self) -> None:
        """The person looks at another part of the picture."""
        self._drawn.refined, self._drawn.before = -1, False

    def choices(self, now: float) -> list[Choice]:
        """What the worker may do, at a moment of `time.monotonic`."""
        work, drawn = self._work, self._drawn
        if work.found is None or not self._outlets:
            return []
        edits, revision = work.edits, work.edits.revision
        # the whole picture has no quick version, so it is drawn as often as there is time
        rested = edits.settled or work.extent == "whole" or now >= self._rested_at
        quick = work.extent == "face" and drawn.preview < revision and drawn.refined < revision
        wanted: list[tuple[bool, Urgency, Callable[[], None]]] = [
            (quick, Urgency.PREVIEW, self._draw_preview),
            (self._model_is_behind and now >= self._model_at + MODEL_EVERY, Urgency.MODEL, self._draw_model_quick),
            (not drawn.before, Urgency.REFINE, self._draw_before),
            (rested and drawn.refined < revision, Urgency.REFINE, self._draw_refined),
            (rested and drawn.model < revision, Urgency.REFINE, self._draw_model),
            (self._thumb_is_wanted(), Urgency.THUMB, self._draw_thumb),
            (drawn.judged < revision and now - edits.changed_at >= THINK, Urgency.JUDGE, self._judge),
        ]
        return [Choice(urgency, run) for is_wanted, urgency, run in wanted if is_wanted]

    @property
    def _rested_at(self) -> float:
        return max(self._work.edits.changed_at, self._previewed_at) + REST

    @property
    def _model_is_behind(self) -> bool:
        return max(self._drawn.model_quick, self._drawn.model) < self._work.edits.revision

    def due(self) -> list[float]:
        """When there will be something to do although nothing happens until then."""
        if self._work.found is None or not self._outlets:
            return []
        edits, times = self._work.edits, []
        if self._drawn.refined < edits.revision:
            times.append(self._rested_at)
        if self._model_is_behind:
            times.append(self._model_at + MODEL_EVERY)
        if self._drawn.judged < edits.revision:
            times.append(edits.changed_at + THINK)
        return times

    def _frame(self, kind: FrameKind, entry: int = 0) -> Frame:
        return Frame(kind, self._work.edits.revision, True, self.answers, entry)

    def _begin_drawing(self, mark: Callable[[_Drawn, int], None]) -> Frame:
        """Take down what is drawn, so that a change meanwhile is drawn again; marked first, so that a failure is not repeated for ever."""
        with self._work.worker.changed:
            mark(self._drawn, self._work.edits.revision)
            self._work.arm(self._work.edits.values)
            return self._frame("result")

    def _draw_preview(self) -> None:
        frame = self._begin_drawing(lambda drawn, revision: setattr(drawn, "preview", revision))
        self._outlets.show(replace(frame, refined=False), to_jpeg(self._work.session.preview_crop()))
        self._previewed_at = self._work.edits.clock()

    def _draw_refined(self) -> None:
        frame = self._begin_drawing(lambda drawn, revision: setattr(drawn, "refined", revision))
        self._outlets.show(frame, to_jpeg(self._work.picture()))

    def _draw_before(self) -> None:
        with self._work.worker.changed:
            self._drawn.before = True
            self._work.arm({})
            frame = self._frame("before")
        self._outlets.show(frame, to_jpeg(self._work.picture()))

    def _draw_model_quick(self) -> None:
        """Beside what comes next."""
        frame = self._begin_drawing(lambda drawn, revision: setattr(drawn, "model_quick", revision))
        draw = self._work.session.model_drawing(MODEL_QUICK, smooth=False)
        self._model = beside(lambda: self._outlets.show(replace(frame, kind="model", refined=False), to_jpeg(draw())))
        self._model_at = self._work.edits.clock()

    def _draw_model(self) -> None:
        frame = self._begin_drawing(lambda drawn, revision: setattr(drawn, "model", revision))
        if self._model is not None:
            self._model.result()  # an older picture must not come later
            self._model = None
        self._outlets.show(replace(frame, kind="model"), to_jpeg(self._work.session.rendering_of_model(MODEL_SIZE)))

    def _thumb_is_wanted(self) -> bool:
        edits = self._work.edits
        current = edits.history.current
        return edits.settled and current.number not in self._thumbs and edits.values == current.values

    def _draw_thumb(self) -> None:
        work = self._work
        with work.worker.changed:
            work.arm(work.edits.values)
            frame = self._frame("thumb", work.edits.history.current.number)
        thumb = to_jpeg(fitted(work.session.render_crop(), THUMB), 85)
        with work.worker.changed:
            self._thumbs[frame.entry] = thumb
            if len(self._thumbs) > MOST_THUMBS:
                del self._thumbs[min(self._thumbs)]
        self._outlets.show(frame, thumb)

    def _judge(self) -> None:
        frame = self._begin_drawing(lambda drawn, revision: setattr(drawn, "judged", revision))
        judgement = self._work.session.judged()
        changes = judgement.attributes | {"identity": judgement.identity}
        rows = tuple(Meter(name, change.commanded, change.judged, change.unit) for name, change in changes.items())
        self._outlets.say(Meters(frame.revision, rows))
