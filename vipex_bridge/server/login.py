"""The console's log-in: a token, once, for a cookie that a script cannot read."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vipex_bridge.console import bare
from vipex_bridge.server import access
from vipex_bridge.server.gate import COOKIE, LOGIN, Gate, comes_from_elsewhere, peer_of, too_many

MOST_BYTES = 4_096
_TLS_PORT = 443
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def routes(gate: Gate) -> list[Route]:
    """The log-in page, what it posts to, and logging out."""

    async def page(request: Request) -> Response:
        return bare.login(request, _own(request.query_params.get("next", "")))

    async def log_in(request: Request) -> Response:
        if comes_from_elsewhere(request.headers):
            return bare.login(request, "/", 403, bare.LOGIN_FROM_ELSEWHERE)
        peer = peer_of(request.scope)
        wait_s = gate.throttle.wait_s(peer, gate.uptime())
        form = parse_qs((await _body(request)).decode("utf-8", "replace"), max_num_fields=10)
        target = _own(form.get("next", [""])[0])
        token = access.knows(form.get("token", [""])[0], gate.tokens())
        if wait_s > 0 and not (token is not None and access.may_pass(token, wait_s)):
            return too_many(request.scope, wait_s)
        if token is None:
            gate.throttle.was_wrong(peer, gate.uptime())
            return bare.login(request, target, 401, bare.UNKNOWN_TOKEN)
        session = gate.sessions.begin(token, gate.uptime())
        answer = RedirectResponse(target, 303)
        answer.set_cookie(
            COOKIE,
            session.key,
            max_age=int(access.SESSION_S),
            path="/",
            secure=_came_by_tls(request, gate.public_url()),
            httponly=True,
            samesite="strict",
        )
        return answer

    async def log_out(request: Request) -> Response:
        session: access.Session | None = request.state.session
        if session is not None:
            gate.sessions.end(session.key)
        answer = RedirectResponse(LOGIN, 303)
        secure = _came_by_tls(request, gate.public_url())
        answer.delete_cookie(COOKIE, path="/", secure=secure, httponly=True, samesite="strict")
        return answer

    return [
        Route(LOGIN, page, methods=["GET"]),
        Route(LOGIN, log_in, methods=["POST"]),
        Route("/logout", log_out, methods=["POST"]),
    ]


def _own(target: str) -> str:
    """A path of ours to go on to; whatever would lead elsewhere becomes `/`."""
    is_own = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if is_own and "\\" not in target else "/"


def _came_by_tls(request: Request, public_url: str | None) -> bool:
    """Whether the browser speaks TLS, by all that can be known behind a proxy.

    A proxy says so, or asks by the public name and port. Who asks by another came past it, in plain HTTP,
    perhaps through a tunnel to this machine: his browser would not keep a cookie that is for TLS alone.
    """
    # Of several proxies the first saw the browser.
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    if "https" in (request.scope["scheme"], forwarded):
        return True
    try:
        public = urlsplit(public_url or "")
        asked = urlsplit(f"//{request.headers.get('host', '')}")
        is_public = asked.hostname == public.hostname and asked.port in (None, public.port or _TLS_PORT)
    except ValueError:
        return False
    return public.scheme == "https" and public.hostname not in (None, *_THIS_MACHINE) and is_public


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            break
    return body[:MOST_BYTES]
