"""Lookups: the question to the server while the caller waits, inside one deadline.

Each exchange has a thread to itself, at most `MAX_THREADS` at once (`places.py`). The caller's side is
asynchronous and never waits for such a thread beyond the deadline: a thread that is held up by resolving
a name, which nothing can break off, is left behind and gives its place back when it ends.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import FileIO

import structlog

from vipex_bridge.config.settings import Client
from vipex_bridge.deliver.fill import fill
from vipex_bridge.deliver.http import HttpAnswer, Transport
from vipex_bridge.deliver.masking import hide
from vipex_bridge.deliver.signing import sign
from vipex_bridge.errors import BadAnswer, BridgeError, RecordingError, TimedOut
from vipex_bridge.lookup.breaker import CircuitBreaker
from vipex_bridge.lookup.cache import AnswerCache, key
from vipex_bridge.lookup.mapping import MAX_BODY_BYTES, map_answer
from vipex_bridge.lookup.places import Places
from vipex_bridge.lookup.result import LookupResult, unasked
from vipex_bridge.lookup.threads import Threads
from vipex_bridge.lookup.values import Mismatch
from vipex_bridge.render.request import Request

__all__ = ["Lookups", "unasked"]

MAX_THREADS = 64
GRACE_S = 0.03
"""What the thread gets beyond the deadline to say by itself why there is no answer."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What one try, or all of them, came to."""

    result: LookupResult
    mismatches: tuple[Mismatch, ...] = ()
    next_url: bool = False
    """Another server may do better."""
    tells_of_server: bool = True
    """It counts for the breaker; what came of our own want of places or threads does not."""


class Lookups:
    """Asks the servers of lookup clients. For one event loop; `clock` is for caches and breakers."""

    def __init__(self, transport: Transport, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._transport = transport
        self._clock = clock
        self._cache = AnswerCache()
        self._breakers: dict[str, tuple[Client, CircuitBreaker]] = {}
        self._places = Places(MAX_THREADS)
        self._threads = Threads()
        self._closed = False

    async def ask(self, client: Client, request: Request, *, spent_s: float = 0.0) -> LookupResult:
        """Give the server's answer as channel variables, or the reason why there is none.

        `spent_s` of the client's time have gone by already. Returns within what is left of
        `client.timeout_s` and a few hundredths of a second, whatever happens; at once
        when cancelled (the caller hung up). Raises nothing else.
        """
        started = self._clock()
        if self._closed:
            return unasked(client, "UNAVAILABLE", "the bridge is stopping")
        asked = key(client, request)
        cached = self._cache.fresh(asked, started)
        if cached is not None:
            return replace(cached, elapsed_s=self._clock() - started, detail="from the cache")
        breaker = self._breaker(client)
        if not breaker.admits(started):
            result = unasked(client, "OPEN", "not asked: the client has failed too often in a row")
        else:
            try:
                left_s = max(0.0, client.timeout_s - spent_s)
                outcome = await self._in_time(replace(client, timeout_s=left_s), request)
            except BaseException:
                breaker.abandoned()
                raise
            now, result = self._clock(), outcome.result
            if result.status in ("OK", "NOMATCH"):
                breaker.succeeded()
                self._cache.keep(asked, result, now)
            elif outcome.tells_of_server:
                breaker.failed(now)
            else:
                breaker.abandoned()
        if result.status not in ("OK", "NOMATCH"):
            older = self._cache.stale(asked, self._clock())
            if older is not None:
                detail = f"an answer {older[1]:.0f} s old, as now: {result.status} {result.detail}"
                result = replace(older[0], detail=detail)
        return replace(result, elapsed_s=self._clock() - started)

    def close(self) -> None:
        """Ask no more; what is under way ends within its own deadline."""
        self._closed = True

    def _breaker(self, client: Client) -> CircuitBreaker:
        """The client's breaker; a new one when the client has been configured anew."""
        known = self._breakers.get(client.name)
        if known is None or known[0] != client:
            known = self._breakers[client.name] = (client, CircuitBreaker(client.lookup.breaker))
        return known[1]

    async def _in_time(self, client: Client, request: Request) -> _Outcome:
        ends_at = time.monotonic() + client.timeout_s
        waited: bool | None = None
        try:
            async with asyncio.timeout(client.timeout_s + GRACE_S):
                waited = await self._places.take(client.name)
                outcome = await self._in_thread(client, request, ends_at)
        except TimeoutError:
            why = "not asked: too many lookups under way" if waited is None else "no answer"
            outcome = _Outcome(unasked(client, "TIMEOUT", f"{why} within {client.timeout_s:g} s"))
        if waited is not False and outcome.result.status == "TIMEOUT":
            # The server had less than its time, if any.
            outcome = replace(outcome, tells_of_server=False)
        for mismatch in outcome.mismatches:
            _log.warning(
                "lookup.mismatch",
                client=client.name,
                variable=mismatch.variable,
                why=mismatch.why,
                length=mismatch.length,
            )
        return outcome

    def _in_thread(self, client: Client, request: Request, ends_at: float) -> asyncio.Future[_Outcome]:
        """Ask in a thread that holds the place just taken, and gives it back when it is done."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Outcome] = loop.create_future()

        def ended(outcome: _Outcome) -> None:
            self._places.give_back(client.name)
            if not future.done():
                future.set_result(outcome)

        def run() -> None:
            try:
                outcome = _ask_all(self._transport, client, request, ends_at)
            except Exception as error:  # noqa: BLE001 - the top of a thread
                _log.exception("lookup.broke", client=client.name)
                outcome = _Outcome(unasked(client, "BADRESPONSE", f"{type(error).__name__} in the bridge"))
            try:
                loop.call_soon_threadsafe(ended, outcome)
            except RuntimeError:
                _log.info("lookup.left_behind", client=client.name)

        try:
            self._threads.run(f"lookup-{client.name}", run)
        except RuntimeError:
            why = "no more threads: raise the limit of the service"
            ended(_Outcome(unasked(client, "UNREACHABLE", why), tells_of_server=False))
        return future


def _ask_all(transport: Transport, client: Client, request: Request, ends_at: float) -> _Outcome:
    """Try the client's URL, then its fallbacks, each with an equal share of the time that is left."""
    urls = [client.url, *client.lookup.fallback_urls]
    details: list[str] = []
    for index, url in enumerate(urls):
        share_s = (ends_at - time.monotonic()) / (len(urls) - index)
        outcome = _ask_one(transport, replace(client, url=url), request, max(share_s, 0.0))
        if outcome.result.detail:
            details.append(outcome.result.detail)
        if not outcome.next_url:
            break
    return replace(outcome, result=replace(outcome.result, detail="; ".join(details)))


def _ask_one(transport: Transport, client: Client, request: Request, timeout_s: float) -> _Outcome:
    ends_at = time.monotonic() + timeout_s
    try:
        outgoing = fill(request, client, _no_recording, idempotency_key=None)
        outgoing = sign(outgoing, client.signing_secrets, uuid.uuid4().hex, time.time())
        answer = transport.exchange(outgoing, tls=client.tls, timeout_s=timeout_s, max_bytes=MAX_BODY_BYTES)
    except BridgeError as error:
        return _Outcome(unasked(client, _status_of(error), str(error)), next_url=True)
    return _judged(client, answer, outgoing.where, ends_at)


def _no_recording(reference: str) -> FileIO:
    raise RecordingError(f"a lookup sends no recordings: {reference}")


def _status_of(error: BridgeError) -> str:
    match error:
        case TimedOut():
            return "TIMEOUT"
        case BadAnswer():
            return "BADRESPONSE"
    return "UNREACHABLE"


def _judged(client: Client, answer: HttpAnswer, where: str, ends_at: float) -> _Outcome:
    """The statuses of the contract, section 3, for an answer that came whole."""

    def refused(status: str, detail: str, next_url: bool = False) -> _Outcome:
        result = replace(
            unasked(client, status, f"{where}: {detail}"), http_code=answer.status, answer=answer
        )
        return _Outcome(result, next_url=next_url)

    if answer.status in (204, 404):
        return refused("NOMATCH", f"HTTP {answer.status}")
    if not 200 <= answer.status < 300:
        return refused("HTTPERROR", f"HTTP {answer.status}", next_url=answer.status >= 500)
    try:
        mapped = map_answer(client.lookup, answer.header("Content-Type"), answer.body, ends_at=ends_at)
    except BadAnswer as error:
        return refused("BADRESPONSE", hide(str(error), client), next_url=True)
    served = mapped.mapped > 0 or not client.lookup.set
    result = LookupResult(
        status="OK" if served else "NOMATCH",
        http_code=answer.status,
        variables=mapped.variables,
        detail="" if served else f"{where}: nothing in the answer could be mapped",
        answer=answer,
    )
    return _Outcome(result, mapped.mismatches)
