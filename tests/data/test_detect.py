"""Finding faces: dlib on a photograph, our network's pyramid, and the choice of one."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from crossrig import assets
from crossrig.data import detect
from crossrig.data.align import Framing
from crossrig.data.detect import Face, choose_face, detect_faces, faces_of
from crossrig.data.detector import STRIDE, TYPICAL_HALF, DetectorNet
from crossrig.data.pictures import from_array
from crossrig.errors import UserError


class _Blob(DetectorNet):
    """Stands in for a trained network: a head is wherever the picture is white, its size that of the white square."""

    def forward(self, images: Tensor) -> Tensor:
        white = (images.mean(1) > 0.8).float()  # (1, H, W)
        _, height, width = white.shape
        out = torch.zeros(1, 4, height // STRIDE, width // STRIDE)
        out[:, 0] = -9.0
        rows, columns = torch.nonzero(white[0], as_tuple=True)
        if len(rows):
            x, y = float(columns.float().mean()) + 0.5, float(rows.float().mean()) + 0.5
            half = math.sqrt(float(white.sum())) / 2
            column, row = int(x / STRIDE), int(y / STRIDE)
            out[0, :, row, column] = torch.tensor(
                [5.0, x / STRIDE - column - 0.5, y / STRIDE - row - 0.5, math.log(half / TYPICAL_HALF)]
            )
        return out


@pytest.fixture(autouse=True)
def no_shipped_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "find", lambda name: None)


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    from skimage import data

    image: np.ndarray = data.astronaut()
    return image


def test_the_astronaut_is_found_by_dlib_alone(astronaut: np.ndarray) -> None:
    (best,) = detect_faces(astronaut)
    assert best.source == "photograph"
    # her ears are at about x = 222, y = 115; her face from the hairline to the chin fills about 150 px
    assert best.framing.x == pytest.approx(222, abs=15)
    assert best.framing.y == pytest.approx(115, abs=15)
    assert best.framing.half == pytest.approx(76, abs=14)


def test_scale_does_not_matter(astronaut: np.ndarray) -> None:
    import cv2

    small = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    (half_size,), (full_size,) = detect_faces(small), detect_faces(astronaut)
    assert half_size.framing.x * 2 == pytest.approx(full_size.framing.x, abs=8)
    assert half_size.framing.half * 2 == pytest.approx(full_size.framing.half, rel=0.15)


def test_nothing_in_an_empty_picture() -> None:
    assert detect_faces(np.full((200, 300, 3), 127, np.uint8)) == []


@pytest.mark.parametrize(
    ("side", "x", "y", "shape"), [(60, 80, 90, (200, 170)), (40, 200, 60, (120, 400)), (240, 300, 320, (640, 640))]
)
def test_the_pyramid_maps_finds_back_to_the_picture(side: int, x: int, y: int, shape: tuple[int, int]) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    picture[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2] = 255
    faces = detect_faces(picture, _Blob(8))
    assert [face.source for face in faces] == ["drawing"]
    framing = faces[0].framing
    assert (framing.x, framing.y) == pytest.approx((x, y), abs=0.04 * side + 1)
    assert framing.half == pytest.approx(side / 2, rel=0.1)


def test_heads_at_the_border_are_found() -> None:
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[:40, :50] = 255
    (face,) = detect_faces(picture, _Blob(8))
    assert face.framing.x < 30
    assert face.framing.y < 25


def test_doubtful_photographs_need_a_second_opinion(monkeypatch: pytest.MonkeyPatch) -> None:
    doubtful = Face(Framing(50, 50, 30), 0.55, "photograph")
    monkeypatch.setattr(detect, "dlib_faces", lambda picture: [doubtful])
    empty = np.zeros((128, 128, 3), np.uint8)
    assert detect_faces(empty) == [doubtful]  # nobody to ask, and nothing better
    assert detect_faces(empty, _Blob(8)) == []
    agreed = empty.copy()
    agreed[25:75, 25:75] = 255
    (face,) = detect_faces(agreed, _Blob(8))
    assert face.source == "drawing"
    assert face.framing.half == pytest.approx(25, rel=0.1)


def test_of_what_dlib_sees_ours_says_where_it_lies_and_nothing_more() -> None:
    sure, ours = Face(Framing(60, 50, 30), 0.8, "photograph"), Face(Framing(52, 54, 28), 0.9, "drawing")
    elsewhere = Face(Framing(200, 200, 60), 0.9, "drawing")
    assert faces_of([sure], [ours]) == [ours]
    assert faces_of([sure], [ours, elsewhere]) == [ours]
    assert faces_of([sure], [elsewhere]) == [sure]
    assert faces_of([], [ours, elsewhere]) == [elsewhere, ours]
    larger = Face(Framing(52, 54, 50), 0.9, "drawing")
    assert faces_of([sure], [larger]) == [larger]


def test_a_doubtful_find_in_a_photograph_must_be_seen_in_one_size() -> None:
    sure, doubtful = Face(Framing(60, 50, 30), 0.8, "photograph"), Face(Framing(160, 50, 30), 0.55, "photograph")
    head, badge = Face(Framing(162, 52, 24), 0.9, "drawing"), Face(Framing(162, 52, 20), 0.9, "drawing")
    assert faces_of([sure, doubtful], [head]) == [sure, head]
    assert faces_of([sure, doubtful], [badge]) == [sure]


def test_without_a_second_opinion_sure_finds_silence_the_doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    sure = Face(Framing(50, 50, 30), 0.8, "photograph")
    doubtful = [Face(Framing(150, 50, 40), score, "photograph") for score in (0.45, 0.55)]
    empty = np.zeros((128, 256, 3), np.uint8)
    monkeypatch.setattr(detect, "dlib_faces", lambda picture: [sure, *doubtful])
    assert detect_faces(empty) == [sure]
    monkeypatch.setattr(detect, "dlib_faces", lambda picture: doubtful)
    assert detect_faces(empty) == [doubtful[1]]


def test_the_largest_face_is_chosen_and_said_so() -> None:
    picture = from_array(np.zeros((100, 100, 3), np.uint8), "crowd.png")
    small, large = Face(Framing(10, 10, 5), 0.9, "photograph"), Face(Framing(60, 60, 30), 0.6, "drawing")
    assert choose_face([small, large], picture) == (large, ["2 faces were found; the largest is taken."])
    assert choose_face([small], picture) == (small, [])
    faint = Face(Framing(10, 10, 5), 0.4, "photograph")
    assert choose_face([faint], picture) == (faint, ["It is not certain that this is a face; check the result."])
    with pytest.raises(UserError, match=r"crowd\.png: no face was found"):
        choose_face([], picture)
