"""What the parts of an editor share: the picture, what is set on it, and the session that computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from crossrig.data.pictures import Picture
from crossrig.errors import UserError
from crossrig.face3d.controls import apply
from crossrig.face3d.readings import readings
from crossrig.session import EditSession
from crossrig.studio.edits import Edits
from crossrig.studio.pictures import WIDEST, fitted
from crossrig.studio.project import Info
from crossrig.studio.protocol import Edited, Extent, Opened
from crossrig.studio.worker import Worker

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Subject:
    """The picture under edit."""

    info: Info
    picture: Picture


@dataclass(eq=False)
class Work:
    """Changed with the worker's lock held; only the worker's thread lets the session compute."""

    worker: Worker
    session: EditSession
    edits: Edits = field(default_factory=Edits)
    found: Subject | None = None
    extent: Extent = "face"
    """What of the picture is looked at."""

    @property
    def subject(self) -> Subject:
        """Raises UserError before there is one."""
        if self.found is None:
            raise UserError("There is no picture yet; choose one first.")
        return self.found

    @property
    def name(self) -> str:
        """What the picture is called."""
        return self.found.info.name if self.found is not None else "picture"

    def arm(self, values: Mapping[str, float]) -> None:
        """Let the session's next picture be one under these controls."""
        self.session.reset()
        self.session.edit(values)

    def picture(self) -> Pixels:
        """What the person looks at, under the controls that the session is armed with."""
        return self.session.render_crop() if self.extent == "face" else fitted(self.session.render(), WIDEST)

    def opened(self) -> Opened:
        """What a page is told of the picture."""
        subject = self.subject
        height, width = subject.picture.pixels.shape[:2]
        return Opened(subject.info.name, self.session.domain, width, height, subject.info.notes)

    def edited(self) -> Edited:
        """What a page is told of the edit."""
        values = self.edits.values
        return self.edits.message(readings(apply(self.session.params, values), values))
