"""Films of an edit."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from crossrig.errors import UserError
from crossrig.studio.clips import MOST_PREVIEWED, check_clip, path_of, preview_rate, write_clip
from crossrig.studio.protocol import Keyframe, MakeClip

KEYS = (Keyframe(0.0, {"yaw": -10.0}), Keyframe(1.0, {"yaw": 10.0, "smile": 1.0}), Keyframe(2.0, {}))
WISH = MakeClip(KEYS, "linear", 4, "mp4")


def test_controls_move_from_keyframe_to_keyframe() -> None:
    path = path_of(KEYS, "linear", 4, {"yaw": 4.0, "smile": 0.2})
    assert len(path) == 9
    assert path[0] == {"yaw": -10.0, "smile": 0.2}
    assert path[2] == pytest.approx({"yaw": 0.0, "smile": 0.6})
    assert path[4] == {"yaw": 10.0, "smile": 1.0}
    assert path[8] == pytest.approx({"yaw": 4.0, "smile": 0.2})


def test_smooth_motion_starts_and_ends_slowly() -> None:
    linear, smooth = (path_of(KEYS[:2], easing, 10, {"yaw": 0.0, "smile": 0.0}) for easing in ("linear", "smooth"))
    assert smooth[1]["yaw"] - smooth[0]["yaw"] < linear[1]["yaw"] - linear[0]["yaw"]
    assert smooth[5]["yaw"] == pytest.approx(linear[5]["yaw"])
    assert smooth[-1] == linear[-1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"keyframes": KEYS[:1]}, "two keyframes"),
        ({"keyframes": KEYS[1:]}, "start at 0"),
        ({"keyframes": (KEYS[0], KEYS[0])}, "follow one another"),
        ({"keyframes": (KEYS[0], Keyframe(21.0, {}))}, "may last 20 seconds, not 21"),
        ({"keyframes": (KEYS[0], Keyframe(1.0, {"yaw": 400.0}))}, "yaw"),
        ({"frames_per_second": 31}, "1 to 30 frames"),
        ({"frames_per_second": 0}, "1 to 30 frames"),
    ],
)
def test_clips_that_cannot_be_made_are_refused(change: dict[str, Any], sentence: str) -> None:
    check_clip(WISH)
    with pytest.raises(UserError, match=sentence):
        check_clip(replace(WISH, **change))


def test_previews_have_few_frames() -> None:
    assert preview_rate(KEYS) == 10
    long = (KEYS[0], Keyframe(20.0, {}))
    assert len(path_of(long, "linear", preview_rate(long), {"yaw": 0.0})) == MOST_PREVIEWED


def frames() -> Iterator[np.ndarray]:
    for brightness in (20, 120, 220):
        yield np.full((65, 49, 3), (brightness, 40, 40), np.uint8)


def test_mp4_can_be_played(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(write_clip(frames(), WISH))
    video = cv2.VideoCapture(str(tmp_path / "clip.mp4"))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(4)
    reds = []
    while (read := video.read())[0]:
        assert read[1].shape == (64, 48, 3)
        reds.append(read[1][..., 2].mean())
    assert reds == pytest.approx([20, 120, 220], abs=6)


def test_gif_has_all_frames() -> None:
    image = Image.open(io.BytesIO(write_clip(frames(), replace(WISH, format="gif"))))
    assert image.n_frames == 3
    assert image.info["duration"] == 250


def test_pngs_say_where_they_come_from() -> None:
    with zipfile.ZipFile(io.BytesIO(write_clip(frames(), replace(WISH, format="png")))) as archive:
        assert archive.namelist() == ["frame0000.png", "frame0001.png", "frame0002.png"]
        image = Image.open(io.BytesIO(archive.read("frame0001.png")))
        assert np.asarray(image)[0, 0].tolist() == [120, 40, 40]
        assert "compositeWithTrainedAlgorithmicMedia" in image.info["xmp"].decode()
