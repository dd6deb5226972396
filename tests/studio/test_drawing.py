"""What is drawn when, told by a clock that stands still until it is moved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from crossrig.face3d.params import FaceParams
from crossrig.side import beside
from crossrig.studio.drawing import MODEL_EVERY, REST, THINK, Drawing
from crossrig.studio.edits import Edits
from crossrig.studio.outlets import Outlets
from crossrig.studio.protocol import Frame, ServerMessage
from crossrig.studio.work import Work
from crossrig.studio.worker import Urgency, Worker


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Session:
    """Draws at once, or takes as long as it is told."""

    clock: Clock
    preview_seconds: float = 0.0
    params: FaceParams = field(default_factory=FaceParams.neutral)

    def reset(self) -> None: ...

    def edit(self, values: dict[str, float]) -> None: ...

    def preview_crop(self) -> NDArray[np.uint8]:
        self.clock.now += self.preview_seconds
        return np.zeros((4, 4, 3), np.uint8)

    def render_crop(self) -> NDArray[np.uint8]:
        return np.zeros((8, 8, 3), np.uint8)

    def model_drawing(self, size: int, smooth: bool) -> Any:
        return lambda: np.zeros((4, 4, 3), np.uint8)

    def rendering_of_model(self, size: int) -> NDArray[np.uint8]:
        return np.zeros((4, 4, 3), np.uint8)


class Page:
    def __init__(self) -> None:
        self.frames: list[tuple[str, int, bool]] = []

    def say(self, message: ServerMessage) -> None: ...

    def show(self, frame: Frame, picture: bytes) -> None:
        self.frames.append((frame.kind, frame.revision, frame.refined))


@dataclass
class Desk:
    """A page before a drawing of which everything but the edit is done."""

    clock: Clock
    edits: Edits
    session: Session
    page: Page
    drawing: Drawing

    def drag(self) -> None:
        """The hand moves on."""
        self.edits.change({"yaw": self.edits.revision % 30}, settled=False)

    def most_urgent(self) -> Urgency | None:
        """What would be done now; judging is left out."""
        choices = [choice for choice in self.drawing.choices(self.clock.now) if choice.urgency not in (Urgency.JUDGE, Urgency.THUMB)]
        return min((choice.urgency for choice in choices), default=None)

    def work(self) -> None:
        """Do all that there is to do at this moment."""
        while (urgency := self.most_urgent()) is not None:
            next(choice for choice in self.drawing.choices(self.clock.now) if choice.urgency == urgency).run()
        beside(lambda: None).result()  # what was begun beside is done


@pytest.fixture
def desk() -> Desk:
    clock, page = Clock(), Page()
    session, edits = Session(clock), Edits(clock)
    work = Work(Worker(), cast(Any, session), edits, found=cast(Any, object()))
    desk = Desk(clock, edits, session, page, Drawing(work, Outlets({page})))
    desk.work()
    clock.now += 10.0
    page.frames.clear()
    return desk


def test_a_drag_gets_a_preview_and_the_face_and_after_a_rest_the_refined_picture(desk: Desk) -> None:
    desk.drag()
    revision = desk.edits.revision
    desk.work()
    assert desk.page.frames == [("result", revision, False), ("model", revision, False)]
    assert min(desk.drawing.due()) == pytest.approx(desk.clock.now + REST)
    desk.clock.now += REST + 0.001
    desk.work()
    assert desk.page.frames[2:] == [("result", revision, True), ("model", revision, True)]
    assert desk.drawing.due() == [pytest.approx(desk.edits.changed_at + THINK)]


def test_a_hand_that_waits_for_a_slow_preview_does_not_rest_meanwhile(desk: Desk) -> None:
    """Else every preview is followed by a refined picture, and makes the hand wait for the next again."""
    desk.session.preview_seconds = 2 * REST
    for _ in range(3):
        desk.drag()
        desk.work()
        assert ("result", desk.edits.revision, True) not in desk.page.frames
        desk.clock.now += 0.02  # the picture is seen, and the hand moves on
    desk.clock.now += REST
    desk.work()
    assert ("result", desk.edits.revision, True) in desk.page.frames


def test_a_hand_that_lets_go_gets_the_refined_picture_at_once(desk: Desk) -> None:
    desk.edits.change({"yaw": 5.0}, settled=True)
    desk.work()
    assert ("result", desk.edits.revision, True) in desk.page.frames


def test_the_face_follows_a_drag_now_and_then_and_catches_up(desk: Desk) -> None:
    started, drags = desk.clock.now, 0
    while desk.clock.now < started + 5 * MODEL_EVERY:
        desk.drag()
        desk.work()
        drags += 1
        desk.clock.now += MODEL_EVERY / 6
    faces = [revision for kind, revision, _ in desk.page.frames if kind == "model"]
    assert len([1 for kind, _, refined in desk.page.frames if kind == "result" and not refined]) == drags
    assert 4 <= len(faces) <= 6
    assert faces == sorted(faces)
    due = min(desk.drawing.due())
    assert due <= started + 6 * MODEL_EVERY
    desk.clock.now = due
    desk.work()
    assert ("model", desk.edits.revision, False) in desk.page.frames
