"""A page without a browser: speaks the studio's protocol, for scripts, measurements and tests."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from crossrig.studio import codec, protocol
from crossrig.studio.protocol import ClientMessage, DomainWish, Frame, Hello, Opened, ServerMessage, UseExample, Welcome

T = TypeVar("T")

PATIENCE = 240.0
"""Seconds after which an answer does not come any more; on a busy computer slow is not wrong."""


@dataclass(frozen=True)
class Address:
    """A studio on this computer."""

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
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}

    @contextlib.contextmanager
    def talk(self, session: str | None = None, origin: str | None = None) -> Iterator[Talk]:
        """A page that said hello; without a session, or with one that is unknown, in a new one."""
        address = f"ws://127.0.0.1:{self.port}/talk"
        with connect(address, origin=Origin(origin or self.origin), max_size=None) as socket:
            socket.send(protocol.write(Hello(protocol.VERSION, session)))
            talk = Talk(socket)
            talk.welcome = talk.wait_for(Welcome)
            yield talk


@dataclass
class Talk:
    """One page's connection; keeps everything that was said, or with ``keep`` false the last only."""

    socket: ClientConnection
    said: list[ServerMessage | tuple[Frame, bytes]] = field(default_factory=list)
    welcome: Welcome = field(init=False)
    keep: bool = True

    def say(self, message: ClientMessage) -> None:
        self.socket.send(protocol.write(message))

    def listen(self, seconds: float = PATIENCE) -> ServerMessage | tuple[Frame, bytes]:
        """What is said next. Raises TimeoutError after so many seconds."""
        content = self.socket.recv(timeout=seconds)
        heard: ServerMessage | tuple[Frame, bytes]
        if isinstance(content, bytes):
            heard = protocol.unpack_frame(content)
        else:
            parsed = json.loads(content)
            heard = codec.read(protocol.SERVER[parsed.pop("type")], parsed)
        if not self.keep:
            self.said.clear()
        self.said.append(heard)
        return heard

    def wait_for(self, kind: type[T], where: Callable[[Any], bool] = lambda message: True) -> T:
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

    def open_example(self, name: str = "astronaut", domain: DomainWish = "human") -> Opened:
        """Take one of the example pictures, and wait until it is taken in."""
        self.say(UseExample(name, domain))
        return self.wait_for(Opened)
