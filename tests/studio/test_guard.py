"""Who may talk to the studio (the requests themselves are tried in test_server.py)."""

from __future__ import annotations

import pytest

from crossrig.studio.guard import Bucket, Policy


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:8765", True),
        ("localhost:8765", True),
        ("[::1]:8765", True),
        ("127.0.0.1", False),
        ("127.0.0.1:80", False),
        ("evil.example:8765", False),
        ("localhost.evil.example:8765", False),
        ("", False),
    ],
)
def test_only_our_own_host_is_answered(host: str, allowed: bool) -> None:
    assert Policy("127.0.0.1", 8765, None).allows_host(host) is allowed


def test_a_bucket_fills_with_time() -> None:
    now = 0.0
    bucket = Bucket(2.0, 3.0, lambda: now)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    now = 0.5
    assert [bucket.take() for _ in range(2)] == [True, False]
    now = 100.0
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
