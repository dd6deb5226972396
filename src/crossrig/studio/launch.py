"""Starting the studio: `crossrig studio`."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import threading
import webbrowser
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs
import torch
import uvicorn

from crossrig.errors import UserError
from crossrig.memory import keep_freed_memory
from crossrig.session import Effort, Networks
from crossrig.side import compute_with
from crossrig.studio.guard import LOOPBACK, Policy
from crossrig.studio.server import make_app, server_config
from crossrig.studio.sessions import Sessions

PORT = 8765
"""Always the same if it is free: a browser remembers by the address what work there is."""


_SWITCH = 0.0005
"""Seconds after which Python takes itself from one thread for another; 0.005 by default."""


@dataclass(frozen=True)
class Settings:
    """What `crossrig studio` was told."""

    host: str = "127.0.0.1"
    port: int | None = None
    """None: ``PORT``, or another when that is taken."""
    browser: bool = True
    folder: Path | None = None
    """None: the user's data folder."""
    device: str = "cpu"
    effort: Effort = field(default_factory=Effort)


def default_folder() -> Path:
    """Where work is kept."""
    return Path(platformdirs.user_data_dir("crossrig", appauthor=False)) / "studio"


def run(settings: Settings) -> None:
    """Serve until stopped. Raises UserError when the place or the folder cannot be used."""
    folder = settings.folder if settings.folder is not None else default_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}); name another with --folder.") from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"{folder}: cannot be written to; name another with --folder.")
    listening = _listen(settings.host, settings.port)
    port = int(listening.getsockname()[1])
    token = None if settings.host in LOOPBACK else secrets.token_urlsafe(24)
    keep_freed_memory()
    # A thread that computes asks for Python some hundred times in a preview; another that holds it without need gives it back sooner.
    sys.setswitchinterval(_SWITCH)
    cores = torch.get_num_threads()
    compute_with(1)  # this thread; the worker's has them all
    print("Loading the networks ...", flush=True)
    sessions = Sessions(Networks.shipped("auto", settings.device), folder, settings.effort, cores)
    app = make_app(sessions, Policy(settings.host, port, token))
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
    print(f"The studio is at {address}\nWork is kept in {folder}\nStop it with Ctrl-C.", flush=True)
    if settings.browser:
        threading.Timer(0.5, webbrowser.open, (address,)).start()
    uvicorn.Server(server_config(app)).run(sockets=[listening])


def _listen(host: str, port: int | None) -> socket.socket:
    wanted = PORT if port is None else port
    for attempt in (wanted, 0) if port is None else (wanted,):
        try:
            family, _, _, _, address = socket.getaddrinfo(host, attempt, type=socket.SOCK_STREAM)[0]
            listening = socket.socket(family, socket.SOCK_STREAM)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
            return listening
        except OSError as error:
            listening_error = error
    raise UserError(f"{host}:{wanted} cannot be listened on ({listening_error.strerror}); choose another --host or --port.")
