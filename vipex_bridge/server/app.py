"""The server's application: the gate, and behind it the API and the console."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi import FastAPI, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from vipex_bridge import __version__
from vipex_bridge.config.settings import Customer
from vipex_bridge.console import routes as console
from vipex_bridge.server import (
    access,
    calls_api,
    clients_api,
    deliveries_api,
    examples,
    health,
    login,
    problems,
    recordings_api,
)
from vipex_bridge.server.context import Context
from vipex_bridge.server.gate import Gate


def application(context: Context) -> ASGIApp:
    """What answers every request to the bridge's server."""

    def tokens() -> list[str]:
        http = context.settings().http
        return [token.reveal() for token in http.tokens] if http is not None else []

    api = FastAPI(
        title="vipex-bridge",
        version=__version__,
        description="Calls, deliveries and recordings of the bridge.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )

    def public_url() -> str | None:
        http = context.settings().http
        return http.recordings_url if http is not None else None

    gate = Gate(api, tokens, _customers_of(context), clock=context.clock, public_url=public_url)
    _add_health(api, context)
    api.router.routes += [_metrics(context), *login.routes(gate), *console.routes(context)]
    either = [
        Security(HTTPBearer(auto_error=False)),
        Security(APIKeyHeader(name="X-Api-Key", auto_error=False)),
    ]
    for router in (
        calls_api.router(context),
        deliveries_api.router(context),
        clients_api.router(context),
        recordings_api.router(context, tokens),
    ):
        api.include_router(
            router, prefix="/api/v1", dependencies=either, responses=problems.of_every_operation()
        )
    problems.install(api)
    examples.put_in(api.openapi())
    return gate


def _customers_of(context: Context) -> Callable[[], access.CustomerKeys]:
    """Gives the customers' tokens as they are configured by then, put in order once."""
    made: tuple[tuple[Customer, ...], access.CustomerKeys] = ((), access.CustomerKeys.of(()))

    def customers() -> access.CustomerKeys:
        nonlocal made
        configured = context.settings().customers
        if made[0] is not configured:
            made = (configured, access.CustomerKeys.of(configured))
        return made[1]

    return customers


def _add_health(api: FastAPI, context: Context) -> None:
    @api.get(
        "/healthz",
        tags=["health"],
        response_model=health.Health,
        responses={503: {"model": health.Health, "description": "something is not well"}},
    )
    async def healthz() -> Response:
        """Whether all is well, and a line for each part. Needs no token."""
        store = await health.store_part(context.store)
        status, body = health.told([*context.health(), store])
        return JSONResponse(body, status)


def _metrics(context: Context) -> Route:
    async def metrics(request: Request) -> Response:
        # Written in a thread: with thousands of clients it takes a while.
        body, media_type = await asyncio.to_thread(context.metrics.exposition, context.present())
        return Response(body, headers={"Content-Type": media_type})

    return Route("/metrics", metrics, methods=["GET"])
