"""Making a clip of the edit: slow work that draws one frame after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crossrig.face3d.readings import readings
from crossrig.studio import clips
from crossrig.studio.outlets import Outlets
from crossrig.studio.pictures import WIDEST, fitted, to_jpeg
from crossrig.studio.protocol import ClipPreviewed, ClipReady, Extent, Frame, MakeClip, PreviewClip
from crossrig.studio.slow import SlowWork
from crossrig.studio.work import Pixels, Work


@dataclass(frozen=True)
class Clip:
    """A finished film."""

    content: bytes
    name: str
    ending: str


class Filming:
    """The clips of one session; the last one made can be fetched."""

    def __init__(self, work: Work, outlets: Outlets, slow: SlowWork) -> None:
        self._work = work
        self._outlets = outlets
        self._slow = slow
        self.clip: Clip | None = None

    def begin(self, wish: MakeClip) -> None:
        """Have a clip made. Raises UserError for one that cannot be made, and while there is other slow work."""
        clips.check_clip(wish)
        extent = self._work.extent
        self._slow.begin(lambda: self._make(wish, extent), "A clip is being made already; stop it first.")

    def preview(self, wish: PreviewClip) -> None:
        """Have the frames of a clip shown, small and quickly drawn. Raises UserError as `begin`."""
        clips.check_keyframes(wish.keyframes)
        self._slow.begin(lambda: self._show(wish), "A clip is being made already; stop it first.")

    def _show(self, wish: PreviewClip) -> None:
        work, rate = self._work, clips.preview_rate(wish.keyframes)
        path = clips.path_of(wish.keyframes, wish.easing, rate, readings(work.session.params, {}))
        for index, values in enumerate(path):
            self._slow.progress("Drawing the preview", index, len(path))
            work.arm(values)
            picture = to_jpeg(work.session.preview_crop(), 85)
            self._outlets.show(Frame("clip", work.edits.revision, False, 0, index), picture)
        self._slow.end()
        self._outlets.say(ClipPreviewed(len(path), rate))

    def _make(self, wish: MakeClip, extent: Extent) -> None:
        work = self._work
        path = clips.path_of(wish.keyframes, wish.easing, wish.frames_per_second, readings(work.session.params, {}))

        def frames() -> Iterator[Pixels]:
            for index, values in enumerate(path):
                self._slow.progress("Making the clip", index, len(path))  # others may have armed the session meanwhile
                work.arm(values)
                yield work.session.render_crop() if extent == "face" else fitted(work.session.render(), WIDEST)

        content = clips.write_clip(frames(), wish)
        self.clip = Clip(content, work.name, clips.ENDINGS[wish.format])
        self._slow.end()
        self._outlets.say(ClipReady(f"{work.name}{self.clip.ending}", len(path)))
