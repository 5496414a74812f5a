"""A page for one reader: its template, language, times, and the session's token for its forms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from vipex_bridge.console.context import Context
from vipex_bridge.console.faults import fault
from vipex_bridge.console.picture import seconds
from vipex_bridge.console.words import LANGUAGES, Words, language_of, words

LANGUAGE_COOKIE = "vipex_language"
MOST_FORM_BYTES = 64 * 1024
_A_YEAR_S = 365 * 86400

_pages = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def words_for(request: Request) -> Words:
    """The texts in the reader's language."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return words(language_of(chosen, request.headers.get("accept-language", "")))


def page(request: Request, context: Context, template: str, /, **values: object) -> HTMLResponse:
    """The answer to a request: a template in the reader's language, with these values."""
    return _answer(request, context, template, 200, values)


def missing(request: Request, context: Context, what: str) -> HTMLResponse:
    """The page that says that there is no such thing; `what` is a text in the reader's language."""
    return _answer(request, context, "missing.html", 404, {"what": what})


def _answer(
    request: Request, context: Context, template: str, status: int, values: Mapping[str, object]
) -> HTMLResponse:
    said, timezone = words_for(request), context.settings().timezone
    now = context.clock()
    text = rendered(
        template,
        say=said.say,
        language=said.language,
        languages=LANGUAGES,
        csrf=csrf_of(request),
        here=own_path(request),
        path=request.url.path,
        now=now,
        node=context.settings().node,
        at=lambda moment: local(moment, timezone),
        clock=lambda moment: local(moment, timezone)[11:],
        ago=lambda moment: seconds(max(0, int(now - moment))),
        length=seconds,
        fault=lambda text: fault(text, said.say),
        again=lambda **changed: _again(request, changed),
        **values,
    )
    headers = {"Content-Language": said.language, "Vary": "Accept-Language, Cookie"}
    return HTMLResponse(text, status, headers=headers)


def rendered(template: str, /, **values: object) -> str:
    """A template with these values and no others."""
    return _pages.get_template(template).render(**values)


def keep_language(answer: Response, request: Request, language: str) -> None:
    """Remember the language that a reader chose."""
    answer.set_cookie(
        LANGUAGE_COOKIE,
        language,
        max_age=_A_YEAR_S,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def csrf_of(request: Request) -> str:
    """The session's token, which each action must bring; '' for who showed a token of the API."""
    session = getattr(request.state, "session", None)
    return str(session.csrf) if session is not None else ""


async def fields_of(request: Request) -> dict[str, str]:
    """What a form sent, at most 64 KiB of it."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_FORM_BYTES:
            raise HTTPException(413)
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100))


def back(target: str) -> Response:
    """The browser sent on to a path of ours; whatever would lead elsewhere becomes `/`."""
    is_own = target.startswith("/") and not target.startswith("//") and target.isprintable()
    return RedirectResponse(target if is_own and "\\" not in target else "/", 303)


def own_path(request: Request) -> str:
    """The present page's path and query, to come back to."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def is_part(request: Request) -> bool:
    """Whether htmx asks for a part of a page."""
    return request.headers.get("hx-request") == "true"


def local(at: float | None, timezone: ZoneInfo) -> str:
    """A moment as `YYYY-MM-DD hh:mm:ss`, or –; so it reads alike in every language."""
    if at is None:
        return "–"
    try:
        return datetime.fromtimestamp(at, timezone).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "–"


def whole(text: str | None) -> int | None:
    """A number that a link or a form names; None for what is none."""
    is_one = text is not None and text.isascii() and text.isdigit() and len(text) <= 15
    return int(text) if text is not None and is_one else None


def moment(text: str | None, timezone: ZoneInfo) -> float | None:
    """Epoch seconds of what a field for date and time sends (`2026-11-23T14:05`); None for what is none."""
    try:
        parsed = datetime.fromisoformat(text or "")
        return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=timezone)).timestamp()
    except (ValueError, OverflowError):
        return None


def _again(request: Request, changed: dict[str, object]) -> str:
    """The present page's query with some of it changed; None takes one out."""
    query = {**dict(request.query_params), **changed}
    kept = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{request.url.path}?{urlencode(kept)}" if kept else request.url.path
