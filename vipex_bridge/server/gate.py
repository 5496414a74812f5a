"""The gate before every path: nobody without a token comes further, and no page elsewhere acts for one.

Open to all: `/healthz`, the log-in page and the console's own style and script files. A browser that is
logged in brings a cookie, and with each action the session's CSRF token.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vipex_bridge.console import bare
from vipex_bridge.server import access
from vipex_bridge.server.problems import CREDENTIALS_WANTED, refusal
from vipex_bridge.server.strangers import is_known

COOKIE = "vipex_session"
LOGIN = "/login"
STATIC = "/static/"
API = "/api/v1/"
RECORDINGS = f"{API}recordings/"
MOST_FORM_BYTES = 64 * 1024
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(slots=True)
class Gate:
    """An ASGI application around another, which sees only who may come in.

    What it lets in has `scope["state"]["session"]`: the `access.Session`, None for a token; and
    `scope["state"]["customer"]`: whose calls alone may be seen, None for all.
    """

    inside: ASGIApp
    tokens: Callable[[], list[str]]
    customers: Callable[[], access.CustomerKeys]
    uptime: Callable[[], float] = time.monotonic
    clock: Callable[[], float] = time.time
    public_url: Callable[[], str | None] = lambda: None
    """How the server is reached from outside, where that is configured."""
    sessions: access.Sessions = field(default_factory=access.Sessions)
    throttle: access.Throttle = field(default_factory=access.Throttle)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.inside(scope, receive, send)
            return
        scope.setdefault("state", {}).update(session=None, customer=None)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith(RECORDINGS):
                    # A receiver's own page may play what it has a link or a token for.
                    headers["Cross-Origin-Resource-Policy"] = "cross-origin"
                if not scope["path"].startswith(STATIC):
                    headers.setdefault("Cache-Control", "no-store")
                message["headers"] = headers.raw
            await send(message)

        refusal, receive = await self._judged(scope, receive)
        await (self.inside if refusal is None else refusal)(scope, receive, guarded)

    async def _judged(self, scope: Scope, receive: Receive) -> tuple[Response | None, Receive]:
        """None for who may come in, else what he is answered; and from where his request is read on."""
        path: str = scope["path"]
        headers = Headers(scope=scope)
        if path in ("/healthz", LOGIN) or path.startswith(STATIC):
            return None, receive
        presented = _presented(headers)
        if presented is not None:
            return self._with_token(scope, presented), receive
        key = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        session = self.sessions.of(key, self.tokens(), self.uptime()) if key else None
        if session is not None:
            scope["state"]["session"] = session
            is_known(scope)
            return await _action_of_session(scope, headers, session, receive)
        if self._has_link(scope):
            is_known(scope)
            return None, receive
        return _unknown(scope, headers), receive

    def _with_token(self, scope: Scope, presented: str) -> Response | None:
        peer = peer_of(scope)
        wait_s = self.throttle.wait_s(peer, self.uptime())
        shows_all = access.knows(presented, self.tokens()) is not None
        customer = None if shows_all else self.customers().owner(presented)
        is_right = shows_all or customer is not None
        if wait_s > 0 and not (is_right and access.may_pass(presented, wait_s)):
            return too_many(scope, wait_s)
        if shows_all:
            is_known(scope)
            return None
        if customer is None:
            self.throttle.was_wrong(peer, self.uptime())
            return refusal(scope, 401, "this token is not known", bare.UNKNOWN_TOKEN, _CHALLENGE)
        if not scope["path"].startswith(API):
            return refusal(scope, 403, f"a customer's token is for {API} alone", bare.UNKNOWN_TOKEN)
        scope["state"]["customer"] = customer
        is_known(scope)
        return None

    def _has_link(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if scope["method"] not in ("GET", "HEAD") or not path.startswith(RECORDINGS):
            return False
        query = QueryParams(scope["query_string"])
        return access.link_holds(
            path.removeprefix(RECORDINGS),
            query.get("expires", ""),
            query.get("signature", ""),
            self.tokens(),
            self.clock(),
        )


def peer_of(scope: Scope) -> str:
    """The address that a request comes from."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def too_many(scope: Scope, wait_s: float) -> Response:
    """What somebody is answered who guesses."""
    seconds = max(1, round(wait_s))
    says = f"too many wrong tokens: try again in {seconds} s"
    return refusal(scope, 429, says, bare.TOO_MANY, {"Retry-After": str(seconds)}, seconds=seconds)


def comes_from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that another site's page made the request (Fetch Metadata, `Sec-Fetch-Site`)."""
    return headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def _presented(headers: Headers) -> str | None:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return headers.get("x-api-key")


async def _action_of_session(
    scope: Scope, headers: Headers, session: access.Session, receive: Receive
) -> tuple[Response | None, Receive]:
    """A page may be looked at; what changes something needs the session's CSRF token."""
    if scope["method"] in _SAFE:
        return None, receive
    if comes_from_elsewhere(headers):
        return _forged(scope), receive
    given = headers.get("x-csrf-token")
    if given is None and headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        body, receive = await _read(receive)
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=100)
        given = fields.get("csrf", [""])[0]
    if access.knows(given or "", [session.csrf]) is None:
        return _forged(scope), receive
    return None, receive


def _forged(scope: Scope) -> Response:
    return refusal(
        scope, 403, "this action did not come from a page of ours: load the page again", bare.FORGED
    )


def _unknown(scope: Scope, headers: Headers) -> Response:
    if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
        target = scope["path"] + (
            "?" + scope["query_string"].decode("latin-1") if scope["query_string"] else ""
        )
        return RedirectResponse(f"{LOGIN}?next={quote(target, safe='')}", 303)
    return refusal(scope, 401, CREDENTIALS_WANTED, bare.LOGGED_OUT, _CHALLENGE)


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """A form's bytes, and the same request to be read again."""
    body, more = b"", True
    while more and len(body) <= MOST_FORM_BYTES:
        message = await receive()
        body += message.get("body", b"")
        more = bool(message.get("more_body"))
    first = True

    async def again() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": more}
        return await receive()

    return body[:MOST_FORM_BYTES], again
