"""`/api/v1/calls`: what calls there are, and one as it was told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, Field

from vipex_bridge.calls.document import from_json
from vipex_bridge.config.settings import BIGGEST, PARAMETERS, Client, Settings
from vipex_bridge.privacy import call_without_keys
from vipex_bridge.render.fields import call_end_fields
from vipex_bridge.server.context import Context
from vipex_bridge.server.ownership import Whose, clients_of, owns_call
from vipex_bridge.server.paging import Cursor, Limit, Moment, after, before
from vipex_bridge.server.problems import answers
from vipex_bridge.store.calls import StoredCall
from vipex_bridge.store.search import CallQuery

EVERYTHING = Client("calls", "call_end", "http://localhost", "POST", PARAMETERS["call_end"])
"""A client that is told all there is."""
Id = Annotated[int, Path(ge=1, le=BIGGEST, examples=[1042])]
ClientWanted = Annotated[str | None, Query(max_length=100, examples=["billing"])]
State = Literal["live", "ended", "told", "ignored"]
Outcome = Literal["queued", "sending", "delivered", "failed", "expired"]


class CallSummary(BaseModel):
    """A call in a list. Times are local, with their offset."""

    id: int = Field(examples=[1042])
    node: str = Field(examples=["pbx1"])
    state: State
    direction: int | None = Field(description="0 outgoing, 1 inbound, 2 missed; null until it is told")
    src: str | None = Field(examples=["3642999425"])
    dst: str | None = Field(examples=["3642999408"])
    exten: str | None = Field(examples=["251"])
    started_at: str = Field(examples=["2026-11-23T14:05:12.000+01:00"])
    ended_at: str | None


class CallPage(BaseModel):
    """Some calls, latest first."""

    calls: list[CallSummary]
    next: str | None = Field(description="cursor of the next page; null when this is the last")


def router(context: Context) -> APIRouter:
    """The paths below `/calls`."""
    routes = APIRouter(tags=["calls"])

    @routes.get("/calls", responses=answers({}))
    def calls(
        whose: Whose,
        number: Annotated[
            str | None,
            Query(max_length=64, description="or its end, from 4 digits on", examples=["3642999425"]),
        ] = None,
        extension: Annotated[str | None, Query(max_length=100, examples=["251"])] = None,
        since: Moment = None,
        until: Moment = None,
        direction: Annotated[int | None, Query(ge=0, le=2, examples=[1])] = None,
        state: Annotated[State | None, Query(examples=["told"])] = None,
        client: ClientWanted = None,
        outcome: Annotated[Outcome | None, Query(examples=["failed"])] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> CallPage:
        """Finished and live calls, latest first."""
        query = CallQuery(
            number, extension, since, until, direction, state, client, outcome, clients_of(whose)
        )
        found = context.store.search(query, limit, before(cursor))
        zone = context.settings().timezone
        return CallPage(
            calls=[_summary(call, zone) for call in found], next=after([call.id for call in found], limit)
        )

    @routes.get(
        "/calls/{id:int}",
        response_model=None,
        responses={
            **answers(
                {
                    404: "there is no call 1042",
                    410: "call 1042 is told: its data were dropped after 7d (privacy.drop_payload_after)",
                }
            ),
            200: {
                "description": "the call",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Call"}}},
            },
        },
    )
    def call(whose: Whose, id: Id) -> dict[str, Any]:
        """One call as its end-of-call JSON; `monitor_file` is null: the recording is at its own path."""
        stored = context.store.call(id)
        if stored is None or not owns_call(context.store, whose, id):
            raise HTTPException(404, f"there is no call {id}")
        settings = context.settings()
        if stored.dropped_at is not None:
            raise HTTPException(410, f"call {id} is {stored.state}: {settings.privacy.dropped}")
        if stored.document is None:
            raise HTTPException(404, f"call {id} is {stored.state}: there is no document of it yet")
        return document_of(stored.document, settings)

    return routes


def document_of(document: str, settings: Settings) -> dict[str, Any]:
    """A told call by the documentation's names, without audio, as somebody at a screen may see it."""
    fields = without_audio(call_end_fields(from_json(document), settings.timezone, EVERYTHING))
    return call_without_keys(fields) if settings.privacy.mask_digits else fields


def without_audio(fields: dict[str, Any]) -> dict[str, Any]:
    """A call's fields, and its parts', with `monitor_file` null."""
    parts = {"sub_cdrs": [without_audio(part) for part in fields["sub_cdrs"]]} if "sub_cdrs" in fields else {}
    return {**fields, **parts, "monitor_file": None}


def _summary(call: StoredCall, zone: ZoneInfo) -> CallSummary:
    return CallSummary.model_validate(
        {
            "id": call.id,
            "node": call.node,
            "state": call.state,
            "direction": call.direction,
            "src": call.src,
            "dst": call.dst,
            "exten": call.exten,
            "started_at": local(call.started_at, zone),
            "ended_at": local(call.ended_at, zone) if call.ended_at is not None else None,
        }
    )


def local(at: float, zone: ZoneInfo) -> str:
    """A moment by ISO 8601, in local time with its offset, to the millisecond."""
    return datetime.fromtimestamp(at, zone).isoformat(timespec="milliseconds")
