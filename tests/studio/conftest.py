"""A studio on a free port of 127.0.0.1 with tiny untrained networks, and a client that speaks its protocol."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from crossrig import assets
from crossrig.data.detect import detect_faces
from crossrig.session import Effort, Networks
from crossrig.studio.background import serving
from crossrig.studio.client import Address
from crossrig.studio.sessions import Sessions

QUICK = Effort(trial_steps=1, steps=2, tuning_steps=1)


@dataclass(frozen=True)
class Studio(Address):
    """A running server."""

    sessions: Sessions


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
        patch.setattr("crossrig.studio.intake.detect_faces", detect)
        yield


@pytest.fixture(scope="session")
def studio_networks(tiny_assets: Path) -> Iterator[Networks]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
        yield Networks.shipped("auto")


@contextlib.contextmanager
def running(sessions: Sessions, token: str | None = None) -> Iterator[Studio]:
    """A server on a free port, in a thread."""
    with serving(sessions, token) as port:
        yield Studio(port, sessions)


@pytest.fixture(scope="module")  # and no longer: other tests stop the clock that a server's loop lives by
def studio(studio_networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with running(Sessions(studio_networks, tmp_path_factory.mktemp("studio"), QUICK)) as studio:
        yield studio


@pytest.fixture(scope="session")
def serve() -> Callable[..., contextlib.AbstractContextManager[Studio]]:
    """`running`, for tests that need another server."""
    return running
