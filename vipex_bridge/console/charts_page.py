"""The page Charts: what a day or a week was like."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vipex_bridge.console import figures
from vipex_bridge.console.charts import Chart, bars, number
from vipex_bridge.console.context import Context
from vipex_bridge.console.page import page, words_for
from vipex_bridge.console.words import Words
from vipex_bridge.store import figures as stored

PERIODS_H = {"day": 24, "week": 168}


def routes(context: Context) -> list[Route]:
    """The page."""

    async def charts(request: Request) -> Response:
        period = request.query_params.get("period", "day")
        hours = PERIODS_H.get(period, PERIODS_H["day"])
        drawn = await asyncio.to_thread(_charts, context, hours, words_for(request))
        return page(
            request,
            context,
            "charts.html",
            charts=[(chart, bars(chart)) for chart in drawn],
            number=number,
            period=period if period in PERIODS_H else "day",
        )

    return [Route("/charts", charts, methods=["GET"])]


def _charts(context: Context, hours: int, said: Words) -> list[Chart]:
    first_at = (context.clock() // figures.HOUR_S - hours + 1) * figures.HOUR_S
    documents = stored.documents_since(context.store, first_at)
    timezone = context.settings().timezone
    return [
        figures.calls_per_hour(documents, first_at, hours, timezone, said.say),
        figures.ring_times(documents, "exten", said.say),
        figures.answer_rates(documents, "exten", said.say),
        figures.ring_times(documents, "queue", said.say),
        figures.answer_rates(documents, "queue", said.say),
        figures.lookup_times(context.lookup_times.taken(), said.say),
    ]
