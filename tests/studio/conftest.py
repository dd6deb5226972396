"""A studio on a free port of 127.0.0.1 with tiny untrained networks, and a client that speaks its protocol."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from numpy.typing import NDArray
from websockets.sync.client import ClientConnection, connect

from crossrig import assets
from crossrig.data.detect import detect_faces
from crossrig.session import Effort, Networks
from crossrig.studio import codec, protocol
from crossrig.studio.guard import Policy
from crossrig.studio.protocol import ClientMessage, Frame, Hello, Opened, ServerMessage, UseExample, Welcome
from crossrig.studio.server import make_app
from crossrig.studio.sessions import Sessions

WAIT = 240.0
"""Seconds after which an answer does not come any more; on a busy computer slow is not wrong."""
QUICK = Effort(trial_steps=1, steps=2, tuning_steps=1)


@dataclass
class Studio:
    """A running server."""

    sessions: Sessions
    port: int

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(
        self, method: str, path: str, body: bytes | None = None, session: str | None = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers; ``headers`` with `_` for `-`."""
        given = {"Origin": self.origin, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if session is not None:
            given["X-Crossrig-Session"] = session
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        with contextlib.closing(connection):
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}

    @contextlib.contextmanager
    def talk(self, session: str | None = None, origin: str | None = None) -> Iterator[Talk]:
        """A page that said hello."""
        with connect(f"ws://127.0.0.1:{self.port}/talk", origin=origin or self.origin, max_size=None) as socket:  # type: ignore[arg-type]
            talk = Talk(socket)
            talk.say(Hello(protocol.VERSION, session))
            talk.welcome = talk.wait_for(Welcome)
            yield talk


@dataclass
class Talk:
    """One page's connection; keeps everything that was said."""

    socket: ClientConnection
    said: list[ServerMessage | tuple[Frame, bytes]] = field(default_factory=list)
    welcome: Any = None

    def say(self, message: ClientMessage) -> None:
        self.socket.send(protocol.write(message))

    def listen(self, seconds: float = WAIT) -> ServerMessage | tuple[Frame, bytes]:
        content = self.socket.recv(timeout=seconds)
        heard: ServerMessage | tuple[Frame, bytes]
        if isinstance(content, bytes):
            heard = protocol.unpack_frame(content)
        else:
            parsed = json.loads(content)
            heard = codec.read(protocol.SERVER[parsed.pop("type")], parsed)
        self.said.append(heard)
        return heard

    def wait_for(self, kind: type, where: Callable[[Any], bool] = lambda message: True) -> Any:
        """The next message of a kind."""
        while True:
            heard = self.listen()
            if isinstance(heard, kind) and where(heard):
                return heard

    def wait_for_frame(self, kind: str, refined: bool = True, revision: int = 0) -> tuple[Frame, bytes]:
        """The next picture of a kind, of this revision at least."""
        while True:
            heard = self.listen()
            if isinstance(heard, tuple) and heard[0].kind == kind and heard[0].refined == refined and heard[0].revision >= revision:
                return heard

    def open_example(self, name: str = "astronaut") -> Opened:
        self.say(UseExample(name, "human"))
        opened: Opened = self.wait_for(Opened)
        return opened


@pytest.fixture(scope="session", autouse=True)
def faces_are_sought_once() -> Iterator[None]:
    """The same few pictures are taken in again and again: what the detector found in them is remembered."""
    found: dict[bytes, Any] = {}

    def detect(picture: NDArray[np.uint8], *others: Any) -> Any:
        key = hashlib.sha256(picture.tobytes()).digest()
        if key not in found:
            found[key] = detect_faces(picture, *others)
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crossrig.session.detect_faces", detect)
        yield


@pytest.fixture(scope="session")
def studio_networks(tiny_assets: Path) -> Iterator[Networks]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
        yield Networks.shipped("auto")


@contextlib.contextmanager
def running(sessions: Sessions, token: str | None = None) -> Iterator[Studio]:
    """A server on a free port, in a thread."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        app = make_app(sessions, Policy("127.0.0.1", port, token))
        config = uvicorn.Config(app, log_level="warning", ws="websockets-sansio", ws_max_size=1 << 17, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield Studio(sessions, port)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")  # and no longer: other tests stop the clock that a server's loop lives by
def studio(studio_networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with running(Sessions(studio_networks, tmp_path_factory.mktemp("studio"), QUICK)) as studio:
        yield studio


@pytest.fixture(scope="session")
def serve() -> Callable[..., contextlib.AbstractContextManager[Studio]]:
    """`running`, for tests that need another server."""
    return running
