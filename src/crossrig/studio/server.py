"""The studio's server: the page's files, a WebSocket for the messages of `protocol.py`, and what is too large for them.

The session is named in a header, never in an address: addresses end up in logs and histories.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, cast, get_args
from urllib.parse import quote, unquote

import uvicorn
from fastapi import FastAPI, Header, Query, Request, Response, WebSocket, WebSocketDisconnect
from starlette.concurrency import run_in_threadpool

from crossrig.data.pictures import Picture
from crossrig.errors import UserError
from crossrig.studio import panel, pictures, protocol
from crossrig.studio.editor import Editor
from crossrig.studio.examples import EXAMPLES
from crossrig.studio.guard import Bucket, Guard, Policy
from crossrig.studio.project import LARGEST_ZIP
from crossrig.studio.protocol import (
    Attribute,
    Cancel,
    ClientMessage,
    Frame,
    Hello,
    Problem,
    Progress,
    ServerMessage,
    UseExample,
    Welcome,
)
from crossrig.studio.sessions import Sessions

PAGE = Path(__file__).parent / "page"
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_MEDIA = {
    ".png": "image/png", ".jpg": "image/jpeg", ".mp4": "video/mp4", ".gif": "image/gif", ".zip": "application/zip", ".obj": "model/obj",
    ".glb": "model/gltf-binary",
}  # fmt: skip

MESSAGES_A_SECOND = 240.0
UPLOADS_A_MINUTE = 20.0
SESSIONS_A_MINUTE = 60.0
_GREETING = 10.0
"""Seconds in which a page must say `Hello`."""

SessionHeader = Annotated[str, Header(alias="x-crossrig-session")]
NameHeader = Annotated[str, Header(alias="x-crossrig-name")]


class Page:
    """One connection. What it has not yet been sent waits here: messages in order, of each kind of picture and of progress the newest."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._loop = asyncio.get_running_loop()
        self._messages: list[ServerMessage] = []
        self._frames: dict[tuple[str, int], tuple[Frame, bytes]] = {}
        self._something = asyncio.Event()

    def say(self, message: ServerMessage) -> None:
        """Called on any thread."""
        self._call(lambda: self._add(message))

    def show(self, frame: Frame, picture: bytes) -> None:
        """Called on any thread."""
        self._call(lambda: self._frames.__setitem__((frame.kind, frame.entry), (frame, picture)))

    def _call(self, change: Callable[[], None]) -> None:
        def apply() -> None:
            change()
            self._something.set()

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(apply)

    def _add(self, message: ServerMessage) -> None:
        if isinstance(message, Progress) and self._messages and isinstance(self._messages[-1], Progress):
            self._messages.pop()
        self._messages.append(message)

    async def send(self) -> None:
        """Send what there is, for ever."""
        while True:
            await self._something.wait()
            self._something.clear()
            messages, self._messages = self._messages, []
            for message in messages:
                await self._socket.send_text(protocol.write(message))
            while self._frames:
                key = next(iter(self._frames))
                await self._socket.send_bytes(protocol.pack_frame(*self._frames.pop(key)))


def server_config(app: FastAPI) -> uvicorn.Config:
    """How the application is served, wherever that is."""
    return uvicorn.Config(
        app, log_level="warning", ws="websockets-sansio", ws_max_size=1 << 17, server_header=False, timeout_graceful_shutdown=2,
        access_log=False, proxy_headers=False, ws_per_message_deflate=False,  # pictures are compressed already, and must come quickly
    )  # fmt: skip


def make_app(sessions: Sessions, policy: Policy) -> FastAPI:
    """The application; its sessions' worker runs as long as it does."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        sessions.worker.start()
        yield
        await run_in_threadpool(sessions.worker.stop)

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(cast(Any, Guard), policy=policy)
    uploads = Bucket(UPLOADS_A_MINUTE / 60, UPLOADS_A_MINUTE)
    opened = Bucket(SESSIONS_A_MINUTE / 60, SESSIONS_A_MINUTE)
    decoding = asyncio.Semaphore(2)
    files = {path.name: (path, _KINDS[path.suffix]) for path in PAGE.iterdir() if path.suffix in _KINDS}

    @app.exception_handler(UserError)
    async def refused(request: Request, error: Exception) -> Response:
        return Response(str(error), 400, media_type="text/plain")

    @app.get("/")
    async def index() -> Response:
        return _file(*files["index.html"])

    @app.get("/page/{name}")
    async def page_file(name: str) -> Response:
        # a name is looked up among those that are there; it is never made a path
        return _file(*files[name]) if name in files else Response("There is no such file.", 404)

    @app.get("/examples/{name}")
    async def example(name: str) -> Response:
        if name not in EXAMPLES:
            return Response("There is no such example.", 404)
        picture = await run_in_threadpool(EXAMPLES[name].load)
        return Response(pictures.to_jpeg(pictures.fitted(picture.pixels, 320), 88), media_type="image/jpeg")

    async def _picture(request: Request, name: str) -> tuple[Picture, bytes]:
        """A stranger's picture, and it encoded anew."""
        if not uploads.take():
            raise UserError(f"More than {UPLOADS_A_MINUTE:g} files were sent within a minute; wait a little.")
        content = await _body(request, pictures.LARGEST_UPLOAD)
        async with decoding:
            return await run_in_threadpool(pictures.take_in, content, _clean(name))

    @app.post("/picture")
    async def upload(
        request: Request,
        x_session: SessionHeader,
        x_name: NameHeader = "picture",
        domain: Annotated[str, Query()] = "auto",
        ask: Annotated[str, Query()] = "",
    ) -> Response:
        editor = _editor(sessions, x_session)
        picture, png = await _picture(request, x_name)
        editor.take(picture, png, domain, ask == "face")
        return Response(status_code=204)

    @app.post("/attribute/{attribute}")
    async def copy(request: Request, attribute: str, x_session: SessionHeader, x_name: NameHeader = "picture") -> Response:
        editor = _editor(sessions, x_session)
        if attribute not in get_args(Attribute):
            raise UserError(f"The attribute must be {', '.join(get_args(Attribute))}.")
        picture, _ = await _picture(request, x_name)
        editor.copy(picture, cast(Attribute, attribute))
        return Response(status_code=204)

    @app.post("/project")
    async def open_project(request: Request, x_session: SessionHeader) -> Response:
        editor = _editor(sessions, x_session)
        if not uploads.take():
            raise UserError(f"More than {UPLOADS_A_MINUTE:g} files were sent within a minute; wait a little.")
        content = await _body(request, LARGEST_ZIP)
        if editor.has_picture:
            raise UserError("A picture is open here already; start anew for a project.")
        async with decoding:
            await run_in_threadpool(editor.folder.unzip, content)
        editor.reopen()
        return Response(status_code=204)

    @app.get("/project")
    async def save_project(x_session: SessionHeader) -> Response:
        editor = _editor(sessions, x_session)
        content = await asyncio.wrap_future(editor.project())
        return _download(content, f"{_stem(editor.name)}.crossrig.zip", ".zip")

    @app.get("/picture.{ending}")
    async def export(ending: str, x_session: SessionHeader) -> Response:
        if ending not in ("png", "jpg"):
            return Response("Pictures are saved as png or jpg.", 404)
        editor = _editor(sessions, x_session)
        content = await asyncio.wrap_future(editor.export(f".{ending}"))
        return _download(content, f"{_stem(editor.name)}-edited.{ending}", f".{ending}")

    @app.get("/face.{ending}")
    async def face(ending: str, x_session: SessionHeader) -> Response:
        if ending not in ("obj", "glb"):
            return Response("3D faces are saved as obj or glb.", 404)
        editor = _editor(sessions, x_session)
        content = await asyncio.wrap_future(editor.face(f".{ending}"))
        return _download(content, f"{_stem(editor.name)}.{ending}", f".{ending}")

    @app.get("/clip")
    async def clip(x_session: SessionHeader) -> Response:
        editor = _editor(sessions, x_session)
        if editor.clip is None:
            raise UserError("There is no clip yet; make one first.")
        return _download(editor.clip.content, f"{_stem(editor.clip.name)}{editor.clip.ending}", editor.clip.ending)

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        page = Page(socket)
        editor = None
        sending = asyncio.create_task(page.send())
        try:
            editor = await _greet(socket, page, sessions, opened)
            if editor is not None:
                await _listen(socket, page, editor)
        except (WebSocketDisconnect, TimeoutError, RuntimeError):
            pass  # gone, silent, or closed while something was sent
        finally:
            sending.cancel()
            if editor is not None:
                editor.detach(page)
                sessions.forget_idle()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await sending
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close()

    return app


async def _greet(socket: WebSocket, page: Page, sessions: Sessions, opened: Bucket) -> Editor | None:
    """Open or find the session that the page asks for."""
    try:
        hello = protocol.parse(await _text(socket, _GREETING))
        if not isinstance(hello, Hello):
            raise UserError("The first message must be Hello.")
        if hello.version != protocol.VERSION:
            raise UserError("The page and the program are of different versions; load the page again.")
        editor = await run_in_threadpool(sessions.find, hello.session) if hello.session else None
        secret = hello.session or ""
        fresh = editor is None
        if editor is None:
            if not opened.take():
                raise UserError("Too many sessions were opened within a minute; wait a little.")
            secret, editor = sessions.open()
    except UserError as error:
        await socket.send_text(protocol.write(Problem(str(error))))
        return None
    examples = tuple(example.info for example in EXAMPLES.values())
    looks = tuple(look.info for look in panel.LOOKS.values())
    domains = tuple(sessions.networks.generators)
    page.say(Welcome(secret, fresh, panel.panel(), looks, examples, domains, str(sessions.root)))
    editor.attach(page)
    return editor


async def _listen(socket: WebSocket, page: Page, editor: Editor) -> None:
    """Do what the page says until it is gone. Nothing that it says ends the connection, except too much of it."""
    messages = Bucket(MESSAGES_A_SECOND, 2 * MESSAGES_A_SECOND)
    while True:
        text = await _text(socket, None)
        if not messages.take():
            await socket.close(1008, "Too many messages.")
            return
        try:
            await _obey(protocol.parse(text), editor)
        except UserError as error:
            page.say(Problem(str(error)))


async def _obey(message: ClientMessage, editor: Editor) -> None:
    match message:
        case Cancel():
            editor.cancel()
        case UseExample(name, domain):
            if name not in EXAMPLES:
                raise UserError(f"There is no such example; there are {', '.join(EXAMPLES)}.")
            picture = await run_in_threadpool(EXAMPLES[name].load)
            editor.take(picture, await run_in_threadpool(pictures.to_png, picture.pixels), domain)
        case Hello():
            raise UserError("Hello was said already.")
        case _:
            editor.receive(message)


async def _text(socket: WebSocket, seconds: float | None) -> str:
    """The next message; a binary one is refused like any other nonsense."""
    async with asyncio.timeout(seconds):
        message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    text: str = message.get("text") or ""
    return text


async def _body(request: Request, limit: int) -> bytes:
    """The body of a request, read no further than the limit."""
    too_large = UserError(f"The file has more than {limit >> 20} MB; choose a smaller one.")
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > limit:
            raise too_large
    return bytes(parts)


def _editor(sessions: Sessions, secret: str) -> Editor:
    editor = sessions.find(secret)
    if editor is None:
        raise UserError("The page's secret is not known here; load the page again.")
    return editor


def _clean(name: str) -> str:
    """What a file is called in messages: the last part of its name, of printable characters."""
    text = unquote(name, errors="replace").replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in text if character.isprintable())[:80] or "picture"


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _file(path: Path, kind: str) -> Response:
    return Response(path.read_bytes(), media_type=kind)


def _download(content: bytes, name: str, ending: str) -> Response:
    return Response(
        content, media_type=_MEDIA[ending], headers={"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    )
