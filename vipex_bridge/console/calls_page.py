"""The pages Calls: searching, and one call with its picture, its tree and all that was sent about it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vipex_bridge.calls.document import CallDocument, Direction, Part, from_json
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.timeline import Coming, coming
from vipex_bridge.config.settings import Settings
from vipex_bridge.console.context import Context
from vipex_bridge.console.deliveries_page import Told, told
from vipex_bridge.console.page import missing, moment, page, whole, words_for
from vipex_bridge.console.picture import lane_name, named, picture, seconds
from vipex_bridge.console.scene import Mark, Scene, Span, of_document, of_record
from vipex_bridge.console.sound import player, tracks
from vipex_bridge.console.words import Words
from vipex_bridge.lookup.asked import Asked
from vipex_bridge.privacy import keys_masked
from vipex_bridge.render.request import as_text
from vipex_bridge.store import figures
from vipex_bridge.store.calls import StoredCall
from vipex_bridge.store.outbox import FINISHED, WAITING
from vipex_bridge.store.search import CallQuery

PAGE = 50
MOST_DELIVERIES = 200
"""What is shown of one call's deliveries at most."""
_SEARCHED = ("number", "exten", "since", "until", "client", "status")


@dataclass(frozen=True, slots=True)
class Row:
    """A moment of a call's table: what the picture tells, in words."""

    who: str
    what: str
    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Sent:
    """Something that was sent about the call, from `at` on: a lookup, of which `request` is the text, or
    a delivery."""

    at: float
    lookup: Asked | None = None
    request: str = ""
    told: Told | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """A leg of the tree, and how its extension came to the call."""

    part: Part
    coming: Coming | None


def routes(context: Context) -> list[Route]:
    """The search, and one call by its id or by Asterisk's linkedid or uniqueid."""

    async def listing(request: Request) -> Response:
        asked = {name: request.query_params.get(name, "").strip() for name in _SEARCHED}
        timezone = context.settings().timezone
        query = CallQuery(
            number="".join(c for c in asked["number"] if c not in " +-/()") or None,
            extension=asked["exten"] or None,
            since=moment(asked["since"], timezone),
            until=moment(asked["until"], timezone),
            client=asked["client"] or None,
            outcome=asked["status"] or None,
        )
        before = whole(request.query_params.get("before"))
        found = await asyncio.to_thread(context.store.search, query, PAGE + 1, before)
        answered = await asyncio.to_thread(_answered, context, found[:PAGE])
        return page(
            request,
            context,
            "calls.html",
            calls=[(call, answered.get(call.id, False)) for call in found[:PAGE]],
            older=found[PAGE - 1].id if len(found) > PAGE else None,
            asked=asked,
            clients=sorted(context.settings().clients),
            statuses=(*WAITING, *FINISHED),
        )

    async def one(request: Request) -> Response:
        said = words_for(request)
        call = await asyncio.to_thread(_found, context, request.path_params["name"])
        if call is None:
            return missing(request, context, said.say("There is no such call."))
        if str(call.id) != request.path_params["name"]:
            return RedirectResponse(f"/calls/{call.id}", 303)
        return await asyncio.to_thread(_one, request, context, call, said)

    return [Route("/calls", listing, methods=["GET"]), Route("/calls/{name}", one, methods=["GET"])]


def _answered(context: Context, calls: list[StoredCall]) -> dict[int, bool]:
    """Which of the outbound calls anybody answered: it is in their documents, which a listing lacks."""
    outbound = [context.store.call(call.id) for call in calls if call.direction == Direction.OUTBOUND]
    documents = {call.id: from_json(call.document) for call in outbound if call and call.document}
    return {call_id: document.main.answer_time is not None for call_id, document in documents.items()}


def _found(context: Context, name: str) -> StoredCall | None:
    number = context.store.call_id(name)
    number = whole(name) if number is None else number
    call = context.store.call(number) if number is not None else None
    while call is not None and call.merged_into is not None:
        call = context.store.call(call.merged_into)
    return call


def _one(request: Request, context: Context, call: StoredCall, said: Words) -> Response:
    settings = context.settings()
    record = CallRecord.from_dict(json.loads(call.facts)) if call.facts else None
    document = from_json(call.document) if call.document else None
    scene = _scene(record, document, context.clock())
    sounds = tracks(figures.recordings_of(context.store, call.id), document, record)
    values: dict[str, object] = {"svg": None, "player": None, "rows": []}
    if scene is not None:
        scene = _hidden(scene, settings)
        title = f"{said.say('Call')} {call.id}"
        values = {
            "svg": picture(scene, said.say, title=title),
            "player": player(scene, sounds, said.say) if sounds else None,
            "rows": _rows(scene, said),
        }
    legs = [Leg(leg, coming(record, leg) if record else None) for leg in (document.legs if document else ())]
    if document is not None and not legs and document.main.exten is not None:
        legs = [Leg(document.main, None)]
    return page(
        request,
        context,
        "call.html",
        call=call,
        document=document,
        legs=legs,
        is_dropped=call.dropped_at is not None,
        keys=lambda digits: keys_masked(digits) if settings.privacy.mask_digits and digits else digits,
        sent=_sent(context, call, settings),
        **values,
    )


def _scene(record: CallRecord | None, document: CallDocument | None, now: float) -> Scene | None:
    """What was seen live; where that is not the whole call, what was made of all testimony."""
    if record is not None and record.channels and (document is None or not record.partial):
        return of_record(record, now)
    return of_document(document) if document is not None else None


def _hidden(scene: Scene, settings: Settings) -> Scene:
    """The scene without the keys that the caller pressed, where these are hidden."""
    if not settings.privacy.mask_digits:
        return scene
    lanes = [(lane, tuple(_without_keys(span) for span in lane.spans)) for lane in scene.lanes]
    return Scene(
        scene.start,
        scene.end,
        tuple(type(lane)(lane.role, lane.name, spans, lane.marks) for lane, spans in lanes),
    )


def _without_keys(span: Span) -> Span:
    return Span(span.doing, span.start, span.end, keys_masked(span.detail)) if span.doing == "ivr" else span


def _rows(scene: Scene, said: Words) -> list[Row]:
    rows: list[tuple[float, Row]] = []

    def add(who: str, part: Span | Mark, start: float, end: float) -> None:
        times = seconds(start - scene.start), seconds(end - scene.start)
        rows.append((start, Row(who, named(part, said.say), *times)))

    for lane in scene.lanes:
        who = lane_name(lane, said.say)
        for span in lane.spans:
            add(who, span, span.start, span.end)
        for mark in lane.marks:
            add(who, mark, mark.at, mark.at)
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


def _sent(context: Context, call: StoredCall, settings: Settings) -> list[Sent]:
    """All that was sent about the call, in the order in which it began."""
    found = context.store.deliveries(call_id=call.id, limit=MOST_DELIVERIES)
    deliveries = [told(context.store, delivery, settings) for delivery in found]
    sent = [Sent(one.delivery.created_at, told=one) for one in reversed(deliveries)]
    if call.dropped_at is None:
        for lookup in context.lookup_log.of_call(call.id):
            sent.append(Sent(lookup.at, lookup, settings.privacy.shown(as_text(lookup.request))))
    return sorted(sent, key=lambda one: one.at)
