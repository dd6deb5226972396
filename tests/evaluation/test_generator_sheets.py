from __future__ import annotations

import torch

from crossrig.evaluation import generator_sheets as sheets
from crossrig.evaluation.inversions import OPTIMISE, PIVOTAL, Inverted
from crossrig.gan.generator import Generator


def test_the_walk_is_closed_and_even(tiny_generator: Generator) -> None:
    w = tiny_generator.map(torch.randn(4, 32, generator=torch.Generator().manual_seed(1)))
    frames = sheets.walk(tiny_generator, w, 16)
    assert frames.shape == (16, 3, 32, 32)

    def painted(code: torch.Tensor) -> torch.Tensor:
        return tiny_generator.synthesise(tiny_generator.affine(code[None]))[0].clamp(-1, 1)

    for stop in range(4):
        assert torch.allclose(frames[4 * stop], painted(w[stop]), atol=1e-5)
    assert torch.allclose(frames[15], painted(w[3] * 0.25 + w[0] * 0.75), atol=1e-5)  # on the way back to the start


def test_the_nearest_are_shown_and_never_the_picture_itself() -> None:
    pictures = torch.zeros(5, 3, 8, 8)
    pictures[:, 0] = torch.tensor([10.0, 60.0, 110.0, 160.0, 210.0])[:, None, None] / 127.5 - 1
    features = torch.tensor([[0.0], [1.0], [3.0], [7.0], [20.0]])

    def reds(own: torch.Tensor | None) -> list[int]:
        sheet = sheets.neighbour_sheet(pictures[1:2], features[1:2], features, pictures.__getitem__, own, ("sample", "known"))
        assert sheet.shape[1] == 4 * 132 + 4
        return [int(sheet[4 + 64, 4 + 132 * cell + 64, 0]) for cell in range(4)]

    assert reds(None) == [60, 60, 10, 110]
    assert reds(torch.tensor([1])) == [60, 10, 110, 160]


def test_inversions_in_rows() -> None:
    images = torch.zeros(2, 3, 8, 8)
    found = Inverted(images, {OPTIMISE: images - 1, PIVOTAL: images + 1}, {}, [10.0, -20.0], {PIVOTAL: images})
    sheet = sheets.inversion_sheet(found)
    assert sheet.shape[1] == 4 * 132 + 4
    assert sheet[4 + 64, 4 + 132 + 64].tolist() == [0, 0, 0]
    assert sheet[4 + 64, 4 + 2 * 132 + 64].tolist() == [255, 255, 255]
    assert sheets.overview(torch.zeros(70, 3, 4, 4)).shape == (32, 32, 3)
