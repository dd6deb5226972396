"""Many pages at once: each gets pictures of its own session, and of no other.

Each page is a connection that opens its own picture (the examples, as they are and mirrored) and drags its own way. What it was shown last
and what it saves are compared, byte for byte and pixel for pixel, with what the library makes of that page's picture and controls when it
is alone.
"""

from __future__ import annotations

import io
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from crossrig.data.pictures import Picture, from_array
from crossrig.session import EditSession, Effort, Networks
from crossrig.studio.background import serving
from crossrig.studio.client import Address, Talk
from crossrig.studio.examples import EXAMPLES
from crossrig.studio.pictures import to_jpeg, to_png
from crossrig.studio.project import ProjectFolder
from crossrig.studio.protocol import Frame, Opened, SetControls
from crossrig.studio.sessions import Sessions


@dataclass
class Shown:
    """What a page saw in the end."""

    session: str
    values: dict[str, float]
    frame: bytes
    saved: bytes


def measure(networks: Networks, effort: Effort, pages: int, drags: int) -> dict[str, float]:
    """How many of ``pages`` pages saw, and saved, exactly their own pictures, after ``drags`` drags each."""
    # one domain: which of two fits best is another question
    networks = replace(networks, generators={"human": networks.generators["human"]})
    pictures = [_picture(number) for number in range(pages)]
    shown: dict[int, Shown] = {}
    failed: list[BaseException] = []

    def look(number: int) -> None:
        try:
            shown[number] = _look(address, number, pictures[number], drags)
        except BaseException as error:
            failed.append(error)

    with tempfile.TemporaryDirectory() as folder:
        sessions = Sessions(networks, Path(folder), effort)
        with serving(sessions) as port:
            address = Address(port)
            threads = [threading.Thread(target=look, args=(number,)) for number in range(pages)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if failed:
            raise failed[0]
        right = [_is_right(networks, effort, Path(folder), pictures[number], shown[number]) for number in range(pages)]
    return {"pages": pages, "pages.correct_frames": sum(frame for frame, _ in right), "pages.correct_files": sum(file for _, file in right)}


def _picture(number: int) -> Picture:
    """One of the examples, the second time darker."""
    turn, place = divmod(number, len(EXAMPLES))
    example = list(EXAMPLES.values())[place].load().pixels
    return from_array((example * (1.0 - 0.1 * turn)).astype(np.uint8), f"page{number}.png")


def _look(address: Address, number: int, picture: Picture, drags: int) -> Shown:
    with address.talk() as page:
        session = page.welcome.session
        status, answer, _ = address.request("POST", "/picture?domain=human", to_png(picture.pixels), session, X_Crossrig_Name=picture.name)
        if status != 204:
            raise RuntimeError(answer.decode())
        page.wait_for(Opened)
        for step in range(drags):
            page.say(SetControls({"yaw": float((7 * number + 3 * step) % 50 - 25), "smile": (number + step) % 10 / 10}, False))
            page.wait_for_frame("result", refined=False)
        values = {"yaw": 5.0 * number - 20.0, "smile": 0.05 * number, "light.azimuth": 15.0 * number - 60.0}
        page.say(SetControls(values, True))
        _, content = _last(page, drags + 1)
        _, saved, _ = address.request("GET", "/picture.png", session=session)
    return Shown(session, values, content, saved)


def _last(page: Talk, answers: int) -> tuple[Frame, bytes]:
    """The refined picture after the last `SetControls`."""
    while True:
        frame, content = page.wait_for_frame("result")
        if frame.answers == answers:
            return frame, content


def _is_right(networks: Networks, effort: Effort, root: Path, picture: Picture, shown: Shown) -> tuple[bool, bool]:
    project = ProjectFolder(root, shown.session).read()
    if not np.array_equal(project.picture.pixels, picture.pixels):
        return False, False
    alone = EditSession("human", networks=networks, effort=effort)
    alone.recall(project.picture, project.memory)
    alone.edit(shown.values)
    saved = np.asarray(Image.open(io.BytesIO(shown.saved)).convert("RGB"))
    return shown.frame == to_jpeg(alone.render_crop()), np.array_equal(saved, alone.render())
