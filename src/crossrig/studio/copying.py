"""An attribute of another picture - its light, its expression ... - set on the picture under edit."""

from __future__ import annotations

from crossrig.data.pictures import Picture
from crossrig.errors import UserError
from crossrig.face3d.controls import CONTROLS
from crossrig.face3d.transfer import controls_of
from crossrig.studio.outlets import Outlets
from crossrig.studio.panel import GROUPS
from crossrig.studio.protocol import Attribute, Copied
from crossrig.studio.slow import SlowWork
from crossrig.studio.work import Work


class Copying:
    """Reads the other picture with the reconstruction network, and sets what it reads; the other picture is not kept."""

    def __init__(self, work: Work, outlets: Outlets, slow: SlowWork) -> None:
        self._work = work
        self._outlets = outlets
        self._slow = slow

    def begin(self, picture: Picture, attribute: Attribute) -> None:
        """Have it done. Raises UserError before there is a picture, for a locked attribute, and while there is other slow work."""
        _ = self._work.subject
        if attribute in self._work.edits.locked:
            raise UserError(f"{GROUPS[attribute]} is locked; unlock it first.")
        self._slow.begin(lambda: self._copy(picture, attribute), "Something slow is under way; wait for its end, or stop it first.")

    def _copy(self, picture: Picture, attribute: Attribute) -> None:
        work = self._work
        self._slow.progress("Reading the picture", 0, 1)
        face, notes = work.session.read(picture)
        values = controls_of(attribute, work.session.params, face)
        with work.worker.changed:
            others = {name: value for name, value in work.edits.values.items() if CONTROLS[name].attribute != attribute}
            work.edits.replace_unlocked(others | values, f"{GROUPS[attribute]} of {picture.name}")
            self._slow.end()
            self._outlets.say(Copied(attribute, tuple(notes)))
            self._outlets.say(work.edited())
