"""The page Clients: the configuration as understood, secrets masked, and a test of each client."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vipex_bridge.bridge.trial import EVENTS, sampled
from vipex_bridge.bridge.understood import keys_of, keys_of_bridge
from vipex_bridge.config.settings import Client
from vipex_bridge.console.context import Context
from vipex_bridge.console.page import fields_of, is_part, missing, page, words_for


@dataclass(frozen=True, slots=True)
class Shown:
    """A client, and its configuration as (key, value) in the configuration's own words."""

    client: Client
    keys: list[tuple[str, str]]


def routes(context: Context) -> list[Route]:
    """The page, and the test of one client."""

    def values() -> dict[str, object]:
        settings = context.settings()
        return {
            "clients": [
                Shown(client, list(keys_of(client))) for _, client in sorted(settings.clients.items())
            ],
            "bridge": list(keys_of_bridge(settings)),
            "events": EVENTS,
        }

    async def listing(request: Request) -> Response:
        return page(request, context, "clients.html", trial=None, tested="", **values())

    async def test(request: Request) -> Response:
        form = await fields_of(request)
        client = context.settings().clients.get(request.path_params["name"])
        if client is None:
            return missing(request, context, words_for(request).say("There is no such client."))
        event = form.get("event", "ringing")
        known = event if event in EVENTS else "ringing"
        trial = await sampled(context.settings(), context.transport, client, known)
        if is_part(request):
            return page(request, context, "trial.html", trial=trial, tested=client.name)
        return page(request, context, "clients.html", trial=trial, tested=client.name, **values())

    return [
        Route("/clients", listing, methods=["GET"]),
        Route("/clients/{name}/test", test, methods=["POST"]),
    ]
