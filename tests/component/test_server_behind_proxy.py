"""The HTTP server behind a proxy with TLS: everybody comes from one address, in plain HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import requests
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from vipex_bridge.config.settings import Customer, Http, Secret
from vipex_bridge.server import access, login
from vipex_bridge.server.gate import Gate
from vipex_bridge.server.serving import Serving

LONG, SHORT = "a-token-that-nobody-guesses", "letmein"
CUSTOMERS, CUSTOMERS_SHORT = "a-customers-token-as-long", "acme"
PUBLIC = "https://pbx.example.com"


class Bridge:
    """The gate and the log-in, on a port."""

    def __init__(self, public_url: str | None) -> None:
        self.now = 1000.0
        """Seconds of the gate's clock: they pass when a test says so."""
        inside = Starlette(
            routes=[
                Route(path, lambda request: PlainTextResponse("in")) for path in ("/metrics", "/api/v1/calls")
            ]
        )
        customer = Customer(Path("acme.yaml"), (), (Secret(CUSTOMERS), Secret(CUSTOMERS_SHORT)))
        keys = access.CustomerKeys.of([customer])
        gate = Gate(
            inside, lambda: [LONG, SHORT], lambda: keys, lambda: self.now, public_url=lambda: public_url
        )
        inside.router.routes += login.routes(gate)
        self.serving = Serving(gate)

    async def get(self, path: str, token: str) -> int:
        """The status of a program's request."""
        answer = await asyncio.to_thread(
            requests.get, self._url(path), headers={"X-Api-Key": token}, timeout=10
        )
        return answer.status_code

    async def log_in(self, token: str, **headers: str) -> requests.Response:
        """The answer to somebody who logs in."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await asyncio.to_thread(
            requests.post,
            self._url("/login"),
            data={"token": token},
            headers=sent,
            timeout=10,
            allow_redirects=False,
        )

    async def status_after_log_in(self, token: str, host: str) -> int:
        """What a browser gets that has logged in by this name, in plain HTTP."""

        def browse() -> int:
            with requests.Session() as browser:
                browser.headers["Host"] = host
                form = {"token": token}
                browser.post(self._url("/login"), data=form, timeout=10, allow_redirects=False)
                return browser.get(self._url("/metrics"), timeout=10).status_code

        return await asyncio.to_thread(browse)

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.serving.port}{path}"


@contextlib.asynccontextmanager
async def bridge(public_url: str | None = None) -> AsyncIterator[Bridge]:
    made = Bridge(public_url)
    await made.serving.start(Http("127.0.0.1", 0, ()))
    try:
        yield made
    finally:
        await made.serving.close()


async def test_who_guesses_locks_out_nobody_else() -> None:
    async with bridge() as server:
        guesses = [await server.get("/metrics", f"guess {number}") for number in range(20)]
        assert guesses == [401] * access.WRONG_TRIES + [429] * 10
        assert await server.get("/metrics", LONG) == 200
        assert await server.get("/api/v1/calls", CUSTOMERS) == 200
        assert (await server.log_in(LONG)).status_code == 303
        # Nor does a right one in between give the guesser more tries.
        assert await server.get("/metrics", "guess") == 429
        assert (await server.log_in("guess")).status_code == 429
        server.now += access.FORGIVEN_AFTER_S
        assert await server.get("/metrics", "guess") == 401


async def test_a_token_that_can_be_found_by_trying_waits_with_the_wrong_ones() -> None:
    async with bridge() as server:
        for token, path in ((SHORT, "/metrics"), (CUSTOMERS_SHORT, "/api/v1/calls")):
            assert await server.get(path, token) == 200
        for number in range(access.WRONG_TRIES):
            await server.log_in(f"guess {number}")
        for token, path in ((SHORT, "/metrics"), (CUSTOMERS_SHORT, "/api/v1/calls")):
            assert await server.get(path, token) == 429
        answer = await server.log_in(SHORT)
        assert (answer.status_code, "set-cookie" in answer.headers) == (429, False)


@pytest.mark.parametrize(
    ("public_url", "headers", "is_secure"),
    [
        (PUBLIC, {"Host": "pbx.example.com"}, True),
        (PUBLIC, {"Host": "PBX.example.com:443"}, True),
        (PUBLIC, {"Host": "pbx.example.com:8080"}, False),
        (PUBLIC, {"Host": "pbx.example.com:port"}, False),
        (PUBLIC, {"Host": "pbx.example.com:8080", "X_Forwarded_Proto": "https"}, True),
        (f"{PUBLIC}:8443/pbx", {"Host": "pbx.example.com:8443"}, True),
        (f"{PUBLIC}:8443/pbx", {"Host": "pbx.example.com"}, True),
        (f"{PUBLIC}:8443/pbx", {"Host": "pbx.example.com:443"}, False),
        (PUBLIC, {"Host": "127.0.0.1:8080"}, False),
        (PUBLIC, {"Host": "localhost"}, False),
        (PUBLIC, {"Host": "[::1]:8080"}, False),
        (PUBLIC, {"Host": "127.0.0.1:8080", "X_Forwarded_Proto": "https"}, True),
        (PUBLIC, {"Host": "[::1]:8080", "X_Forwarded_Proto": "HTTPS, http"}, True),
        (PUBLIC, {"Host": "127.0.0.1:8080", "X_Forwarded_Proto": "http, https"}, False),
        ("https://localhost", {"Host": "localhost"}, False),
        (PUBLIC, {"Host": "192.0.2.7:8080"}, False),
        (PUBLIC, {"Host": "192.0.2.7:8080", "X_Forwarded_Proto": "https"}, True),
        (PUBLIC, {"Host": "pbx.example.com.evil.example"}, False),
        (None, {"Host": "pbx.example.com"}, False),
        (None, {"Host": "pbx.example.com", "X_Forwarded_Proto": "https"}, True),
        ("http://pbx.example.com", {"Host": "pbx.example.com"}, False),
    ],
)
async def test_a_cookie_is_for_tls_alone_where_the_browser_speaks_it(
    public_url: str | None, headers: dict[str, str], is_secure: bool
) -> None:
    async with bridge(public_url) as server:
        answer = await server.log_in(LONG, **headers)
        assert answer.status_code == 303
        assert ("; secure" in answer.headers["set-cookie"].lower()) == is_secure


@pytest.mark.parametrize("host", ["pbx.example.com:8080", "127.0.0.1:8080", "localhost:8080"])
async def test_who_logs_in_past_the_proxy_in_plain_http_stays_logged_in(host: str) -> None:
    async with bridge(PUBLIC) as server:
        # As a browser: it keeps no cookie of plain HTTP that is for TLS alone.
        assert await server.status_after_log_in(LONG, host) == 200
