"""The session: a picture in, sliders, a picture out (tiny untrained networks: the plumbing, not the beauty)."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from crossrig import assets
from crossrig.cli import main
from crossrig.data import detect
from crossrig.data.align import Framing, to_pixels
from crossrig.data.detect import Face
from crossrig.data.pictures import from_array, read_picture
from crossrig.errors import UserError
from crossrig.face3d.params import ATTRIBUTES
from crossrig.gan.generator import Generator
from crossrig.gan.weights import load_generator, save_generator
from crossrig.inversion.encoder import EncoderConfig, encoder_for, save_encoder
from crossrig.session import EditSession, Effort, Memory, Networks

QUICK = Effort(trial_steps=1, steps=2, tuning_steps=1)


@pytest.fixture(scope="module")
def networks(tiny_assets: Path) -> Iterator[Networks]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
        yield Networks.shipped("auto")


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    from skimage import data

    image: np.ndarray = data.astronaut()
    return image


@pytest.fixture(scope="module")
def session(networks: Networks, astronaut: np.ndarray) -> EditSession:
    session = EditSession("human", networks=networks, effort=QUICK)
    session.set_image(astronaut)
    return session


def test_notes_say_what_was_done(networks: Networks, astronaut: np.ndarray, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(astronaut).convert("L").convert("RGBA").save(tmp_path / "a.png")
    told: list[tuple[str, int, int]] = []
    session = EditSession("auto", networks=networks, effort=QUICK, progress=lambda *step: told.append(step))
    notes = session.set_image(tmp_path / "a.png")
    assert any("domain" in note for note in notes)
    assert session.domain in ("human", "toon")
    assert {what for what, _, _ in told} == {"trying human", "trying toon", "inverting", "tuning"}


def test_no_edit_gives_the_picture(session: EditSession, astronaut: np.ndarray) -> None:
    session.reset()
    assert np.array_equal(session.generated_crop(), session.inverted_crop())
    apart = np.abs(session.render().astype(int) - astronaut)
    assert apart.max() <= 1


def test_an_edit_changes_the_head_only(session: EditSession, astronaut: np.ndarray) -> None:
    session.reset()
    session.edit({"yaw": 30.0})
    picture = session.render()
    session.reset()
    assert picture.shape == astronaut.shape
    assert np.array_equal(picture[300:], astronaut[300:])
    assert not np.array_equal(picture[60:160, 180:260], astronaut[60:160, 180:260])


def test_without_detail_the_inversion_is_shown(networks: Networks, astronaut: np.ndarray) -> None:
    plain = EditSession("human", networks=networks, effort=replace(QUICK, detail=False))
    plain.set_image(astronaut)
    assert np.array_equal(plain.render_crop(), plain.inverted_crop())
    assert np.array_equal(plain.render_crop(), plain.generated_crop())


def test_edits_accumulate_replace_and_reset(session: EditSession) -> None:
    session.reset()
    session.edit({"yaw": 20.0})
    session.edit({"smile": 0.8})
    assert float(torch.rad2deg(session.edited_params.rotation[0, 1])) == pytest.approx(20.0, abs=1e-4)
    both = session.render_crop()
    session.edit({"yaw": -20.0})
    assert float(torch.rad2deg(session.edited_params.rotation[0, 1])) == pytest.approx(-20.0, abs=1e-4)
    assert not np.array_equal(session.render_crop(), both)
    session.edit({"yaw": 20.0})
    assert np.array_equal(session.render_crop(), both)
    session.reset()
    assert torch.equal(session.edited_params.pack(), session.params.pack())


def test_parameters_kept_from_a_preview_take_part_in_gradients(session: EditSession) -> None:
    session.reset()
    session.edit({"yaw": 15.0})
    session.preview_crop()
    weight = torch.ones(3, requires_grad=True)
    (session.edited_params.rotation * weight).sum().backward()
    assert weight.grad is not None
    session.reset()


def test_a_refused_edit_changes_nothing(session: EditSession) -> None:
    session.reset()
    session.edit({"yaw": 10.0})
    before = session.edited_params.pack()
    with pytest.raises(UserError, match="smile"):
        session.edit({"pitch": 5.0, "smlie": 1.0})
    with pytest.raises(UserError, match="yaw"):
        session.edit({"yaw": 400.0})
    assert torch.equal(session.edited_params.pack(), before)


def test_the_model_is_rendered_under_the_edited_parameters(session: EditSession) -> None:
    session.reset()
    straight = session.rendering_of_model(64)
    draw_later = session.model_drawing(64)
    session.edit({"yaw": 45.0})
    turned = session.rendering_of_model(64)
    assert straight.shape == (64, 64, 3)
    assert (straight[0, 0] == 128).all()  # mid-grey behind the head
    assert np.abs(straight.astype(int) - turned).mean() > 1
    assert np.array_equal(draw_later(), straight)  # what was set when it was asked for


def test_judgement_compares_command_and_reading(session: EditSession) -> None:
    session.reset()
    idle = session.judged()
    assert all(change.commanded == 0 and change.judged == 0 and change.followed is None for change in idle.attributes.values())
    session.edit({"yaw": float(torch.rad2deg(session.params.rotation[0, 1])) + 12.0})
    judgement = session.judged()
    assert set(judgement.attributes) == set(ATTRIBUTES)
    assert judgement.attributes["pose"].commanded == pytest.approx(12.0, abs=1e-3)
    assert judgement.attributes["pose"].unit == "degrees"
    assert judgement.angles["yaw"][0] == pytest.approx(12.0, abs=1e-3)
    assert judgement.attributes["shape"].commanded == 0.0
    pose = judgement.attributes["pose"]
    assert pose.followed is not None
    assert pose.followed == pytest.approx(judgement.angles["yaw"][1] / 12.0, rel=1e-3)


def test_somebody_made_up_is_the_sample_of_that_number_and_can_be_edited(networks: Networks, tmp_path: Path) -> None:
    session = EditSession("auto", networks=networks, effort=QUICK)
    assert "number 5 of the people that the human generator makes up" in session.set_sample(5)[0]
    save_generator(tmp_path / "generator.safetensors", networks.generators["human"])
    assert main(["sample", "--network", str(tmp_path / "generator.safetensors"), "--seeds", "5", "--outdir", str(tmp_path)]) == 0
    assert np.array_equal(session.render(), read_picture(tmp_path / "seed0005.png").pixels)
    assert np.array_equal(session.inverted_crop(), session.input_crop())  # the code is exact
    session.edit({"yaw": 25.0})
    assert not np.array_equal(session.render(), session.picture.pixels)
    again = EditSession("auto", networks=networks, effort=QUICK)
    again.recall(session.picture, session.memory())
    again.edit({"yaw": 25.0})
    assert np.array_equal(again.render(), session.render())


def test_identity_is_measured_in_strangers(session: EditSession) -> None:
    session.reset()
    assert (session.judged().identity.commanded, session.judged().identity.judged) == (0.0, 0.0)
    session.edit({"smile": 1.0})
    assert session.judged().identity.commanded == 0.0
    session.edit({"smile": 0.0, "shape.0": 1.0})
    near = session.judged().identity
    session.edit({"shape.0": 3.0})
    far = session.judged().identity
    assert 0.0 < near.commanded < far.commanded
    assert near.unit == "% of another person"



def test_controls_are_listed(session: EditSession) -> None:
    assert session.controls()["yaw"].unit == "degrees"


def test_several_faces(networks: Networks, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = [Face(Framing(220, 115, 110), 0.9, "photograph"), Face(Framing(400, 400, 40), 0.9, "photograph")]
    monkeypatch.setattr("crossrig.session.detect_faces", lambda picture: faces)
    notes = EditSession("human", networks=networks, effort=QUICK).set_image(astronaut)
    assert "2 faces were found; the largest is taken." in notes


def test_a_small_face_is_said_so(networks: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossrig.session.detect_faces", lambda picture: [Face(Framing(50, 50, 5), 0.9, "drawing")])
    notes = EditSession("human", networks=networks, effort=QUICK).set_image(np.zeros((100, 100, 3), np.uint8))
    assert any("face is small" in note for note in notes)


def test_no_face(networks: Networks) -> None:
    session = EditSession("human", networks=networks, effort=QUICK)
    with pytest.raises(UserError, match="no face was found"):
        session.set_image(np.full((100, 100, 3), 90, np.uint8))
    with pytest.raises(UserError, match="no picture yet"):
        session.render()


def test_unknown_domain(networks: Networks) -> None:
    with pytest.raises(UserError, match="human, toon and auto"):
        EditSession("animal", networks=networks)  # type: ignore[arg-type]


@pytest.fixture
def own_domains(tiny_assets: Path, tmp_path: Path, tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of networks in use that holds a further child of the human generator, and a generator that is none."""
    for file in tiny_assets.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    clay, stranger = copy.deepcopy(tiny_generator), copy.deepcopy(tiny_generator)
    with torch.no_grad():
        clay.synthesis.b4.conv1.weight.mul_(1.1)
        for parameter in stranger.mapping.parameters():
            parameter.copy_(parameter.flip(0))
    save_generator(tmp_path / "generator-clay.safetensors", clay)
    save_generator(tmp_path / "generator-stranger.safetensors", stranger)
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def test_the_domain_that_is_asked_for_is_taken(networks: Networks, astronaut: np.ndarray) -> None:
    for domain in networks.generators:
        session = EditSession(domain, networks=networks, effort=QUICK)
        session.set_image(astronaut)
        assert session.domain == domain


def test_a_domain_of_ones_own_is_edited_like_those_that_ship(own_domains: Path, astronaut: np.ndarray) -> None:
    file = own_domains / "generator-clay.safetensors"
    for wish in ("clay", str(file)):
        session = EditSession(wish, effort=QUICK)
        assert list(session.networks.generators) == ["clay"]
    assert "Edited in the clay domain." in session.set_image(astronaut)
    session.edit({"yaw": 10.0})
    assert session.render().shape == astronaut.shape
    # What is no child of the human generator is left out where all are tried, and refused where it is asked for.
    assert list(EditSession("auto", effort=QUICK).networks.generators) == ["human", "toon", "clay"]
    with pytest.raises(UserError, match="no latent space in common"):
        EditSession("stranger", effort=QUICK)


def test_missing_weights_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "folders", lambda: (tmp_path,))
    with pytest.raises(UserError, match=r"generator-toon\.safetensors \(toon generator\) is missing .* `crossrig train child`"):
        EditSession("toon")


def test_detector_is_asked_once_per_picture() -> None:
    assert detect._dlib_detector() is detect._dlib_detector()


def test_a_recalled_picture_gives_the_same_pixels(networks: Networks, astronaut: np.ndarray, session: EditSession) -> None:
    session.reset()
    session.edit({"smile": 0.7, "yaw": 12.0})
    again = EditSession("human", networks=networks, effort=QUICK)
    again.recall(from_array(astronaut), session.memory())
    assert not np.array_equal(again.render_crop(), session.render_crop())
    again.edit({"smile": 0.7, "yaw": 12.0})
    assert np.array_equal(again.render(), session.render())


def test_a_memory_of_another_generator_is_refused(networks: Networks, astronaut: np.ndarray, session: EditSession) -> None:
    memory = session.memory()
    wrong = {name: tensor.flatten()[:0] if name.startswith("generator.") else tensor for name, tensor in memory.tensors.items()}
    with pytest.raises(UserError, match="belongs to another generator"):
        EditSession("human", networks=networks).recall(from_array(astronaut), Memory(wrong, memory.facts))
    with pytest.raises(UserError, match='domain "animal"'):
        EditSession("human", networks=networks).recall(from_array(astronaut), Memory({}, {"domain": "animal"}))


def test_the_preview_is_a_small_picture_after_one_pass(networks: Networks, astronaut: np.ndarray) -> None:
    one_pass = EditSession("human", networks=networks, effort=replace(QUICK, passes=1))
    one_pass.set_image(astronaut)
    assert np.array_equal(one_pass.preview_crop(), one_pass.input_crop())
    one_pass.edit({"yaw": 25.0})
    preview = one_pass.preview_crop()
    assert preview.shape == one_pass.generated_crop().shape
    assert not np.array_equal(preview, one_pass.input_crop())
    plain = EditSession("human", networks=networks, effort=replace(QUICK, passes=1, detail=False))
    plain.set_image(astronaut)
    plain.edit({"yaw": 25.0})
    # other rounding where the processor has bfloat16
    assert np.abs(plain.preview_crop().astype(int) - plain.generated_crop()).mean() < 1.5


def test_a_preview_stops_the_generator_early_and_is_as_large_all_the_same(
    networks: Networks, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = EditSession("human", networks=networks, effort=replace(QUICK, passes=1, detail=False))
    plain.set_image(astronaut)
    plain.edit({"yaw": 25.0})
    whole = plain.preview_crop()
    monkeypatch.setattr("crossrig.session._QUICK", 16)
    early = plain.preview_crop()
    assert early.shape == whole.shape
    with torch.no_grad():
        code = plain.networks.rig.move(plain.style_code, plain._commands(), 1)
        expected = F.interpolate(plain.generator.synthesise(code, resolution=16), (32, 32), mode="bicubic", align_corners=False)
    assert np.abs(early.astype(int) - to_pixels(expected)).mean() < 1.5


def test_a_preview_goes_on_from_what_was_moved_before_when_light_alone_changes(session: EditSession) -> None:
    session.reset()
    session.edit({"yaw": 25.0, "light.azimuth": 20.0})
    session.preview_crop()
    kept = session._carried
    assert kept is not None
    session.edit({"light.azimuth": 70.0})
    again = session.preview_crop()
    assert session._carried is kept
    session._carried = None
    anew = session.preview_crop()
    assert np.abs(again.astype(int) - anew).max() <= 2  # two pictures at once are rounded otherwise than one
    kept = session._carried
    session.edit({"yaw": 26.0})
    session.preview_crop()
    assert session._carried is not kept


def test_a_preview_is_near_the_refined_picture_after_as_many_passes(networks: Networks, astronaut: np.ndarray) -> None:
    session = EditSession("human", networks=networks, effort=replace(QUICK, passes=1))
    session.set_image(astronaut)
    for values in ({"yaw": 20.0}, {"light.azimuth": 60.0}, {"yaw": 20.0, "smile": 0.5, "skinTone": 1.0, "light.azimuth": 60.0}):
        session.reset()
        session.edit(values)
        refined = to_pixels(session._edited(session._subject.target))
        moved = np.abs(refined.astype(int) - session.input_crop()).mean()
        assert np.abs(session.preview_crop().astype(int) - refined).mean() < max(0.2 * moved, 0.5)


def test_warming_up_leaves_the_edit_alone(session: EditSession) -> None:
    session.reset()
    session.edit({"yaw": 25.0})
    before = session.preview_crop()
    session.warm_up()
    assert np.array_equal(session.preview_crop(), before)


@pytest.mark.parametrize("domain", ["human", "toon"])
def test_a_picture_is_read_from_itself_and_not_from_its_code(domain: str, networks: Networks, astronaut: np.ndarray) -> None:
    session = EditSession(domain, networks=replace(networks, generators={domain: networks.generators[domain]}), effort=QUICK)
    session.set_image(astronaut)
    assert torch.equal(session.params.pack(), networks.reconstruction.predict(session._subject.fine).pack())


def test_only_the_person_is_lit(networks: Networks, astronaut: np.ndarray) -> None:
    session = EditSession("human", networks=replace(networks, generators={"human": networks.generators["human"]}), effort=QUICK)
    session.set_image(astronaut)
    session._found = replace(session._subject, person=torch.zeros_like(session._subject.person))
    session.edit({"light.azimuth": 70})
    assert np.array_equal(session.render(), astronaut)


def test_another_face_than_the_largest(networks: Networks, astronaut: np.ndarray) -> None:
    session = EditSession("human", networks=networks, effort=QUICK)
    session.set_image(astronaut, Face(Framing(400, 400, 40), 0.9, "photograph"))
    assert session.cut.left > 300


def test_a_face_placed_by_hand_is_taken_where_it_was_placed(networks: Networks, astronaut: np.ndarray) -> None:
    session = EditSession("human", networks=networks, effort=QUICK)
    session.set_image(astronaut, Framing(221.0, 115.0, 74.0))
    assert session.cut.framing == Framing(221.0, 115.0, 74.0)


def test_a_domain_may_have_an_encoder_of_its_own(tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "own"
    shutil.copytree(tiny_assets, folder)
    shutil.copy(folder / "generator-toon.safetensors", folder / "generator-clay.safetensors")
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(folder))
    tiny = load_generator(folder / "generator-human.safetensors")
    save_encoder(folder / "encoder-clay.safetensors", encoder_for(tiny, EncoderConfig(size=32, hidden=16, rank=4)), {"generator": ""})
    networks = Networks.shipped("clay")
    own = networks.encoder_of("clay")
    assert own is not None
    assert own.config.hidden == 16
    assert own is not networks.encoder
    assert not own.training
    looked: list[torch.Tensor] = []
    own.register_forward_hook(lambda module, inputs, output: looked.append(output))
    EditSession("clay", networks=networks, effort=Effort(steps=1, tuning_steps=0))._invert(torch.zeros(1, 3, 32, 32), "clay", 1, "")
    assert looked
