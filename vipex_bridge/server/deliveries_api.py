"""`/api/v1/deliveries`: what was sent, when, and what came back; and sending it again."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from vipex_bridge.config.settings import BIGGEST, Customer, Settings
from vipex_bridge.deliver.fill import masked
from vipex_bridge.server.calls_api import ClientWanted, Outcome, local
from vipex_bridge.server.context import Context
from vipex_bridge.server.ownership import Whose, clients_of, owns_client
from vipex_bridge.server.paging import Cursor, Limit, Moment, a_number, after, before
from vipex_bridge.server.problems import answers
from vipex_bridge.store.outbox import FINISHED, AttemptRecord, Delivery

Id = Annotated[int, Path(ge=1, le=BIGGEST, examples=[5120])]


class Try(BaseModel):
    """One try of a delivery."""

    started_at: str
    elapsed_ms: int = Field(examples=[37])
    status_code: int | None = Field(description="null when no answer came", examples=[200])
    outcome: Literal["delivered", "retry", "failed", "expired"]
    error: str | None
    answer: str | None = Field(description="the start of the answer, secrets masked")


class DeliverySummary(BaseModel):
    """One delivery and its tries. Times are local, with their offset."""

    id: int = Field(examples=[5120])
    idempotency_key: str
    node: str
    client: str = Field(examples=["billing"])
    kind: Literal["notify", "call_end"]
    event: str = Field(examples=["call_end"])
    call_id: int
    status: Outcome
    created_at: str
    next_attempt_at: str | None = Field(description="of a queued one")
    finished_at: str | None
    error: str | None
    tries: list[Try]


class SentRequest(BaseModel):
    """A request as it is sent, secrets masked, recordings by name."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: str | None


class DeliveryDetail(DeliverySummary):
    """One delivery with its request; that is null when its data were dropped or its client is gone."""

    request: SentRequest | None


class DeliveryPage(BaseModel):
    """Some deliveries, latest first."""

    deliveries: list[DeliverySummary]
    next: str | None = Field(description="cursor of the next page; null when this is the last")


class ResendWanted(BaseModel):
    """Which failed deliveries: those that were parked at this time or later."""

    model_config = ConfigDict(extra="forbid")
    failed_since: Annotated[float, BeforeValidator(a_number)] = Field(
        ge=0, le=32503680000, description="epoch seconds", examples=[1795409430]
    )


class Resent(BaseModel):
    """How many deliveries were queued again."""

    queued: int


_NOT_RESENT = {404: "there is no delivery 5120", 409: "delivery 5120 cannot be sent again: it is queued"}


def router(context: Context) -> APIRouter:
    """The paths below `/deliveries`."""
    routes = APIRouter(tags=["deliveries"])

    @routes.get("/deliveries", responses=answers({}))
    def deliveries(
        whose: Whose,
        status: Annotated[Outcome | None, Query(examples=["failed"])] = None,
        client: ClientWanted = None,
        call_id: Annotated[int | None, Query(ge=1, le=BIGGEST, examples=[1042])] = None,
        since: Moment = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> DeliveryPage:
        """The delivery log, latest first, with every try."""
        found = context.store.deliveries(
            status=status,
            client=client,
            of_clients=clients_of(whose),
            call_id=call_id,
            since=since,
            limit=limit,
            before_id=before(cursor),
        )
        shown = [_summary(context, one) for one in found]
        return DeliveryPage(deliveries=shown, next=after([one.id for one in found], limit))

    @routes.get("/deliveries/{id:int}", responses=answers({404: "there is no delivery 5120"}))
    def delivery(whose: Whose, id: Id) -> DeliveryDetail:
        """One delivery with its request, and the answer and timing of every try."""
        found = _found(context, whose, id)
        settings = context.settings()
        fields = _fields(found, context.store.attempts(id), settings)
        return DeliveryDetail.model_validate({**fields, "request": _request(found, settings)})

    @routes.post("/deliveries/{id:int}/resend", responses=answers(_NOT_RESENT))
    def resend(whose: Whose, id: Id) -> Resent:
        """Queue a finished delivery again, with the same data and `Idempotency-Key`."""
        found = _found(context, whose, id)
        with context.store.write(context.clock()) as writer:
            queued = writer.resend([id])
        if not queued:
            why = "its data are gone" if found.status in FINISHED else f"it is {found.status}"
            raise HTTPException(409, f"delivery {id} cannot be sent again: {why}")
        context.deliveries.wake(found.client)
        return Resent(queued=queued)

    @routes.post("/deliveries/resend", responses=answers({}, takes_body=True))
    def resend_failed(whose: Whose, wanted: ResendWanted) -> Resent:
        """Queue all deliveries again that failed since a time."""
        with context.store.write(context.clock()) as writer:
            queued = writer.resend(failed_since=wanted.failed_since, of_clients=clients_of(whose))
        context.deliveries.look()
        return Resent(queued=queued)

    return routes


def _summary(context: Context, one: Delivery) -> DeliverySummary:
    fields = _fields(one, context.store.attempts(one.id), context.settings())
    return DeliverySummary.model_validate(fields)


def _found(context: Context, whose: Customer | None, delivery_id: int) -> Delivery:
    found = context.store.delivery(delivery_id)
    if found is None or not owns_client(whose, found.client):
        raise HTTPException(404, f"there is no delivery {delivery_id}")
    return found


def _fields(one: Delivery, tries: list[AttemptRecord], settings: Settings) -> dict[str, object]:
    zone = settings.timezone
    return {
        "id": one.id,
        "idempotency_key": one.idempotency_key,
        "node": one.node,
        "client": one.client,
        "kind": one.kind,
        "event": one.event,
        "call_id": one.call_id,
        "status": one.status,
        "created_at": local(one.created_at, zone),
        "next_attempt_at": local(one.next_attempt_at, zone) if one.status == "queued" else None,
        "finished_at": local(one.finished_at, zone) if one.finished_at is not None else None,
        "error": _seen(one.error, settings),
        "tries": [_try(made, zone, settings) for made in tries],
    }


def _try(made: AttemptRecord, zone: ZoneInfo, settings: Settings) -> dict[str, object]:
    return {
        "started_at": local(made.started_at, zone),
        "elapsed_ms": round(made.elapsed_s * 1000),
        "status_code": made.status_code,
        "outcome": made.outcome,
        "error": _seen(made.error, settings),
        "answer": _seen(made.answer, settings),
    }


def _request(one: Delivery, settings: Settings) -> SentRequest | None:
    client = settings.clients.get(one.client)
    if client is None or one.request is None:
        return None
    shown = masked(one.request, client)
    return SentRequest(
        method=shown.method,
        url=_seen(shown.url, settings) or "",
        headers=list(shown.headers),
        body=_seen(shown.body, settings),
    )


def _seen(text: str | None, settings: Settings) -> str | None:
    return settings.privacy.shown(text) if text is not None else None
