"""The console's paths: its pages, its style sheet and scripts, the choice of language."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from vipex_bridge.console import calls_page, charts_page, clients_page, deliveries_page, live_page
from vipex_bridge.console.context import Context
from vipex_bridge.console.page import back, fields_of, keep_language
from vipex_bridge.console.words import LANGUAGES

FILES = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "htmx-sse.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_FOLDER = Path(__file__).parent / "static"


def routes(context: Context) -> list[Route]:
    """Every route of the console; who may come to it is the server's matter."""
    return [
        Route("/static/{name}", _static, methods=["GET"]),
        Route("/language", _language, methods=["POST"]),
        *live_page.routes(context),
        *calls_page.routes(context),
        *deliveries_page.routes(context),
        *clients_page.routes(context),
        *charts_page.routes(context),
    ]


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in FILES:
        return Response(status_code=404)
    return FileResponse(_FOLDER / name, media_type=FILES[name], headers={"Cache-Control": "no-cache"})


async def _language(request: Request) -> Response:
    form = await fields_of(request)
    answer = back(form.get("back", "/"))
    if form.get("language") in LANGUAGES:
        keep_language(answer, request, form["language"])
    return answer
