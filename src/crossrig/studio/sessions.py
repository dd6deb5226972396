"""All sessions of a studio: opened by whoever knows the secret, forgotten when nobody looks, found again on disk."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from torch import nn

from crossrig.errors import UserError
from crossrig.session import Effort, Networks
from crossrig.studio.editor import Editor
from crossrig.studio.project import ProjectFolder, fingerprint
from crossrig.studio.worker import Worker

MOST = 64
"""Sessions in memory."""
KEPT = 8
"""Sessions without a page that stay in memory, the latest ones."""

_SECRET = re.compile(r"[A-Za-z0-9_-]{32}")


class Sessions:
    """Secret -> editor."""

    def __init__(self, networks: Networks, root: Path, effort: Effort, cores: int | None = None) -> None:
        """`cores`: see `Worker`."""
        self.networks = networks
        self.root = root
        self.effort = effort
        self.worker = Worker(cores)
        self.fingerprint = fingerprint(_contents(networks))
        self._editors: dict[str, Editor] = {}
        self._lock = threading.RLock()

    def open(self) -> tuple[str, Editor]:
        """A new session. Raises UserError when there are too many."""
        secret = secrets.token_urlsafe(24)
        return secret, self._add(secret)

    def find(self, secret: str) -> Editor | None:
        """The session of this secret, from memory or from disk."""
        if not _SECRET.fullmatch(secret):
            return None
        with self._lock:  # two pages may ask for it at once
            editor = self._editors.get(secret)
            if editor is None and ProjectFolder(self.root, secret).exists():
                editor = self._add(secret)
                editor.reopen()
            return editor

    def forget_idle(self) -> None:
        """Drop sessions that nobody looks at; what they hold is on disk."""
        with self._lock:
            idle = sorted((editor.last_seen, secret) for secret, editor in self._editors.items() if not editor.busy)
            for _, secret in idle[: max(0, len(idle) - KEPT)]:
                self.worker.remove(self._editors.pop(secret))

    def _add(self, secret: str) -> Editor:
        with self._lock:
            self.forget_idle()
            if len(self._editors) >= MOST:
                raise UserError(f"There are {MOST} sessions open; close the page of one of them first.")
            editor = Editor(self.worker, self.networks, self.fingerprint, ProjectFolder(self.root, secret), self.effort)
            editor.last_seen = time.monotonic()
            self._editors[secret] = editor
            self.worker.add(editor)
        return editor


def _contents(networks: Networks) -> Iterator[tuple[str, bytes]]:
    """Every weight that decides what an edit looks like."""
    parts: dict[str, nn.Module] = {f"generator-{name}": generator for name, generator in networks.generators.items()}
    for part, network in (parts | {"rig": networks.rig, "model": networks.model}).items():
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            yield f"{part}.{name}", tensor.detach().cpu().contiguous().numpy().tobytes()
