"""A method whose attributes commute and whose sliders glide is told from one that does neither."""

from __future__ import annotations

import pytest
import torch

from crossrig.evaluation.coherence import STEPS, order_figures, slider_figures
from crossrig.evaluation.instruments import Instruments, Subjects
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.gan.generator import Generator
from crossrig.rig.editors import Editor


def test_the_order_matters_only_to_those_whom_it_changes(tools: Instruments, subjects: Subjects, perfect: Editor) -> None:
    def greedy(styles: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
        moved = FaceParams.unpack(perfect(styles, attribute, command))
        if attribute == "pose":  # takes back half of the light's edit, if that was there before it
            moved = moved.replace(illumination=0.5 * (moved.illumination + moved.illumination.mean(0)))
        return moved.pack()

    gaps = {
        name: order_figures(tools, editor, subjects, 32, 20, name)[f"order_gap.{name}"].value
        for name, editor in {"perfect": perfect, "greedy": greedy}.items()
    }
    assert gaps["perfect"] == pytest.approx(0.0, abs=1e-5)
    assert gaps["greedy"] > 0.02


def test_a_jump_is_told_from_a_slope(tools: Instruments, tiny_generator: Generator) -> None:
    torch.manual_seed(0)
    styles = tiny_generator.affine(tiny_generator.map(torch.randn(9, tiny_generator.config.z_dim)))
    subjects = Subjects.of(tools, styles)
    towards = styles.roll(-1, 0)[:3].repeat(STEPS + 1, 1)

    def editor(jumps: bool) -> Editor:
        def edit(codes: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
            whole = subjects.command(attribute)[:3].norm(dim=1).repeat(STEPS + 1)
            share = (command.norm(dim=1) / whole)[:, None]  # of the way
            return codes + 0.05 * (towards - codes) * ((share > 0.5).float() if jumps else share)

        return edit

    even, jump = (slider_figures(tools, editor(jumps), subjects, 3, 20, "x") for jumps in (False, True))
    for attribute in ATTRIBUTES:
        assert 1.0 <= even[f"slider_jump.{attribute}.x"].value < 1.3
        assert jump[f"slider_jump.{attribute}.x"].value == pytest.approx(STEPS, rel=1e-3)
