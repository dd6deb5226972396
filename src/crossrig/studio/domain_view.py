"""The same edit in all domains side by side, and between two of them.

Every domain's generator gets the same edited style code. That of the picture's own domain is tuned to the picture; the others are as they
were trained, so they show a person like this one. Nothing of the picture itself is carried over.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch

from crossrig.data.align import to_pixels
from crossrig.domains.blend import blend
from crossrig.errors import UserError
from crossrig.gan.generator import Generator
from crossrig.session import Networks
from crossrig.studio.drawing import REST
from crossrig.studio.outlets import Outlets
from crossrig.studio.pictures import to_jpeg
from crossrig.studio.protocol import Frame, FrameKind, ShowDomains
from crossrig.studio.work import Work
from crossrig.studio.worker import Choice, Urgency


class DomainView:
    """Draws only while a page shows it."""

    def __init__(self, work: Work, outlets: Outlets, networks: Networks) -> None:
        self._work = work
        self._outlets = outlets
        self._generators: dict[str, Generator] = dict(networks.generators)
        self._wish: ShowDomains | None = None
        self._drawn: dict[str, Hashable] = {}  # what -> what it was drawn of

    def wish(self, message: ShowDomains) -> None:
        """Show it, or no longer. Raises UserError for domains that are not there."""
        for name in (message.first, message.second):
            if message.on and name not in self._generators:
                raise UserError(f'There is no domain "{name[:40]}"; there are {", ".join(self._generators)}.')
        if not 0 <= message.share <= 1:
            raise UserError("The share of the second domain is between 0 and 1.")
        if message.on and self._wish is None:
            self.show_anew()
        self._wish = message if message.on else None

    def show_anew(self) -> None:
        """A page came that has seen nothing yet."""
        self._drawn = {}

    def choices(self, now: float) -> list[Choice]:
        """What the worker may do, at a moment of `time.monotonic`."""
        wish, work = self._wish, self._work
        if wish is None or work.found is None or not self._outlets:
            return []
        if not work.edits.settled and now - work.edits.changed_at < REST:
            return []
        revision = work.edits.revision
        wanted: dict[str, tuple[Hashable, Callable[[], None]]] = {
            "blend": ((revision, wish.first, wish.second, wish.share), self._draw_blend)
        }
        for name in self._generators:
            wanted[name] = (revision, lambda name=name: self._draw_domain(name))  # type: ignore[misc]
        return [Choice(Urgency.REFINE, run) for what, (state, run) in wanted.items() if self._drawn.get(what) != state]

    def _draw_domain(self, name: str) -> None:
        with self._work.worker.changed:
            self._drawn[name] = self._work.edits.revision
            self._work.arm(self._work.edits.values)
        self._show("domain", list(self._generators).index(name), self._generator(name))

    def _draw_blend(self) -> None:
        with self._work.worker.changed:
            wish = self._wish
            if wish is None:
                return
            self._drawn["blend"] = (self._work.edits.revision, wish.first, wish.second, wish.share)
            self._work.arm(self._work.edits.values)
        first, second = self._generator(wish.first), self._generator(wish.second)
        shares = dict.fromkeys(first.style_space.block_resolutions, wish.share)
        self._show("blend", 0, blend(first, second, shares).to(self._work.session.device))

    def _generator(self, name: str) -> Generator:
        return self._work.session.generator if name == self._work.session.domain else self._generators[name]

    @torch.no_grad()
    def _show(self, kind: FrameKind, entry: int, generator: Generator) -> None:
        session, revision = self._work.session, self._work.edits.revision
        picture = to_pixels(generator.synthesise(session.edited_code()))
        self._outlets.show(Frame(kind, revision, True, 0, entry), to_jpeg(picture))
