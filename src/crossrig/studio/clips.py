"""Films of an edit: controls that move from keyframe to keyframe, written as MP4, GIF or a zip of PNGs."""

from __future__ import annotations

import io
import itertools
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crossrig.data.metadata import DigitalSource, encode_picture, xmp_packet
from crossrig.errors import UserError
from crossrig.face3d.controls import check_value
from crossrig.studio.protocol import ClipFormat, Easing, Keyframe, MakeClip

Pixels = NDArray[np.uint8]

LONGEST = 20.0
"""Seconds."""
MOST_FRAMES = 600

PREVIEW_RATE = 10.0
"""Frames a second of a preview, or fewer where it would have more than:"""
MOST_PREVIEWED = 100

ENDINGS: Mapping[ClipFormat, str] = {"mp4": ".mp4", "gif": ".gif", "png": ".zip"}


def check_clip(wish: MakeClip) -> None:
    """Raises UserError for a clip that cannot be made."""
    check_keyframes(wish.keyframes)
    if not 1 <= wish.frames_per_second <= 30:
        raise UserError(f"A clip has 1 to 30 frames a second, not {wish.frames_per_second}.")


def check_keyframes(keyframes: Sequence[Keyframe]) -> None:
    """Raises UserError for keyframes that make no clip."""
    times = [frame.at for frame in keyframes]
    if len(times) < 2:
        raise UserError("A clip needs two keyframes at least; set controls and add them one after the other.")
    if times[0] != 0 or any(later <= earlier for earlier, later in itertools.pairwise(times)):
        raise UserError("The keyframes of a clip start at 0 and follow one another in time.")
    if times[-1] > LONGEST:
        raise UserError(f"A clip may last {LONGEST:g} seconds, not {times[-1]:g}.")
    for frame in keyframes:
        for name, value in frame.values.items():
            check_value(name, value)


def preview_rate(keyframes: Sequence[Keyframe]) -> float:
    """Frames a second at which a clip is shown before it is made."""
    return min(PREVIEW_RATE, (MOST_PREVIEWED - 1) / keyframes[-1].at)


def path_of(keyframes: Sequence[Keyframe], easing: Easing, rate: float, rest: Mapping[str, float]) -> list[dict[str, float]]:
    """The controls of every frame; ``rest``: what a control is where a keyframe does not name it. The end is a frame, too."""
    count = min(MOST_FRAMES, max(2, round(keyframes[-1].at * rate) + 1))
    names = list(dict.fromkeys(name for frame in keyframes for name in frame.values))
    frames = []
    for index in range(count):
        moment = keyframes[-1].at * index / (count - 1)
        before, after = next(pair for pair in itertools.pairwise(keyframes) if moment <= pair[1].at)
        share = (moment - before.at) / (after.at - before.at)
        if easing == "smooth":
            share = share * share * (3 - 2 * share)
        frames.append(
            {
                name: (1 - share) * before.values.get(name, rest[name]) + share * after.values.get(name, rest[name])
                for name in names
            }
        )
    return frames


def write_clip(frames: Iterable[Pixels], wish: MakeClip) -> bytes:
    """The file of frames of one size, which are asked for one after the other."""
    makers: Mapping[ClipFormat, Callable[[Iterable[Pixels], int], bytes]] = {"mp4": _mp4, "gif": _gif, "png": _pngs}
    return makers[wish.format](frames, wish.frames_per_second)


def _mp4(frames: Iterable[Pixels], rate: int) -> bytes:
    with tempfile.TemporaryDirectory(prefix="crossrig-clip-") as folder:
        path = Path(folder) / "clip.mp4"
        writer: cv2.VideoWriter | None = None
        try:
            for frame in frames:
                even = frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]  # the coding has half the colour resolution
                if writer is None:
                    size = (even.shape[1], even.shape[0])
                    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), float(rate), size)
                    if not writer.isOpened():
                        raise UserError("This OpenCV cannot write MP4; choose GIF or PNG.")
                writer.write(cv2.cvtColor(even, cv2.COLOR_RGB2BGR))
        finally:
            if writer is not None:
                writer.release()
        return path.read_bytes()


def _gif(frames: Iterable[Pixels], rate: int) -> bytes:
    first, *others = [Image.fromarray(frame).quantize(128, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames]
    stream = io.BytesIO()
    first.save(
        stream, "GIF", save_all=True, append_images=others, duration=max(20, round(1000 / rate)), loop=0,
        comment=xmp_packet(DigitalSource.EDITED).encode()[:255],
    )  # fmt: skip
    return stream.getvalue()


def _pngs(frames: Iterable[Pixels], rate: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for number, frame in enumerate(frames):
            archive.writestr(f"frame{number:04d}.png", encode_picture(frame, DigitalSource.EDITED, ".png"))
    return stream.getvalue()
