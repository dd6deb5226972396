"""What nothing that is read may ever call."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest


@pytest.fixture
def canary() -> Iterator[list[str]]:
    """A module whose function notes that it was called, importable while the test runs."""
    calls: list[str] = []
    module = ModuleType("canary")
    module.sing = calls.append  # type: ignore[attr-defined]
    sys.modules["canary"] = module
    yield calls
    del sys.modules["canary"]
