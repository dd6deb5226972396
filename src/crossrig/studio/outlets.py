"""The pages that look on at one session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from crossrig.studio.protocol import Frame, ServerMessage


class Outlet(Protocol):
    """A page that looks on. Called on any thread."""

    def say(self, message: ServerMessage) -> None: ...

    def show(self, frame: Frame, picture: bytes) -> None: ...


@dataclass
class Outlets:
    """All of them; it is true while there is one."""

    pages: set[Outlet] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.pages)

    def say(self, message: ServerMessage) -> None:
        for page in tuple(self.pages):
            page.say(message)

    def show(self, frame: Frame, picture: bytes) -> None:
        for page in tuple(self.pages):
            page.show(frame, picture)
