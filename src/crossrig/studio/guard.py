"""Who may talk to the studio, and how much.

The studio edits pictures of people on somebody's own computer. Any web page that the person has open can send requests to 127.0.0.1, so
every request must name this server as its host (against DNS rebinding), and whatever changes something must come from its own page.
Bound to another address than the loopback, it also wants a token.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
COOKIE = "crossrig-studio"

#: Headers of every answer. Nothing is loaded from elsewhere, no script but our files runs, and nobody may frame the page.
HEADERS: tuple[tuple[str, str], ...] = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(self), microphone=(), geolocation=()"),
    ("cache-control", "no-store"),
)

Scope = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[Any], Any]


@dataclass(frozen=True)
class Policy:
    """Where the studio listens."""

    host: str
    port: int
    token: str | None
    """Wanted of everybody; None on the loopback."""

    def allows_host(self, host: str) -> bool:
        """Whether a request for this `Host` is meant for us."""
        if self.token is not None:
            return bool(host)  # every name may be right; the token, which other sites do not know, decides
        names = LOOPBACK | {self.host}
        return host in {f"{f'[{name}]' if ':' in name else name}:{self.port}" for name in names}


@dataclass
class Bucket:
    """At most ``rate`` a second, ``burst`` at once."""

    rate: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    _level: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._level, self._at = self.burst, self.clock()

    def take(self) -> bool:
        """Whether one more is allowed now."""
        now = self.clock()
        self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True


class Guard:
    """ASGI middleware: refuses strangers before anything else sees the request, and adds the headers to every answer."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Any], policy: Policy) -> None:
        self.app = app
        self.policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        wanted = self.policy.token
        by_address = _token_of_address(scope) if wanted is not None else None
        reason = self._reason(scope, headers, by_address)
        if reason is not None:
            await _refuse(scope, receive, send, reason)
            return
        cookie = ""
        if wanted is not None and by_address is not None and scope["type"] == "http":
            cookie = f"{COOKIE}={wanted}; HttpOnly; SameSite=Strict; Path=/"

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in HEADERS]
                if cookie:
                    own.append((b"set-cookie", cookie.encode()))
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        await self.app(scope, receive, with_headers)

    def _reason(self, scope: Scope, headers: dict[str, str], by_address: str | None) -> str | None:
        """Why the request is refused, or None."""
        host = headers.get("host", "")
        if not self.policy.allows_host(host):
            return "This address is not the studio's; open the one that crossrig printed."
        if scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD"):
            schemes = ("http", "https")  # behind a proxy that encrypts, too
            if headers.get("origin") not in {f"{scheme}://{host}" for scheme in schemes}:
                return "Only the studio's own page may do this."
        if self.policy.token is not None:
            given = by_address if by_address is not None else _token_of_cookie(headers.get("cookie", ""))
            if given is None or not hmac.compare_digest(given.encode(), self.policy.token.encode()):
                return "The token is missing or wrong; open the address that crossrig printed."
        return None


def _token_of_address(scope: Scope) -> str | None:
    values: Iterable[str] = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", ())
    return next(iter(values), None)


def _token_of_cookie(text: str) -> str | None:
    try:
        morsel = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel is not None else None


async def _refuse(scope: Scope, receive: Receive, send: Send, reason: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *((name.encode(), value.encode()) for name, value in HEADERS)]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": reason.encode()})
