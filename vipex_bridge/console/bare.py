"""Pages with nothing of the bridge behind them: the log-in, and what to do when something went wrong."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import HTMLResponse

from vipex_bridge.console.page import keep_language, rendered, words_for
from vipex_bridge.console.words import LANGUAGES, words

_ = str
"""Marks a text for the translations."""

UNKNOWN_TOKEN = _("This token is not known.")
LOGIN_FROM_ELSEWHERE = _("Log in on this page.")
TOO_MANY = _("Too many wrong tokens came from this address. Try again in %(seconds)s s.")
FORGED = _("This action did not come from a page of the console. Load the page again.")
LOGGED_OUT = _("You are not logged in any more.")
NO_PAGE = _("There is no such page.")
NOT_HERE = _("This cannot be done here.")
TOO_LARGE = _("What was sent is too large.")
NOT_UNDERSTOOD = _("What was sent was not understood.")
NO_STORE = _("The bridge cannot use its database. Calls and deliveries are shown again when it can.")
FAILED = _("The bridge made a mistake; its log tells which.")


def problem(
    request: Request,
    status: int,
    what: str,
    *,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> HTMLResponse:
    """The page that says what went wrong: `what` is one of the texts above, `detail` the log's own words."""
    said = words_for(request)
    text = rendered(
        "problem.html",
        say=said.say,
        language=said.language,
        what=said.say(what, **values),
        detail=detail,
        is_out=status in (401, 429),
    )
    return HTMLResponse(text, status, headers={**(headers or {}), **_headers(said.language)})


def login(request: Request, target: str, status: int = 200, fault: str = "") -> HTMLResponse:
    """The log-in page; `target` is where it leads to, `fault` one of the texts above."""
    chosen = request.query_params.get("language", "")
    said = words(chosen) if chosen in LANGUAGES else words_for(request)
    text = rendered(
        "login.html",
        say=said.say,
        language=said.language,
        languages=LANGUAGES,
        target=target,
        fault=said.say(fault) if fault else "",
    )
    answer = HTMLResponse(text, status, headers=_headers(said.language))
    if chosen in LANGUAGES:
        keep_language(answer, request, chosen)
    return answer


def _headers(language: str) -> dict[str, str]:
    return {"Content-Language": language, "Vary": "Accept-Language, Cookie"}
