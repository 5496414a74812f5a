"""What is answered when something cannot be done: a page for a browser, one line of JSON for a program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from vipex_bridge.console import bare
from vipex_bridge.errors import StoreError

_FOR_PROGRAMS = ("/api/", "/healthz", "/metrics")
_PAGES = {404: bare.NO_PAGE, 405: bare.NOT_HERE, 413: bare.TOO_LARGE}
CREDENTIALS_WANTED = "a token is needed: Authorization: Bearer, or X-Api-Key (http.tokens)"
WRONG_ARGUMENT = "limit: Input should be less than or equal to 200"


class Problem(BaseModel):
    """Why it cannot be done."""

    detail: str


def answers(
    refusals: Mapping[int, str], *, takes_arguments: bool = True, takes_body: bool = False
) -> dict[int | str, dict[str, Any]]:
    """The refusals of an operation as OpenAPI has them: status -> when, one example each."""
    told = {**refusals}
    if takes_arguments:
        told[422] = WRONG_ARGUMENT
    if takes_body:
        told[400] = "There was an error parsing the body"
    return {status: _described(what) for status, what in told.items()}


def of_every_operation() -> dict[int | str, dict[str, Any]]:
    """The refusals that every operation of the API may answer."""
    wait = {"description": "seconds to wait", "schema": {"type": "integer"}, "example": 6}
    return {
        401: _described(CREDENTIALS_WANTED),
        403: _described("this action did not come from a page of ours: load the page again"),
        429: {**_described("too many wrong tokens: try again in 6 s"), "headers": {"Retry-After": wait}},
        503: _described("/var/lib/vipex-bridge/state.db: the disk is full: make room"),
    }


def _described(example: str) -> dict[str, Any]:
    content = {"application/json": {"example": {"detail": example}}}
    return {"model": Problem, "description": example, "content": content}


def install(api: FastAPI) -> None:
    """Make the application answer its own and FastAPI's errors so."""
    for kind in (HTTPException, RequestValidationError, StoreError, Exception):
        api.add_exception_handler(kind, _answered)


async def _answered(request: Request, error: Exception) -> Response:
    match error:
        case HTTPException():
            text = _PAGES.get(error.status_code, bare.NOT_UNDERSTOOD)
            return refusal(request.scope, error.status_code, str(error.detail), text, error.headers)
        case RequestValidationError():
            return refusal(request.scope, 422, _one_line(error), bare.NOT_UNDERSTOOD)
        case StoreError():
            return refusal(request.scope, 503, str(error), bare.NO_STORE)
    # It is raised once more behind this answer, for the log.
    return refusal(request.scope, 500, "the bridge made a mistake: see its log", bare.FAILED)


def refusal(
    scope: Scope,
    status: int,
    detail: str,
    page_text: str,
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> Response:
    """`detail` as JSON; for a browser that wants a page, `page_text` (of `console.bare`) in its language."""
    request = Request(scope)
    if not wants_page(request):
        return JSONResponse({"detail": detail}, status, headers)
    shown = detail if status >= 500 else ""
    return bare.problem(request, status, page_text, detail=shown, headers=headers, **values)


def wants_page(request: Request) -> bool:
    """Whether a browser asks for one of the console's pages."""
    is_api = request.url.path.startswith(_FOR_PROGRAMS)
    return not is_api and "text/html" in request.headers.get("accept", "")


def _one_line(error: RequestValidationError) -> str:
    """Each fault by its argument's name, without the value that was sent."""
    faults = []
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"][1:]) or "body"
        faults.append(f"{place}: {fault['msg']}")
    return "; ".join(faults)
