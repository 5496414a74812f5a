"""The console's log-in: a token, once, for a cookie that a script cannot read."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vipex_bridge.console import bare
from vipex_bridge.server import access
from vipex_bridge.server.gate import COOKIE, LOGIN, Gate, comes_from_elsewhere, peer_of, too_many

MOST_BYTES = 4_096


def routes(gate: Gate) -> list[Route]:
    """The log-in page, what it posts to, and logging out."""

    async def page(request: Request) -> Response:
        return bare.login(request, _own(request.query_params.get("next", "")))

    async def log_in(request: Request) -> Response:
        if comes_from_elsewhere(request.headers):
            return bare.login(request, "/", 403, bare.LOGIN_FROM_ELSEWHERE)
        peer = peer_of(request.scope)
        wait_s = gate.throttle.wait_s(peer, gate.uptime())
        if wait_s > 0:
            return too_many(request.scope, wait_s)
        form = parse_qs((await _body(request)).decode("utf-8", "replace"), max_num_fields=10)
        target = _own(form.get("next", [""])[0])
        token = access.knows(form.get("token", [""])[0], gate.tokens())
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
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return answer

    async def log_out(request: Request) -> Response:
        session: access.Session | None = request.state.session
        if session is not None:
            gate.sessions.end(session.key)
        answer = RedirectResponse(LOGIN, 303)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
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


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            break
    return body[:MOST_BYTES]
