"""The server from outside: a person's way through it, many at once, and strangers."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from crossrig.session import EditSession, Effort, Networks
from crossrig.studio.examples import EXAMPLES
from crossrig.studio.protocol import (
    ApplyLook,
    Cancel,
    ClearControls,
    ClipPreviewed,
    ClipReady,
    Copied,
    DragHandle,
    Edited,
    FacesFound,
    GoTo,
    Handles,
    Keyframe,
    Lock,
    MakeClip,
    Meters,
    Opened,
    PickFace,
    PlaceFace,
    Point,
    PreviewClip,
    Problem,
    Redo,
    Reset,
    Saved,
    SetControls,
    Show,
    ShowDomains,
    ShowHandles,
    Stopped,
    Undo,
    UseExample,
    UseLook,
    UseSample,
)
from crossrig.studio.sessions import Sessions
from crossrig.studio.worker import Urgency

#: `Studio` and `running` of conftest.py, which cannot be imported.
Studio = Any
Serve = Callable[..., contextlib.AbstractContextManager[Studio]]


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def png(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


@contextlib.contextmanager
def occupied(studio: Studio, session: str) -> Iterator[Any]:
    """The session's editor, while the worker is busy with something else."""
    editor = studio.sessions.find(session)
    began, end = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        end.wait()

    future = editor.ask(work)
    began.wait()
    try:
        yield editor
    finally:
        end.set()
        future.result()


def test_from_an_example_to_a_saved_edit(studio: Studio) -> None:
    with studio.talk() as page:
        opened = page.open_example()
        assert (opened.name, opened.domain, opened.width, opened.height) == ("astronaut", "human", 512, 512)
        start = page.wait_for(Edited)
        assert start.values == {}
        assert start.shown["light.strength"] > 0
        assert not start.can_undo
        before = page.wait_for_frame("before")
        page.say(SetControls({"yaw": 20.0}, False))
        quick, small = page.wait_for_frame("result", refined=False)
        assert quick.answers == 1
        assert pixels(small).shape == (32, 32, 3)
        page.say(SetControls({"yaw": 25.0}, True))
        edited = page.wait_for(Edited)
        assert edited.values == {"yaw": 25.0}
        assert [entry.label for entry in edited.entries] == ["Original", "Turn left or right 25"]
        _, after = page.wait_for_frame("result", revision=quick.revision + 1)
        assert pixels(after).shape == pixels(before[1]).shape
        assert np.abs(pixels(after).astype(int) - pixels(before[1])).mean() > 1
        meters = page.wait_for(Meters)
        assert {row.attribute for row in meters.rows} >= {"pose", "shape"}
        status, content, headers = studio.request("GET", "/picture.png", session=page.welcome.session)
        assert status == 200
        assert headers["content-disposition"] == "attachment; filename*=UTF-8''astronaut-edited.png"
        status, mesh, _ = studio.request("GET", "/face.obj", session=page.welcome.session)
        assert (status, mesh.count(b"\nf ") > 1000) == (200, True)
        status, mesh, headers = studio.request("GET", "/face.glb", session=page.welcome.session)
        assert (status, mesh[:4], headers["content-type"]) == (200, b"glTF", "model/gltf-binary")
        assert studio.request("GET", "/face.stl", session=page.welcome.session)[0] == 404
        packet = Image.open(io.BytesIO(content)).info["xmp"].decode()
        assert "compositeWithTrainedAlgorithmicMedia" in packet
        assert "yaw" in packet


def test_what_is_exported_is_what_the_library_makes(studio: Studio, studio_networks: Networks) -> None:
    human = replace(studio_networks, generators={"human": studio_networks.generators["human"]})
    plain = EditSession("human", networks=human, effort=studio.sessions.effort)
    plain.set_image(EXAMPLES["astronaut"].load())
    plain.edit({"smile": 0.7, "yaw": -12.0})
    with studio.talk() as page:
        page.open_example()
        page.say(SetControls({"smile": 0.7, "yaw": -12.0}, True))
        page.wait_for(Edited, lambda message: bool(message.values))
        _, content, _ = studio.request("GET", "/picture.png", session=page.welcome.session)
    assert np.array_equal(pixels(content), plain.render())


def test_a_newer_value_replaces_those_not_drawn_yet(studio: Studio) -> None:
    with studio.talk() as page:
        page.open_example()
        page.wait_for_frame("model")
        with occupied(studio, page.welcome.session) as editor:  # nothing is drawn while the hand moves
            for value in range(1, 41):
                page.say(SetControls({"yaw": float(value)}, False))
            while editor.values.get("yaw") != 40.0:
                time.sleep(0.01)
        frame, _ = page.wait_for_frame("result", refined=False)
        assert frame.answers == 40


def test_undo_redo_and_the_history(studio: Studio) -> None:
    with studio.talk() as page:
        page.open_example()
        page.wait_for(Edited)
        page.say(SetControls({"smile": 0.5}, True))
        page.say(SetControls({"yaw": 10.0}, True))
        page.say(ApplyLook("surprise"))
        for _ in range(3):
            edited = page.wait_for(Edited)
        assert [entry.label for entry in edited.entries][-1] == "Surprise"
        assert edited.values["yaw"] == 10.0
        assert "smile" not in edited.values  # a mood replaces the mood before
        assert edited.shown["jawOpen"] == pytest.approx(0.9 * 0.45)
        page.say(Undo())
        page.say(Undo())
        assert page.wait_for(Edited).values == {"smile": 0.5, "yaw": 10.0}
        assert page.wait_for(Edited).values == {"smile": 0.5}
        page.say(Redo())
        redone = page.wait_for(Edited)
        assert redone.can_redo
        assert redone.can_undo
        page.say(GoTo(0))
        assert page.wait_for(Edited).values == {}
        page.say(GoTo(99))
        assert "no step 99" in page.wait_for(Problem).sentence
        page.say(GoTo(2))
        page.wait_for(Edited)
        page.say(ClearControls(("smile",)))
        assert page.wait_for(Edited).values == {"yaw": 10.0}
        page.say(Reset())
        reset = page.wait_for(Edited)
        assert reset.values == {}
        assert not reset.can_redo  # a new step after an undo replaces what came after


def test_a_locked_attribute_stays(studio: Studio) -> None:
    with studio.talk() as page:
        page.open_example()
        page.wait_for(Edited)
        page.say(SetControls({"smile": 0.5, "yaw": 10.0}, True))
        page.wait_for(Edited)
        page.say(Lock("expression", True))
        assert page.wait_for(Edited).locked == ("expression",)
        for message in (ApplyLook("surprise"), UseLook("mine", {"jawOpen": 0.4}), Reset()):
            page.say(message)
            edited = page.wait_for(Edited)
            assert edited.values["smile"] == 0.5
            assert "jawOpen" not in edited.values
        assert "yaw" not in edited.values
        page.say(UseLook("mine", {"jawOpen": 4.0}))
        assert "jawOpen" in page.wait_for(Problem).sentence
        page.wait_for(Saved)
        with studio.talk(page.welcome.session) as again:
            assert again.wait_for(Edited).locked == ("expression",)
        page.say(Lock("expression", False))
        page.wait_for(Edited)
        page.say(ApplyLook("surprise"))
        assert "smile" not in page.wait_for(Edited).values


def test_an_attribute_of_another_picture(studio: Studio, studio_networks: Networks) -> None:
    other = EXAMPLES["drawing"].load()
    wanted, _ = EditSession("auto", networks=studio_networks).read(other)
    with studio.talk() as page:
        page.open_example()
        page.say(SetControls({"light.azimuth": 30.0, "smile": 0.5}, True))
        page.wait_for(Edited, lambda message: bool(message.values))
        session = page.welcome.session
        status, _, _ = studio.request("POST", "/attribute/illumination", png(other.pixels), session, X_Crossrig_Name="other.png")
        assert status == 204
        assert page.wait_for(Copied).attribute == "illumination"
        edited = page.wait_for(Edited)
        assert edited.entries[-1].label == "Light of other.png"
        assert edited.values["smile"] == 0.5
        assert "light.azimuth" not in edited.values
        assert edited.values["illumination.4"] == pytest.approx(float(wanted.illumination[0, 4]), abs=1e-5)
        page.say(Undo())
        assert page.wait_for(Edited).values == {"light.azimuth": 30.0, "smile": 0.5}
        page.say(Lock("illumination", True))
        page.wait_for(Edited)
        for path, body, sentence in (
            ("illumination", png(other.pixels), "Light is locked"),
            ("pose", b"no picture", "is not a picture that can be read"),
            ("hair", png(other.pixels), "The attribute must be pose, expression"),
        ):
            status, content, _ = studio.request("POST", f"/attribute/{path}", body, session)
            assert (status, sentence in content.decode()) == (400, True)
        assert studio.request("POST", "/attribute/pose", png(np.full((90, 90, 3), 90, np.uint8)), session)[0] == 204
        assert "no face was found" in page.wait_for(Problem).sentence
        assert studio.request("POST", "/attribute/pose", png(other.pixels))[0] == 422  # nobody's
    with studio.talk() as page:
        status, content, _ = studio.request("POST", "/attribute/pose", png(other.pixels), page.welcome.session)
        assert (status, "no picture yet" in content.decode()) == (400, True)


def test_the_edit_in_every_domain(studio: Studio, studio_networks: Networks) -> None:
    def shown(page: Any, count: int) -> dict[tuple[str, int], np.ndarray]:
        found: dict[tuple[str, int], np.ndarray] = {}
        while len(found) < count:
            heard = page.listen()
            if isinstance(heard, tuple) and heard[0].kind in ("domain", "blend"):
                found[heard[0].kind, heard[0].entry] = pixels(heard[1]).astype(int)
        return found

    with studio.talk() as page:
        assert page.welcome.domains == ("human", "toon")
        page.open_example()
        page.say(SetControls({"yaw": 20.0}, True))
        page.wait_for(Edited, lambda message: bool(message.values))
        page.say(ShowDomains(True, "human", "toon", 0.0))
        first = shown(page, 3)
        human, toon = first["domain", 0], first["domain", 1]
        assert np.array_equal(first["blend", 0], human)
        assert np.abs(human - toon).mean() > 1
        page.say(ShowDomains(True, "human", "toon", 1.0))
        assert np.array_equal(shown(page, 1)["blend", 0], toon)
        page.say(SetControls({"yaw": -20.0}, True))
        assert np.abs(shown(page, 3)["domain", 1] - toon).mean() > 0
        for message in (ShowDomains(True, "human", "animal", 0.0), ShowDomains(True, "human", "toon", 1.5)):
            page.say(message)
            page.wait_for(Problem)
        page.say(ShowDomains(False, "", "", 0.0))


def test_handles_are_dragged(studio: Studio) -> None:
    with studio.talk() as page:
        page.open_example()
        page.wait_for(Edited)
        page.say(ShowHandles(True))
        start = {handle.name: handle for handle in page.wait_for(Handles).handles}
        chin = start["jaw_8"]
        assert start["mouth_outer_0"].x < start["mouth_outer_6"].x
        for step in (1, 2, 3):
            page.say(DragHandle("jaw_8", chin.x, chin.y + 0.01 * step, "expression", step == 3))
        edited = page.wait_for(Edited)
        assert edited.values["jawOpen"] > 0.02
        assert len(edited.entries) == 2
        moved = {handle.name: handle for handle in page.wait_for(Handles, lambda message: message.revision == 4).handles}
        assert moved["jaw_8"].y > chin.y + 0.02
        # there and back in one drag changes nothing
        page.say(DragHandle("jaw_8", 0.9, 0.1, "expression", False))
        page.say(DragHandle("jaw_8", moved["jaw_8"].x, moved["jaw_8"].y, "expression", True))
        assert page.wait_for(Edited).values == edited.values
        page.say(DragHandle("jaw_4", 0.1, 0.8, "shape", True))
        shaped = page.wait_for(Edited).values
        assert set(edited.values) < set(shaped)
        assert "jawWidth" in shaped
        page.say(Show("whole"))
        whole = {handle.name: handle for handle in page.wait_for(Handles).handles}
        assert abs(whole["jaw_8"].x - 220 / 512) < 0.15
        page.say(DragHandle("ear", 0.5, 0.5, "shape", True))
        assert "no handle" in page.wait_for(Problem).sentence


def test_a_key_held_down_is_one_step(studio: Studio) -> None:
    with studio.talk() as page:
        page.open_example()
        page.wait_for(Edited)
        with studio.sessions.worker.changed:  # all within a moment, however slow the computer is
            editor = studio.sessions.find(page.welcome.session)
            for yaw in (1.0, 2.0, 3.0):
                editor.receive(SetControls({"yaw": yaw}, True))
            editor.receive(SetControls({"smile": 0.5}, True))
        edited = page.wait_for(Edited, lambda message: "smile" in message.values)
        assert [entry.label for entry in edited.entries] == ["Original", "Turn left or right 3", "Smile 0.5"]


def test_bad_messages_are_answered_and_change_nothing(studio: Studio) -> None:
    with studio.talk() as page:
        page.say(Undo())
        assert "no picture yet" in page.wait_for(Problem).sentence
        page.open_example()
        page.wait_for(Edited)
        for text in ("{}", "[", '{"type": "Hello", "version": 1}', '{"type": "SetControls", "values": {"yaw": 400}, "settled": true}'):
            page.socket.send(text)
            page.wait_for(Problem)
        page.socket.send(b"\x00\x01")
        page.wait_for(Problem)
        page.say(SetControls({"smlie": 1.0}, True))
        assert "Did you mean smile" in page.wait_for(Problem).sentence
        page.say(ApplyLook("grin"))
        assert "the presets are" in page.wait_for(Problem).sentence
        page.say(UseExample("astronaut"))
        assert "open here already" in page.wait_for(Problem).sentence
        page.say(SetControls({"yaw": 1.0}, True))
        assert page.wait_for(Edited).values == {"yaw": 1.0}


def test_somebody_is_made_up_and_kept(studio: Studio) -> None:
    with studio.talk() as page:
        page.say(UseSample(-1))
        assert "between 0 and" in page.wait_for(Problem).sentence
        page.say(UseSample(12, "toon"))
        assert "number 12" in " ".join(page.wait_for(Opened).notes)
        page.say(SetControls({"yaw": 10.0}, True))
        page.wait_for(Saved, lambda saved: saved.revision >= 1)
        session = page.welcome.session
    with studio.talk(session) as page:
        assert page.wait_for(Opened).name == "sample 12"
        assert page.wait_for(Edited).values == {"yaw": 10.0}
        page.say(UseSample(3))
        assert "open here already" in page.wait_for(Problem).sentence


def test_sessions_do_not_see_one_another(studio: Studio) -> None:
    with studio.talk() as one, studio.talk() as other:
        assert one.welcome.session != other.welcome.session
        one.open_example("astronaut")
        other.open_example("drawing")
        one.say(SetControls({"yaw": 30.0}, True))
        other.say(SetControls({"smile": 0.9}, True))
        assert one.wait_for(Edited, lambda message: bool(message.values)).values == {"yaw": 30.0}
        assert other.wait_for(Edited, lambda message: bool(message.values)).values == {"smile": 0.9}
        for page, name in ((one, "astronaut"), (other, "drawing")):
            _, content, _ = studio.request("GET", "/picture.png", session=page.welcome.session)
            assert np.array_equal(pixels(content)[500:], EXAMPLES[name].load().pixels[500:])  # below the head
    for guess in ("", "x", "../../etc/passwd", "A" * 32):
        status, content, _ = studio.request("GET", "/picture.png", session=guess)
        assert (status, content.decode()) == (400, "The page's secret is not known here; load the page again.")


def test_the_whole_picture_can_be_shown(studio: Studio) -> None:
    with studio.talk() as page:
        page.open_example()
        page.say(Show("whole"))
        _, before = page.wait_for_frame("before")
        while pixels(before).shape != (512, 512, 3):
            _, before = page.wait_for_frame("before")
        page.say(SetControls({"yaw": 20.0}, True))
        edited = page.wait_for(Edited, lambda message: bool(message.values))
        assert edited.can_undo
        frame, after = page.wait_for_frame("result", revision=2)
        assert np.abs(pixels(after)[400:].astype(int) - pixels(before)[400:]).max() <= 24  # far from the head, but for the JPEG
        assert frame.refined


def test_an_upload_is_taken_in_and_bad_ones_are_refused(studio: Studio) -> None:
    photo = png(EXAMPLES["astronaut"].load().pixels)
    with studio.talk() as page:
        session = page.welcome.session
        for body, sentence in (
            (b"no picture", "is not a picture that can be read"),
            (b"", "the file is empty"),
            (photo[: len(photo) // 2], "damaged or incomplete"),
            (png(np.zeros((8, 8, 3), np.uint8)), "each side must be at least"),
        ):
            status, content, _ = studio.request("POST", "/picture", body, session, X_Crossrig_Name="C%3A%5Cpics%5Cme.png")
            assert status == 400
            assert sentence in content.decode()
            assert content.decode().startswith("me.png: ")
        assert studio.request("POST", "/picture?domain=animal", photo, session)[0] == 400
        status, _, _ = studio.request("POST", "/picture", png(np.full((90, 90, 3), 90, np.uint8)), session, X_Crossrig_Name="grey.png")
        assert status == 204
        assert "grey.png: no face was found" in page.wait_for(FacesFound).sentence
        status, _, _ = studio.request("POST", "/picture?domain=human", photo, session, X_Crossrig_Name="..%2F..%2Fme%20%C3%A9.png")
        assert status == 204
        assert page.wait_for(Opened).name == "me é.png"


def test_pictures_that_unpack_to_too_much_are_refused(studio: Studio) -> None:
    bomb = png(np.zeros((9000, 9000), np.uint8))
    with studio.talk() as page:
        status, content, _ = studio.request("POST", "/picture", bomb, page.welcome.session)
    assert status == 400
    assert "million pixels" in content.decode()


def test_of_several_faces_a_person_picks_one(studio: Studio) -> None:
    astronaut = EXAMPLES["astronaut"].load().pixels
    two = np.concatenate([astronaut, cv2.resize(astronaut, (640, 640))[:512]], axis=1)
    with studio.talk() as page:
        assert studio.request("POST", "/picture?domain=human", png(two), page.welcome.session)[0] == 204
        question = page.wait_for(FacesFound)
        assert question.sentence == "2 faces were found; the largest is taken unless you pick another."
        larger, smaller = question.faces
        assert smaller.right < 0.45 < larger.left < larger.right
        _, shown = page.wait_for_frame("faces")
        assert pixels(shown).shape == (512, 1152, 3)
        page.say(PickFace(2))
        assert "2 faces to pick from" in page.wait_for(Problem).sentence
        with studio.talk(page.welcome.session) as other:  # a page that comes later is asked, too
            assert other.wait_for(FacesFound) == question
        page.say(PickFace(1))
        page.wait_for(Opened)
        assert studio.sessions.find(page.welcome.session).cut.left < 400
        page.say(PickFace(0))
        assert "waits for a face" in page.wait_for(Problem).sentence


def test_a_person_may_be_asked_about_a_single_face(studio: Studio) -> None:
    photo = png(EXAMPLES["astronaut"].load().pixels)
    with studio.talk() as page:
        assert studio.request("POST", "/picture?domain=human&ask=face", photo, page.welcome.session)[0] == 204
        question = page.wait_for(FacesFound)
        assert question.sentence.startswith("One face was found")
        assert len(question.faces) == 1
        page.say(PickFace(0))
        page.wait_for(Opened)


def test_where_no_face_is_found_a_person_places_it(studio: Studio) -> None:
    grey = png(np.full((200, 200, 3), 90, np.uint8))
    points = tuple(Point(x, y) for x, y in ((0.4, 0.4), (0.6, 0.4), (0.5, 0.5), (0.42, 0.62), (0.58, 0.62)))
    with studio.talk() as page:
        page.say(PlaceFace(points))
        assert "waits for a face" in page.wait_for(Problem).sentence
        for answer in (Cancel(), PlaceFace(points)):
            assert studio.request("POST", "/picture?domain=human", grey, page.welcome.session)[0] == 204
            assert page.wait_for(FacesFound).faces == ()
            page.say(PlaceFace(points[:3]))
            assert "five points" in page.wait_for(Problem).sentence
            page.say(PlaceFace((*points[:4], Point(1.5, 0.5))))
            assert "must lie in the picture" in page.wait_for(Problem).sentence
            page.say(answer)
            page.wait_for(Stopped if answer == Cancel() else Opened)
        cut = studio.sessions.find(page.welcome.session).cut
        assert 60 < cut.framing.x < 140


def test_taking_in_can_be_stopped(studio: Studio) -> None:
    with studio.talk() as page:
        with occupied(studio, page.welcome.session):  # the work cannot begin
            page.say(UseExample("astronaut", "human"))
            page.say(Cancel())
            page.wait_for(Stopped)
        page.open_example()


def test_work_survives_the_end_of_the_program(studio: Studio, studio_networks: Networks, serve: Serve) -> None:
    with studio.talk() as page:
        page.open_example()
        page.say(SetControls({"smile": 0.6, "yaw": 8.0}, True))
        page.say(SetControls({"yaw": 14.0}, False))  # the hand holds on
        page.wait_for(Saved, lambda saved: saved.revision >= 3)
        session = page.welcome.session
        _, before, _ = studio.request("GET", "/picture.png", session=session)
    # nothing is closed properly: another studio finds what lies on the disk
    with serve(Sessions(studio_networks, studio.sessions.root, studio.sessions.effort)) as again, again.talk(session) as page:
        assert not page.welcome.fresh
        edited = page.wait_for(Edited)
        assert edited.values == {"smile": 0.6, "yaw": 14.0}
        assert edited.entries[0].label == "Original"
        _, after, _ = again.request("GET", "/picture.png", session=session)
        assert np.array_equal(pixels(before), pixels(after))
        page.say(Undo())
        assert page.wait_for(Edited).values == {"smile": 0.6, "yaw": 8.0}


def test_work_is_kept_although_the_hand_never_rests(studio: Studio) -> None:
    with studio.talk() as page:
        page.open_example()
        with occupied(studio, page.welcome.session) as editor:
            editor.receive(SetControls({"yaw": 14.0}, False))
            now = time.monotonic()
            assert editor.next_step(now).urgency == Urgency.PREVIEW
            assert editor.next_step(now + 0.8).urgency == Urgency.OVERDUE


def test_a_project_file_gives_the_same_pixels(studio: Studio) -> None:
    with studio.talk() as page:
        page.open_example()
        page.say(SetControls({"smile": 0.6, "yaw": 8.0}, True))
        page.wait_for(Edited, lambda message: bool(message.values))
        _, picture, _ = studio.request("GET", "/picture.png", session=page.welcome.session)
        status, project, headers = studio.request("GET", "/project", session=page.welcome.session)
        assert status == 200
        assert "astronaut.crossrig.zip" in headers["content-disposition"]
    with studio.talk() as page:
        session = page.welcome.session
        damaged = io.BytesIO()
        with zipfile.ZipFile(damaged, "w") as archive:
            archive.writestr("../escape.txt", "x")
        others = ((damaged.getvalue(), "no project of crossrig"), (project[:5000], "no readable zip"), (b"x", "no readable zip"))
        for body, sentence in others:
            status, content, _ = studio.request("POST", "/project", body, session)
            assert (status, sentence in content.decode()) == (400, True)
        assert studio.request("POST", "/project", project, session)[0] == 204
        assert page.wait_for(Edited).values == {"smile": 0.6, "yaw": 8.0}
        _, again, _ = studio.request("GET", "/picture.png", session=session)
    assert np.array_equal(pixels(picture), pixels(again))


def test_clips(studio: Studio) -> None:
    keyframes = (Keyframe(0.0, {"yaw": -20.0}), Keyframe(0.5, {"yaw": 20.0, "smile": 1.0}))
    with studio.talk() as page:
        page.open_example()
        page.say(MakeClip(keyframes, "smooth", 6, "png"))
        ready = page.wait_for(ClipReady)
        assert (ready.name, ready.frames) == ("astronaut.zip", 4)
        status, content, _ = studio.request("GET", "/clip", session=page.welcome.session)
        assert status == 200
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            first, last = (pixels(archive.read(name)) for name in (archive.namelist()[0], archive.namelist()[-1]))
        assert np.abs(first.astype(int) - last).mean() > 1
        page.say(MakeClip(keyframes[:1], "smooth", 6, "png"))
        assert "two keyframes" in page.wait_for(Problem).sentence
        page.say(PreviewClip(keyframes, "smooth"))
        shown = []
        while not shown or shown[-1].entry < 5:
            frame, content = page.wait_for_frame("clip", refined=False)
            assert pixels(content).shape == (32, 32, 3)
            shown.append(frame)
        assert [frame.entry for frame in shown] == list(range(6))
        if not any(isinstance(said, ClipPreviewed) for said in page.said):
            page.wait_for(ClipPreviewed)
        page.say(PreviewClip(keyframes[:1], "smooth"))
        assert "two keyframes" in page.wait_for(Problem).sentence
        with occupied(studio, page.welcome.session):
            page.say(MakeClip(keyframes, "smooth", 6, "gif"))
            page.say(Cancel())
            page.wait_for(Stopped)


# -- strangers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1.evil.example:80", ""])
def test_requests_for_another_host_are_refused(studio: Studio, host: str) -> None:
    assert studio.request("GET", "/", Host=host)[0] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_other_pages_may_not_send(studio: Studio, origin: str) -> None:
    with studio.talk() as page:
        assert studio.request("POST", "/picture", b"x", page.welcome.session, Origin=origin)[0] == 403
    with pytest.raises((InvalidStatus, ConnectionClosed)), studio.talk(origin=origin):
        pass


def test_every_answer_forbids_what_is_not_ours(studio: Studio) -> None:
    for path in ("/", "/page/studio.js", "/nothing", "/examples/astronaut"):
        _, _, headers = studio.request("GET", path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/page/../server.py", "/page/..%2Fserver.py", "/page/%2e%2e/server.py", "/page/__init__.py", "/examples/..%2Fx"]
)
def test_no_path_leaves_the_page(studio: Studio, path: str) -> None:
    assert studio.request("GET", path)[0] == 404


def test_elsewhere_a_token_is_wanted(studio_networks: Networks, serve: Serve, tmp_path: Path) -> None:
    with serve(Sessions(studio_networks, tmp_path, Effort()), token="s3cret") as studio:
        assert studio.request("GET", "/")[0] == 403
        assert studio.request("GET", "/?token=wrong")[0] == 403
        status, _, headers = studio.request("GET", "/?token=s3cret")
        assert status == 200
        cookie = headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert studio.request("GET", "/page/studio.js", Cookie=cookie.split(";")[0])[0] == 200
        assert studio.request("GET", "/", Cookie="crossrig-studio=wrong")[0] == 403
        with pytest.raises(InvalidStatus):
            connect(f"ws://127.0.0.1:{studio.port}/talk", origin=studio.origin)  # type: ignore[arg-type]


def test_too_many_messages_end_the_connection(studio: Studio) -> None:
    def flood(page: Any) -> None:
        for _ in range(2000):
            page.socket.send(json.dumps({"type": "Undo"}))
        while True:
            page.listen()

    with studio.talk() as page, pytest.raises(ConnectionClosed):
        flood(page)
