"""`/api/v1/clients`: the configuration as understood, how each client stands, a test, a pause."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel, ConfigDict, Field

from vipex_bridge.bridge import understood
from vipex_bridge.bridge.standing import ClientStanding, standings
from vipex_bridge.bridge.trial import Trial, sampled
from vipex_bridge.config.settings import Client, Customer, Settings
from vipex_bridge.server.calls_api import local
from vipex_bridge.server.context import Context
from vipex_bridge.server.ownership import Whose, owns_client
from vipex_bridge.server.problems import answers

ClientName = Annotated[str, Path(max_length=100, examples=["billing"])]
Event = Annotated[Literal["arrival", "dialplan", "ringing", "answer", "hangup"], Field(examples=["answer"])]
NO_CLIENT = "there is no client billing"
Kind = Literal["lookup", "notify", "call_end"]


class Key(BaseModel):
    """One key of the configuration, defaults included, every secret as ********."""

    key: str = Field(examples=["url"])
    value: str = Field(examples=["https://billing.example.com/cdr"])


class Stands(BaseModel):
    """What there is to be sent to a client. Times are local, with their offset."""

    state: Literal["active", "paused", "silent"] = Field(
        description="silent: its server has not answered for long, and is tried once a second"
    )
    paused_since: str | None
    waiting: int = Field(description="deliveries that are queued or being sent", examples=[0])
    failed: int = Field(description="deliveries that were parked as failed", examples=[0])
    oldest_waiting: str | None = Field(description="when the oldest of what waits was queued")
    next_attempt_at: str | None


class ClientShown(BaseModel):
    """A client. `deliveries` is null for a lookup: nothing is ever queued for it."""

    name: str = Field(examples=["billing"])
    kind: Kind
    deliveries: Stands | None
    configuration: list[Key]


class Configuration(BaseModel):
    """The configuration as the bridge understood it: its clients by name, and the rest."""

    clients: list[ClientShown]
    bridge: list[Key] = Field(description="empty for a customer's token")


class TestWanted(BaseModel):
    """As what a notification is tested; of other kinds there is one sample."""

    model_config = ConfigDict(extra="forbid")
    event: Event = "ringing"


class Variable(BaseModel):
    """A channel variable that a lookup would set."""

    name: str = Field(examples=["VIPEX_BRANCH"])
    value: str = Field(examples=["sales"])


class Tested(BaseModel):
    """Exactly what went and what came, secrets masked."""

    is_well: bool = Field(description="the client would count it as a success")
    sent: str = Field(description="the request: its line, its headers, its body")
    status_code: int | None = Field(description="null when no answer came", examples=[200])
    elapsed_ms: int | None = Field(examples=[37])
    came: str = Field(description="the answer's headers and the start of its body")
    fault: str = Field(description="why there was no answer, or why it could not be used; empty if neither")
    verdict: str = Field(description="VIPEX_STATUS of a lookup; else empty")
    variables: list[Variable]


def router(context: Context) -> APIRouter:
    """The paths below `/clients`."""
    routes = APIRouter(tags=["clients"])

    @routes.get("/clients", responses=answers({}, takes_arguments=False))
    def clients(whose: Whose) -> Configuration:
        """The configuration as understood, secrets masked, and how each client stands."""
        settings = context.settings()
        return Configuration(
            clients=_shown(context, settings, sorted(n for n in settings.clients if owns_client(whose, n))),
            bridge=_keys(understood.keys_of_bridge(settings)) if whose is None else [],
        )

    @routes.get("/clients/{name}", responses=answers({404: NO_CLIENT}))
    def client(whose: Whose, name: ClientName) -> ClientShown:
        """One client."""
        return _one(context, whose, name)

    @routes.post("/clients/{name}/test", responses=answers({404: NO_CLIENT}, takes_body=True))
    async def test(whose: Whose, name: ClientName, wanted: TestWanted | None = None) -> Tested:
        """Send the client a sample now, past the queue, as `vipex-bridge try` does."""
        settings = context.settings()
        event = (wanted or TestWanted()).event
        return _tested(await sampled(settings, context.transport, _known(settings, whose, name), event))

    refusals = answers({404: NO_CLIENT, 409: "route is a lookup: nothing is queued for it"})

    @routes.post("/clients/{name}/pause", responses=refusals)
    def pause(whose: Whose, name: ClientName) -> ClientShown:
        """Send the client nothing until it is resumed; what is queued stays queued, also over restarts."""
        return _switched(context, whose, name, is_paused=True)

    @routes.post("/clients/{name}/resume", responses=refusals)
    def resume(whose: Whose, name: ClientName) -> ClientShown:
        """Send the client again what is due."""
        return _switched(context, whose, name, is_paused=False)

    return routes


def _known(settings: Settings, whose: Customer | None, name: str) -> Client:
    found = settings.clients.get(name)
    if found is None or not owns_client(whose, name):
        raise HTTPException(404, f"there is no client {name}")
    return found


def _switched(context: Context, whose: Customer | None, name: str, *, is_paused: bool) -> ClientShown:
    if _known(context.settings(), whose, name).kind == "lookup":
        raise HTTPException(409, f"{name} is a lookup: nothing is queued for it")
    context.deliveries.pause(name, is_paused=is_paused)
    return _one(context, whose, name)


def _one(context: Context, whose: Customer | None, name: str) -> ClientShown:
    settings = context.settings()
    _known(settings, whose, name)
    [shown] = _shown(context, settings, [name])
    return shown


def _shown(context: Context, settings: Settings, names: Iterable[str]) -> list[ClientShown]:
    stand = {one.name: one for one in standings(settings, context.store, context.deliveries)}
    return [
        ClientShown.model_validate(
            {
                "name": name,
                "kind": settings.clients[name].kind,
                "deliveries": _stands(stand[name], settings.timezone) if name in stand else None,
                "configuration": _keys(understood.keys_of(settings.clients[name])),
            }
        )
        for name in names
    ]


def _stands(one: ClientStanding, zone: ZoneInfo) -> Stands:
    def moment(at: float | None) -> str | None:
        return local(at, zone) if at is not None else None

    return Stands.model_validate(
        {
            "state": one.state,
            "paused_since": moment(one.paused_at),
            "waiting": one.standing.queued,
            "failed": one.standing.failed,
            "oldest_waiting": moment(one.standing.oldest_at),
            "next_attempt_at": moment(one.standing.next_at),
        }
    )


def _keys(pairs: Iterable[tuple[str, str]]) -> list[Key]:
    return [Key(key=key, value=value) for key, value in pairs]


def _tested(trial: Trial) -> Tested:
    return Tested(
        is_well=trial.is_well,
        sent=trial.sent,
        status_code=trial.status,
        elapsed_ms=round(trial.elapsed_s * 1000) if trial.elapsed_s is not None else None,
        came=trial.came,
        fault=trial.fault,
        verdict=trial.verdict,
        variables=[Variable(name=name, value=value) for name, value in trial.variables],
    )
