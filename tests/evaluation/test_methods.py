from __future__ import annotations

import pytest
import torch

from crossrig.errors import UserError
from crossrig.evaluation.instruments import Instruments
from crossrig.evaluation.methods import METHODS, USUAL, build_editors, check_methods, check_name, rig_editor
from crossrig.face3d.params import ATTRIBUTES, FaceParams, attribute_size
from crossrig.rig.manipulation import Rig


def test_all_methods_edit_and_leave_alone_what_is_not_commanded(tools: Instruments, tiny_rig: Rig, people: FaceParams) -> None:
    torch.manual_seed(2)
    styles = tools.generator.affine(tools.generator.map(torch.randn(64, tools.generator.config.z_dim)))
    editors = build_editors(METHODS, tiny_rig, tools.generator, tools.reader, tools.units, (styles, people.pack()))
    assert tuple(editors) == METHODS
    few = styles[:3]
    for name, editor in {**editors, "another": rig_editor(tiny_rig)}.items():
        for attribute in ATTRIBUTES:
            command = torch.zeros(3, attribute_size(attribute))
            assert torch.equal(editor(few, attribute, command), few), name
            edited = editor(few, attribute, command + 0.1)
            assert edited.shape == few.shape
            assert not torch.equal(edited, few), name


def test_ours_needs_no_codes_and_baselines_do(tools: Instruments, tiny_rig: Rig) -> None:
    assert set(build_editors(("ours",), tiny_rig, tools.generator, tools.reader, tools.units, None)) == {"ours"}
    with pytest.raises(UserError, match="labelled codes"):
        build_editors(("linear_s",), tiny_rig, tools.generator, tools.reader, tools.units, None)


def test_names_are_checked() -> None:
    assert check_methods(["ours", "channels", "ours"]) == ("ours", "channels")
    assert set(USUAL) <= set(METHODS)
    with pytest.raises(UserError, match="stylegan"):
        check_methods(["ours", "stylegan"])
    with pytest.raises(UserError, match="none named"):
        check_methods([])
    assert check_name("full_s", []) == "full_s"
    for wrong in ("ours", "target", "a.b", "", "full_s"):
        with pytest.raises(UserError, match="cannot name"):
            check_name(wrong, ["full_s"])
