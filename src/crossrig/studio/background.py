"""A studio beside this program, in a thread or in a process of its own: for notebooks, measurements and tests."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn

from crossrig.studio.guard import Policy
from crossrig.studio.server import make_app, server_config
from crossrig.studio.sessions import Sessions


@contextlib.contextmanager
def serving(sessions: Sessions, token: str | None = None) -> Iterator[int]:
    """Serve on a free port of 127.0.0.1, which is given, until the block ends; with a ``token``, only those who know it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = int(listening.getsockname()[1])
        server = uvicorn.Server(server_config(make_app(sessions, Policy("127.0.0.1", port, token))))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="studio-server", daemon=True)
        thread.start()
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the server ended before it began")
            time.sleep(0.01)
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join()


class StudioProcess:
    """`crossrig studio` in a process of its own, which can be killed at any moment."""

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        """``folder``: where work is kept; ``options`` of the command line. Returns when it serves."""
        words = ("studio", "--no-browser", "--port", "0", "--folder", str(folder), *options)
        program = f"import sys; from crossrig.cli import main; sys.exit(main({words!r}))"
        self._process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        self.port = self._read_port()
        self.pid = self._process.pid

    def kill(self) -> None:
        """End it as `kill -9` does: it is not asked, and can finish nothing."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> StudioProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    def _read_port(self) -> int:
        for line in self._process.stdout or ():
            if (address := re.search(r"http://127\.0\.0\.1:(\d+)/", line)) is not None:
                port = int(address[1])
            if line.startswith("Stop it"):  # everything is said, and nothing more will fill the pipe
                return port
        self.kill()
        raise RuntimeError("the studio ended before it began")
