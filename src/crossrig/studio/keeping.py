"""Keeping the work on disk while it goes on: a moment after each change, and before drawing when drawing does not end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from crossrig.errors import UserError
from crossrig.studio.history import History
from crossrig.studio.outlets import Outlets
from crossrig.studio.project import ProjectFolder
from crossrig.studio.protocol import Saved
from crossrig.studio.work import Work
from crossrig.studio.worker import Choice, Urgency

KEEP_AFTER = 0.4
"""Seconds after a change when it is written to disk."""
OVERDUE_AFTER = 0.7
"""Seconds after which that goes before drawing."""


class Keeper:
    """Writes the edit of one session into its folder."""

    def __init__(self, work: Work, outlets: Outlets, folder: ProjectFolder) -> None:
        self._work = work
        self._outlets = outlets
        self._folder = folder

    def choices(self, now: float) -> list[Choice]:
        """What the worker may do, at a moment of `time.monotonic`."""
        since = self._work.edits.unsaved_since
        if self._work.found is None or since is None or now - since < KEEP_AFTER:
            return []
        return [Choice(Urgency.OVERDUE if now - since >= OVERDUE_AFTER else Urgency.SAVE, self.save)]

    def due(self) -> list[float]:
        """When there will be something to do although nothing happens until then."""
        since = self._work.edits.unsaved_since
        return [] if self._work.found is None or since is None else [since + KEEP_AFTER]

    def save(self) -> None:
        """Write everything that is set. Raises UserError when there is no room for it."""
        edits = self._work.edits
        with self._work.worker.changed:
            edits.unsaved_since = None
            revision, values, locked = edits.revision, dict(edits.values), edits.locked_in_order
            history = History(list(edits.history.steps), edits.history.position, edits.history.last_number)
        with written_to(self._folder):
            self._folder.write_history(history, values, locked)
        self._outlets.say(Saved(revision))


@contextlib.contextmanager
def written_to(folder: ProjectFolder) -> Iterator[None]:
    """Makes a sentence of what the disk says."""
    try:
        yield
    except OSError as error:
        raise UserError(f"The work could not be kept in {folder.path.parent} ({error.strerror}); make room there.") from error
