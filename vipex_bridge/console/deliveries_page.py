"""The pages Deliveries: how each client stands, the delivery log, resending, pausing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vipex_bridge.bridge.standing import ClientStanding, standings
from vipex_bridge.bridge.trial import as_seen
from vipex_bridge.config.settings import Settings
from vipex_bridge.console.charts import Hour, sparkline, summary
from vipex_bridge.console.context import Context
from vipex_bridge.console.page import back, fields_of, is_part, missing, moment, page, whole, words_for
from vipex_bridge.console.words import Words
from vipex_bridge.render.request import as_text
from vipex_bridge.store import figures
from vipex_bridge.store.figures import HourOfTries
from vipex_bridge.store.outbox import FINISHED, WAITING, AttemptRecord, Delivery
from vipex_bridge.store.store import Store

PAGE = 50
DAY_H = 24


@dataclass(frozen=True, slots=True)
class Told:
    """A delivery as a person may see it: the request without secrets, and every try."""

    delivery: Delivery
    request: str
    """'' where its data were dropped, or it could not be made."""
    attempts: list[AttemptRecord]


@dataclass(frozen=True, slots=True)
class Health:
    """How a client stands, and its last day."""

    client: ClientStanding
    hours: list[Hour]
    spark: str
    says: str


def routes(context: Context) -> list[Route]:
    """The log, one delivery, and what can be done about them."""

    async def listing(request: Request) -> Response:
        return await asyncio.to_thread(_listing, request, context, words_for(request))

    async def one(request: Request) -> Response:
        return await asyncio.to_thread(_one, request, context, "delivery.html")

    async def row(request: Request) -> Response:
        return await asyncio.to_thread(_one, request, context, "delivery_row.html")

    async def resend(request: Request) -> Response:
        number = whole(request.path_params["id"])
        form = await fields_of(request)
        await asyncio.to_thread(_resend, context, number)
        if is_part(request):
            return await asyncio.to_thread(_one, request, context, "delivery_row.html")
        return back(form.get("back", f"/deliveries/{number}"))

    async def resend_failed(request: Request) -> Response:
        form = await fields_of(request)
        since = moment(form.get("since"), context.settings().timezone)
        if since is None:
            return missing(request, context, words_for(request).say("That is no time."))
        await asyncio.to_thread(_resend_failed, context, since)
        return back(form.get("back", "/deliveries"))

    async def switched(request: Request, is_paused: bool) -> Response:
        form = await fields_of(request)
        name = request.path_params["name"]
        if not await asyncio.to_thread(context.deliveries.pause, name, is_paused=is_paused):
            return missing(request, context, words_for(request).say("There is no such client."))
        return back(form.get("back", "/deliveries"))

    async def pause(request: Request) -> Response:
        return await switched(request, True)

    async def resume(request: Request) -> Response:
        return await switched(request, False)

    return [
        Route("/deliveries", listing, methods=["GET"]),
        Route("/deliveries/resend", resend_failed, methods=["POST"]),
        Route("/deliveries/{id}", one, methods=["GET"]),
        Route("/deliveries/{id}/row", row, methods=["GET"]),
        Route("/deliveries/{id}/resend", resend, methods=["POST"]),
        Route("/clients/{name}/pause", pause, methods=["POST"]),
        Route("/clients/{name}/resume", resume, methods=["POST"]),
    ]


def told(store: Store, delivery: Delivery, settings: Settings) -> Told:
    """A delivery as a person may see it."""
    attempts = store.attempts(delivery.id)
    if delivery.request is None:
        return Told(delivery, "", attempts)
    client = settings.clients.get(delivery.client)
    if client is None:
        return Told(delivery, settings.privacy.shown(as_text(delivery.request)), attempts)
    return Told(delivery, as_seen(delivery.request, client, settings), attempts)


def _listing(request: Request, context: Context, said: Words) -> Response:
    status = request.query_params.get("status", "")
    client = request.query_params.get("client", "")
    found = context.store.deliveries(
        status=status or None,
        client=client or None,
        limit=PAGE + 1,
        before_id=whole(request.query_params.get("before")),
    )
    return page(
        request,
        context,
        "deliveries.html",
        health=health(context, said),
        deliveries=found[:PAGE],
        older=found[PAGE - 1].id if len(found) > PAGE else None,
        asked={"status": status, "client": client},
        clients=sorted({*context.settings().clients, *(delivery.client for delivery in found)}),
        statuses=(*WAITING, *FINISHED),
    )


def _one(request: Request, context: Context, template: str) -> Response:
    number = whole(request.path_params["id"])
    delivery = context.store.delivery(number) if number is not None else None
    if delivery is None:
        return missing(request, context, words_for(request).say("There is no such delivery."))
    if template == "delivery_row.html":
        return page(request, context, template, d=delivery)
    return page(request, context, template, told=told(context.store, delivery, context.settings()))


def _resend(context: Context, number: int | None) -> None:
    delivery = context.store.delivery(number) if number is not None else None
    if delivery is None:
        return
    with context.store.write(context.clock()) as writer:
        writer.resend([delivery.id])
    context.deliveries.wake(delivery.client)


def _resend_failed(context: Context, since: float) -> None:
    with context.store.write(context.clock()) as writer:
        writer.resend(failed_since=since)
    context.deliveries.look()


def health(context: Context, said: Words) -> list[Health]:
    """How each client stands that deliveries go to, or went to."""
    now = context.clock()
    tries = figures.tries_by_hour(context.store, now - DAY_H * 3600, now)
    found = []
    for number, client in enumerate(standings(context.settings(), context.store, context.deliveries)):
        hours = day_of(tries.get(client.name, ()))
        found.append(Health(client, hours, sparkline(str(number), hours, said.say), summary(hours, said.say)))
    return found


def day_of(tries: Sequence[HourOfTries]) -> list[Hour]:
    """The day's hours, those without a try included."""
    hours = [Hour(0, 0, None)] * DAY_H
    for tried in tries:
        if 0 <= tried.hour < DAY_H:
            hours[tried.hour] = Hour(tried.delivered, tried.failed, tried.mean_s)
    return hours
