"""Landmarks that are dragged."""

from __future__ import annotations

import pytest
import torch

from crossrig.errors import UserError
from crossrig.face3d.controls import CONTROLS, apply
from crossrig.face3d.landmarks import LANDMARK_NAMES
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.render.camera import Camera
from crossrig.rig.solve import LandmarkSolver, expression_variables, project_with_slopes, shape_variables

HANDLES = ("mouth_outer_0", "mouth_outer_6", "mouth_outer_3", "mouth_outer_9", "brow_right_2", "brow_left_2", "jaw_8")


@pytest.fixture(scope="module")
def solver() -> LandmarkSolver:
    return LandmarkSolver(FaceModel.load())


def face(yaw: float = 0.0, **values: float) -> FaceParams:
    return apply(FaceParams.neutral(1), {"yaw": yaw, **values})


def at(solver: LandmarkSolver, params: FaceParams, name: str) -> torch.Tensor:
    return solver.points(params)[LANDMARK_NAMES.index(name)]


def dragged(solver: LandmarkSolver, params: FaceParams, name: str, x: float, y: float) -> dict[str, tuple[float, float]]:
    place = at(solver, params, name)
    return {name: (float(place[0]) + x, float(place[1]) + y)}


def test_points_are_those_of_the_model_and_the_camera(solver: LandmarkSolver, people: FaceParams) -> None:
    model = FaceModel.load()
    for index in (0, 5):
        one = people[index]
        wanted = Camera().project(model.landmark_points(model.vertices(one)))[0, :, :2]
        assert torch.allclose(solver.points(one).float(), wanted, atol=1e-5)


def test_slopes_are_exact() -> None:
    random = torch.Generator().manual_seed(1)
    points, slopes = (0.1 * torch.randn(*shape, 3, generator=random, dtype=torch.float64) for shape in ((5,), (4, 5)))

    def places(v: torch.Tensor) -> torch.Tensor:
        return Camera().project(points + torch.einsum("n,nrc->rc", v, slopes))[:, :2]

    found, jacobian = project_with_slopes(points, slopes, Camera())
    zero = torch.zeros(4, dtype=torch.float64)
    exact = torch.autograd.functional.jacobian(places, zero)  # (r, 2, n)
    assert torch.allclose(found, places(zero))
    assert torch.allclose(jacobian, exact.permute(2, 0, 1))


@pytest.mark.parametrize("yaw", [0.0, 30.0])
@pytest.mark.parametrize("unit", ["mouthSmileLeft", "browOuterUpRight", "jawOpen", "mouthFrownRight"])
def test_a_landmark_goes_where_an_expression_would_bring_it(solver: LandmarkSolver, unit: str, yaw: float) -> None:
    start, goal = face(yaw), face(yaw, **{unit: 0.8})
    name = max(HANDLES, key=lambda handle: float((at(solver, goal, handle) - at(solver, start, handle)).norm()))
    wanted = {name: tuple(at(solver, goal, name).tolist())}
    variables = expression_variables(start)
    found = solver.solve(start, variables, wanted, ())
    moved = start.replace(expression=found[None].float())
    before, after = ((at(solver, goal, name) - at(solver, params, name)).norm() for params in (start, moved))
    assert after < 0.1 * before
    assert ((found >= 0) & (found <= 1)).all()


def test_what_is_not_dragged_stays_nearly(solver: LandmarkSolver) -> None:
    start = face()
    wanted = dragged(solver, start, "mouth_outer_6", 0.04, 0.06)
    moved = start.replace(expression=solver.solve(start, expression_variables(start), wanted, HANDLES)[None].float())
    apart = (solver.points(moved) - solver.points(start)).norm(dim=1)
    assert apart[LANDMARK_NAMES.index("mouth_outer_6")] > 0.03
    assert apart[LANDMARK_NAMES.index("brow_left_2")] < 0.005
    assert apart[LANDMARK_NAMES.index("mouth_outer_0")] < 0.4 * apart[LANDMARK_NAMES.index("mouth_outer_6")]


def test_few_controls_move(solver: LandmarkSolver) -> None:
    start = face()
    variables = expression_variables(start)
    found = solver.solve(start, variables, dragged(solver, start, "mouth_outer_6", 0.05, 0.07), HANDLES)
    moved = {name for name, value in zip(variables.names, found.tolist(), strict=True) if value > 1e-3}
    assert "mouthSmileLeft" in moved
    assert len(moved) < 12


def test_shape_follows_through_named_controls_from_what_is_set(solver: LandmarkSolver) -> None:
    values = {"jawWidth": 1.5, "noseLength": -1.0}
    start = face(**values)
    wanted = dragged(solver, start, "jaw_8", 0.0, -0.05)
    variables = shape_variables(start, values)
    found = dict(zip(variables.names, solver.solve(start, variables, wanted, HANDLES).tolist(), strict=True))
    moved = apply(FaceParams.neutral(1), found)
    assert float(at(solver, moved, "jaw_8")[1] - at(solver, start, "jaw_8")[1]) == pytest.approx(-0.05, abs=0.01)
    assert all(CONTROLS[name].minimum <= value <= CONTROLS[name].maximum for name, value in found.items())
    assert "age" not in found


@pytest.mark.parametrize("block", ["expression", "shape"])
def test_what_cannot_be_reached_ends_within_the_ranges(solver: LandmarkSolver, block: str) -> None:
    start = face()
    variables = expression_variables(start) if block == "expression" else shape_variables(start, {})
    found = solver.solve(start, variables, {"mouth_outer_0": (-3.0, 5.0)}, HANDLES)
    assert torch.isfinite(found).all()
    assert ((found >= variables.lower) & (found <= variables.upper)).all()


def test_a_landmark_that_stays_changes_nothing(solver: LandmarkSolver) -> None:
    start = face(12.0, smile=0.4)
    variables = expression_variables(start)
    found = solver.solve(start, variables, dragged(solver, start, "jaw_8", 0.0, 0.0), HANDLES)
    assert torch.allclose(found, variables.start, atol=1e-5)


def test_other_names_are_refused(solver: LandmarkSolver) -> None:
    with pytest.raises(UserError, match="no landmark 'ear'"):
        solver.solve(face(), expression_variables(face()), {"ear": (0.0, 0.0)}, ())
