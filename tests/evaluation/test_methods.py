from __future__ import annotations

from pathlib import Path

import pytest
import torch

from crossrig.errors import UserError
from crossrig.evaluation.instruments import Instruments
from crossrig.evaluation.methods import METHODS, USUAL, build_editors, check_methods, check_name, rig_editor, stylerig_editors
from crossrig.face3d.params import ATTRIBUTES, FaceParams, attribute_size
from crossrig.gan.generator import Generator
from crossrig.rig.baselines.latents import Space, latents_of
from crossrig.rig.baselines.stylerig import StyleRig
from crossrig.rig.manipulation import Rig
from crossrig.rig.weights import save_stylerig


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


def stylerig_file(path: Path, generator: Generator, people: FaceParams, space: Space) -> Path:
    torch.manual_seed(5)
    latents = latents_of(space, generator)
    stylerig = StyleRig.untrained(latents, space, "0" * 64)
    styles = generator.affine(generator.map(torch.randn(64, generator.config.z_dim)))
    for network in stylerig.networks_by_name().values():
        network.set_populations(latents.of_styles(styles), people)
    save_stylerig(path, stylerig, {})
    return path


def test_stylerigs_come_from_files_and_are_not_still(tmp_path: Path, tools: Instruments, tiny_rig: Rig, people: FaceParams) -> None:
    files = [stylerig_file(tmp_path / f"{space}.safetensors", tools.generator, people, space) for space in ("wplus", "s")]
    editors = stylerig_editors(files, tools.generator, "0" * 64, tiny_rig)
    assert list(editors) == ["stylerig_wplus", "stylerig_s"]
    styles = tools.generator.affine(tools.generator.map(torch.randn(3, tools.generator.config.z_dim)))
    for editor in editors.values():
        for attribute in ATTRIBUTES:
            nothing = torch.zeros(3, attribute_size(attribute))
            still, moved = editor(styles, attribute, nothing), editor(styles, attribute, nothing + 0.5)
            assert moved.shape == styles.shape
            assert not torch.equal(moved, still)
            # Unlike all others: it was only taught to stand still, and this one was taught nothing.
            assert not torch.equal(still, styles)
    with pytest.raises(UserError, match="a stylerig_s already"):
        stylerig_editors([files[1], files[1]], tools.generator, "0" * 64, tiny_rig)
    with pytest.raises(UserError, match="mean nothing to another"):
        stylerig_editors(files, tools.generator, "1" * 64, tiny_rig)
    with pytest.raises(UserError, match="--stylerig FILE"):
        check_methods(["ours", "stylerig_s"])
    with pytest.raises(UserError, match="cannot name"):
        check_name("stylerig_s", [])
