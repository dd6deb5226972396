from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from crossrig.errors import UserError
from crossrig.evaluation import edits
from crossrig.evaluation.edits import (
    MOVES_POINTS,
    Sizes,
    disentanglement_figures,
    evaluate_edits,
    evaluate_subjects,
    margins,
    milliseconds,
    yaw_figures,
)
from crossrig.evaluation.instruments import Instruments, Seen, Subjects
from crossrig.evaluation.methods import build_editors
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.metrics.bootstrap import Resampling
from crossrig.rig.editors import Editor
from crossrig.rig.manipulation import Rig

SIZES = Sizes(codes=64, portraits=0, anchors=8, targets=3, timed=2, draws=50)


def ignore(what: str, step: int, steps: int) -> None:
    pass


def measured(tools: Instruments, subjects: Subjects, editor: Editor) -> dict[str, float]:
    return evaluate_subjects(tools, {"ours": editor}, subjects, SIZES, "", ignore).flat()


def test_the_perfect_editor_is_perfect(tools: Instruments, subjects: Subjects, perfect: Editor) -> None:
    figures = measured(tools, subjects, perfect)
    for attribute in ATTRIBUTES:
        assert figures[f"obedience.{attribute}.ours"] == pytest.approx(1.0, abs=1e-4)
        assert figures[f"obedience.{attribute}.ours.low"] == pytest.approx(1.0, abs=1e-4)
        assert figures[f"obedience_slope.{attribute}.ours"] == pytest.approx(1.0, abs=1e-4)
        assert figures[f"obedience.{attribute}.target"] == pytest.approx(1.0, abs=1e-4)
        assert figures[f"leak.{attribute}.ours"] == pytest.approx(0.0, abs=1e-4)
        assert figures[f"leak_matrix.{attribute}.{attribute}.ours"] == pytest.approx(1.0, abs=1e-4)
        assert figures[f"landmark_error.{attribute}.ours"] == pytest.approx(0.0, abs=1e-3)
    assert figures["yaw_error_deg.ours"] == pytest.approx(0.0, abs=1e-3)
    assert figures["leak.mean.ours"] == pytest.approx(0.0, abs=1e-4)
    assert figures["identity.strangers"] < figures["identity.expression.ours"]


def test_one_that_does_nothing_scores_nothing(tools: Instruments, subjects: Subjects) -> None:
    figures = measured(tools, subjects, lambda styles, attribute, command: styles)
    for attribute in ATTRIBUTES:
        assert figures[f"obedience.{attribute}.ours"] == pytest.approx(0.0, abs=1e-4)
        assert figures[f"obedience_slope.{attribute}.ours"] == pytest.approx(0.0, abs=1e-4)
    assert figures["yaw_error_deg.ours"] > 10
    assert not any(name.startswith("leak_per_moved") for name in figures)
    assert figures["identity.pose.ours"] == pytest.approx(1.0, abs=1e-4)


def test_dlibs_points_are_compared_with_our_landmarks(
    tools: Instruments, subjects: Subjects, perfect: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(_: Instruments, styles: torch.Tensor, identity: bool = True, points: bool = True) -> Seen:
        params = FaceParams.unpack(styles)
        found = tools.landmarks.points(params) + 0.3  # somebody else's points lie elsewhere, and move alike
        found[5] = torch.nan  # and one face was not found
        return Seen(params, torch.zeros(len(styles), 3, 16, 16), styles.narrow(1, 0, 4), None, found if points else None)

    monkeypatch.setattr(edits, "look", look)
    pointed = replace(subjects, before=look(tools, subjects.styles))
    figures = measured(tools, pointed, perfect)
    assert [name for name in ATTRIBUTES if f"obedience_dlib.{name}.ours" in figures] == ["shape", "expression", "pose"]
    for attribute in MOVES_POINTS:
        assert figures[f"dlib_found.{attribute}.ours"] == pytest.approx(63 / 64, abs=1e-4)
        assert figures[f"obedience_dlib.{attribute}.ours"] == pytest.approx(1.0, abs=1e-4)
        assert figures[f"obedience_dlib_slope.{attribute}.ours"] == pytest.approx(1.0, abs=1e-4)
    lazy = measured(tools, pointed, lambda styles, attribute, command: styles)
    assert lazy["obedience_dlib.pose.ours"] == pytest.approx(0.0, abs=1e-4)


def test_half_the_way_and_a_leak_are_found_out(tools: Instruments, subjects: Subjects, perfect: Editor) -> None:
    def half(styles: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
        moved = FaceParams.unpack(perfect(styles, attribute, 0.5 * command))
        if attribute == "pose":
            moved = moved.replace(illumination=moved.illumination.roll(1, 0))
        return moved.pack()

    figures = measured(tools, subjects, half)
    assert figures["obedience.albedo.ours"] == pytest.approx(0.75, abs=1e-3)
    assert figures["obedience_slope.albedo.ours"] == pytest.approx(0.5, abs=1e-3)
    assert 0.5 < figures["leak_matrix.pose.illumination.ours"] < 2.0
    assert figures["leak_matrix.pose.shape.ours"] == pytest.approx(0.0, abs=1e-4)
    assert figures["leak_matrix.shape.illumination.ours"] == pytest.approx(0.0, abs=1e-4)
    assert figures["leak_per_moved.pose.ours"] == pytest.approx(2 * figures["leak.pose.ours"], rel=1e-3)
    assert figures["leak.pose.ours"] == pytest.approx(figures["leak_matrix.pose.illumination.ours"] / 4, rel=1e-3)


def test_yaw_goes_to_targets_in_front_and_everything_else_stays(tools: Instruments, subjects: Subjects, perfect: Editor) -> None:
    seen: list[FaceParams] = []

    def watched(styles: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
        edited = perfect(styles, attribute, command)
        seen.append(FaceParams.unpack(edited))
        return edited

    _, (asked, judged) = yaw_figures(tools, subjects, watched, Resampling(64, 10), "ours")
    target = torch.rad2deg(seen[0].rotation[:, 1])
    assert float(target.abs().max()) <= 40.0
    assert float(target.std()) > 15.0
    assert torch.equal(seen[0].rotation[:, 0], subjects.own.rotation[:, 0])
    assert torch.allclose(asked, judged, atol=1e-3)


def test_the_disentanglement_score_tells_one_thing_at_a_time_from_everything(
    tools: Instruments, subjects: Subjects, perfect: Editor
) -> None:
    def everything(styles: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
        scale = command.norm(dim=1, keepdim=True)
        return styles + scale * torch.randn(styles.shape, generator=torch.Generator().manual_seed(1))

    sets = Resampling(SIZES.anchors, 20)
    clean = disentanglement_figures(tools, perfect, subjects, SIZES, sets, "ours")
    messy = disentanglement_figures(tools, everything, subjects, SIZES, sets, "ours")
    assert set(clean) == {"disentanglement_score.ours", *(f"disentanglement_score.{name}.ours" for name in ATTRIBUTES)}
    assert clean["disentanglement_score.ours"].value > 1e6 * messy["disentanglement_score.ours"].value


def test_margins_are_above_zero_where_ours_is_better(tools: Instruments, subjects: Subjects, perfect: Editor) -> None:
    def lazy(styles: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
        return perfect(styles, attribute, 0.3 * command)

    flat = evaluate_subjects(tools, {"ours": perfect, "lazy": lazy}, subjects, SIZES, "inverted.", ignore).flat()
    assert flat["inverted.margin.obedience.shape.lazy"] == pytest.approx(0.49, abs=1e-3)
    assert flat["inverted.margin.obedience.shape.lazy.low"] > 0.4
    assert margins({}, ["lazy"]) == {}
    turned = evaluate_subjects(tools, {"ours": perfect, "lazy": lazy}, subjects, SIZES, "", ignore, champion="lazy").flat()
    assert turned["margin.obedience.shape.ours"] == pytest.approx(-0.49, abs=1e-3)
    assert "margin.obedience.shape.lazy" not in turned


def test_every_named_figure_is_there_and_the_object_is_flat(tools: Instruments, tiny_rig: Rig, people: FaceParams) -> None:
    torch.manual_seed(1)
    styles = tools.generator.affine(tools.generator.map(torch.randn(64, tools.generator.config.z_dim)))
    codes = (styles, people.pack())
    names = ("ours", "ours_feedforward", "channels")
    editors = build_editors(names, tiny_rig, tools.generator, tools.reader, tools.units, codes)
    steps: list[tuple[str, int, int]] = []
    sizes = Sizes(codes=8, portraits=0, anchors=2, targets=2, timed=1, draws=20)
    evaluation = evaluate_edits(tools, editors, sizes, styles[:9], lambda *step: steps.append(step))
    flat = json.loads(json.dumps(evaluation.flat()))
    assert all(isinstance(value, float) for value in flat.values())
    assert all(torch.isfinite(torch.tensor(value)) for value in flat.values())
    for method in names:
        for attribute in ATTRIBUTES:
            for figure in ("obedience", "obedience_slope", "leak", "landmark_error", "outside_change", "disentanglement_score"):
                assert f"{figure}.{attribute}.{method}" in flat
            assert f"inverted.obedience.{attribute}.{method}" in flat
            assert f"slider_jump.{attribute}.{method}" in flat
        whole = ("yaw_error_deg", "yaw_change_error_deg", "disentanglement_score", "frechet", "order_gap", "milliseconds", "leak.mean")
        for figure in whole:
            assert f"{figure}.{method}" in flat
        assert flat[f"milliseconds.{method}"] > 0
        assert set(evaluation.points[method]) == {*ATTRIBUTES, "yaw, degrees"}
    assert "frechet.unedited" in flat
    assert not any(name.startswith("identity") for name in flat)  # nobody to ask
    assert flat["yaw_error_deg.ours.low"] <= flat["yaw_error_deg.ours"] <= flat["yaw_error_deg.ours.high"]
    assert steps


def test_subjects_are_commanded_the_next_ones_attribute(subjects: Subjects) -> None:
    command = subjects.command("albedo")
    assert torch.allclose(subjects.own.albedo + command, subjects.own.albedo.roll(-1, 0), atol=1e-5)
    assert float(command.sum(0).abs().max()) < 1e-3


def test_time_is_that_of_one_edit(subjects: Subjects) -> None:
    counts: list[int] = []

    def editor(styles: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
        counts.append(len(styles))
        return styles

    assert milliseconds(editor, subjects, 4) >= 0
    assert counts == [1] * 5


def test_sizes() -> None:
    assert Sizes.of(512) == Sizes(512, 200, 64, 5)
    assert Sizes.of(16).portraits == 8
    assert Sizes.of(16, 0).portraits == 0
    for wrong in ((4, 0), (64, 3)):
        with pytest.raises(UserError, match="8 or more"):
            Sizes(*wrong)
    with pytest.raises(UserError, match="targets"):
        Sizes(8, 0, 4, 8)


def test_reserved_seeds_differ() -> None:
    from crossrig import evaluate
    from crossrig.evaluation import controls

    seeds = [evaluate.HELD_OUT_SEED, evaluate.CODES_SEED, edits.EDIT_TARGETS_SEED, controls.CONTROLS_SEED]
    for people in (edits.UNSEEN, edits.TRIAL):
        seeds += [people.codes, people.portraits, people.realism]
    assert len(set(seeds)) == len(seeds)
