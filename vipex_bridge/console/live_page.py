"""The page Live: calls that are up now, moving as it happens."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from vipex_bridge.console.context import Context
from vipex_bridge.console.live import live_calls, up_now
from vipex_bridge.console.page import page, words_for
from vipex_bridge.console.picture import WORDS
from vipex_bridge.console.watch import MOST_CALLS, Watch
from vipex_bridge.console.words import Words


def routes(context: Context) -> list[Route]:
    """The page, its moving part, and the stream of moments when that has changed."""
    watch = Watch(lambda: context.tracker.calls())

    async def live(request: Request) -> Response:
        return page(request, context, "live.html", **await _values(context, words_for(request)))

    async def calls(request: Request) -> Response:
        return page(request, context, "live_calls.html", **await _values(context, words_for(request)))

    async def events(request: Request) -> Response:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(watch.moments(), media_type="text/event-stream", headers=headers)

    return [
        Route("/", live, methods=["GET"]),
        Route("/live/calls", calls, methods=["GET"]),
        Route("/live/events", events, methods=["GET"]),
    ]


async def _values(context: Context, words: Words) -> dict[str, object]:
    up = up_now(context.tracker.calls())
    calls = live_calls(up[:MOST_CALLS], context.clock())
    ids = await asyncio.to_thread(lambda: {call.key: context.store.call_id(call.key) for call in calls})
    return {
        "calls": calls,
        "count": len(up),
        "ids": ids,
        "said": {what: words.say(text) for what, text in WORDS.items()},
    }
