"""Handles on the picture: landmarks of the face that a hand drags, and the expression or the shape follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crossrig.errors import UserError
from crossrig.face3d.controls import apply
from crossrig.face3d.landmarks import LANDMARK_NAMES
from crossrig.face3d.params import FaceParams
from crossrig.rig.solve import LandmarkSolver, expression_variables, shape_variables
from crossrig.studio.outlets import Outlets
from crossrig.studio.protocol import DragHandle, Handle, HandleFollows, Handles
from crossrig.studio.work import Work

TITLES: Mapping[str, str] = {
    "mouth_outer_0": "Corner of the mouth on the left", "mouth_outer_6": "Corner of the mouth on the right",
    "mouth_outer_3": "Upper lip", "mouth_outer_9": "Lower lip",
    "brow_right_0": "Outer end of the left brow", "brow_right_2": "Middle of the left brow", "brow_right_4": "Inner end of the left brow",
    "brow_left_0": "Inner end of the right brow", "brow_left_2": "Middle of the right brow", "brow_left_4": "Outer end of the right brow",
    "jaw_4": "Jaw on the left", "jaw_8": "Chin", "jaw_12": "Jaw on the right",
}  # fmt: skip
"""Landmark -> what the handle is called; left and right as one looks at the picture."""

_SEEN = 1e-3
"""Change of a control, in its unit, below which it is not set."""


@dataclass(frozen=True)
class _Drag:
    """Where a drag began: every place of the hand is answered from there, so that a drag there and back changes nothing."""

    name: str
    what: HandleFollows
    values: dict[str, float]
    face: FaceParams
    revision: int
    """Of the edit after the last place of the hand; another means that something else was changed meanwhile."""


class HandleWork:
    """The handles of one session. It only computes with a few points, so messages are answered at once."""

    def __init__(self, work: Work, outlets: Outlets, solver: LandmarkSolver) -> None:
        self._work = work
        self._outlets = outlets
        self._solver = solver
        self._drag: _Drag | None = None
        self.on = False
        """Whether a page shows them."""

    def tell(self) -> None:
        """Tell the pages where the handles are now, if one shows them."""
        if not self.on or self._work.found is None:
            return
        work = self._work
        points = self._solver.points(apply(work.session.params, work.edits.values))
        places = self._shares(points.cpu().numpy())
        handles = tuple(Handle(name, title, *places[LANDMARK_NAMES.index(name)].tolist()) for name, title in TITLES.items())
        self._outlets.say(Handles(work.edits.revision, handles))

    def drag(self, message: DragHandle) -> bool:
        """Move the controls so that a handle comes where the hand is; True when that is a step of the history. Raises UserError."""
        if message.name not in TITLES:
            raise UserError(f'There is no handle "{message.name[:40]}"; there are {", ".join(TITLES)}.')
        work, drag = self._work, self._drag
        if drag is None or (drag.name, drag.what, drag.revision) != (message.name, message.what, work.edits.revision):
            values = dict(work.edits.values)
            drag = _Drag(message.name, message.what, values, apply(work.session.params, values), -1)
        wanted = {message.name: self._place(message.x, message.y)}
        kind = self._work.session.networks.model.expression_kind
        if message.what == "expression":
            variables = expression_variables(drag.face, kind, drag.values)
        else:
            variables = shape_variables(drag.face, drag.values)
        found = self._solver.solve(drag.face, variables, wanted, tuple(TITLES))
        moved = {
            name: value
            for name, value, before in zip(variables.names, found.tolist(), variables.start.tolist(), strict=True)
            if abs(value - before) > _SEEN
        }
        kept = {name: value for name, value in drag.values.items() if name not in moved}
        settled = work.edits.assign(kept | moved, message.settled)
        self._drag = None if settled else _Drag(drag.name, drag.what, drag.values, drag.face, work.edits.revision)
        return settled

    def _shares(self, ndc: np.ndarray) -> np.ndarray:
        """Places (n, 2) in the camera's picture -> shares of the width and height of the picture that is looked at."""
        if self._work.extent == "face":
            return np.stack([(ndc[:, 0] + 1) / 2, (1 - ndc[:, 1]) / 2], axis=1)
        height, width = self._work.subject.picture.pixels.shape[:2]
        return self._work.session.cut.to_picture(ndc) / (width, height)

    def _place(self, x: float, y: float) -> tuple[float, float]:
        """The inverse of `_shares`, for one place, held near the head."""
        if self._work.extent == "face":
            place = np.array([2 * x - 1, 1 - 2 * y])
        else:
            height, width = self._work.subject.picture.pixels.shape[:2]
            place = self._work.session.cut.from_picture(np.array([x * width, y * height]))
        across, up = np.clip(place, -2.0, 2.0).tolist()
        return across, up
