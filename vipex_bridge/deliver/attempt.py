"""One try of one delivery: the frozen request filled, exchanged, and what the answer means."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import PurePosixPath

import structlog

from vipex_bridge.config.settings import Client
from vipex_bridge.deliver import retry
from vipex_bridge.deliver.fill import fill
from vipex_bridge.deliver.http import HttpAnswer, Transport
from vipex_bridge.deliver.masking import hide
from vipex_bridge.deliver.signing import sign
from vipex_bridge.errors import ExchangeError, RenderError, StoreError
from vipex_bridge.privacy import without_keys
from vipex_bridge.store.outbox import ANSWER_BYTES, Delivery, NewAttempt

log = structlog.get_logger()

MAX_ANSWER_BYTES = 64 * 1024
"""More of an answer is not read: only its status matters."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A try and what follows from it, as the outbox keeps them."""

    attempt: NewAttempt
    outcome: retry.Outcome


def no_client(name: str) -> str:
    """Why nothing can be sent to a client that is not there any more."""
    return f"client {name} is not in the configuration: put it back, then resend"


class Trying:
    """Makes tries; may be called by many threads at once."""

    def __init__(
        self,
        transport: Transport,
        open_recording: Callable[[str], FileIO],
        clock: Callable[[], float],
        uptime: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._transport = transport
        self._open_recording = open_recording
        self._clock = clock
        self._uptime = uptime
        self._random = random

    def once(self, delivery: Delivery, client: Client, started_at: float) -> Tried:
        """Send the delivery to its client's server. Never raises: whatever goes wrong is a failed try."""
        up_at_start = self._uptime()
        started = time.monotonic()
        answer, error = None, None
        without: list[str] = []
        try:
            answer = self._exchange(delivery, client, without)
            if not 200 <= answer.status <= 299:
                error = f"the server answered {answer.status}"
        except (ExchangeError, RenderError) as failure:
            error = str(failure)
        except Exception as failure:
            # A fault of ours must not lose a call: the delivery is tried again like any other.
            log.exception("delivery.broken", client=client.name, call=delivery.call_id, delivery=delivery.id)
            error = f"internal error ({type(failure).__name__}), see the log"
        elapsed_s = time.monotonic() - started
        outcome = retry.after_attempt(
            answer.status if answer is not None else None,
            answer.header("Retry-After") if answer is not None else "",
            retry_s=client.retry_s,
            retry_index=delivery.retry_index,
            expires_at=delivery.expires_at,
            # Not the clock's: somebody may have set it meanwhile, and the delivery's times are of before.
            now=started_at + self._uptime() - up_at_start,
            chance=self._random(),
        )
        attempt = NewAttempt(
            started_at=started_at,
            elapsed_s=elapsed_s,
            status_code=answer.status if answer is not None else None,
            outcome=outcome.what.value,
            error="; ".join([*([error] if error is not None else []), *without]) or None,
            answer=excerpt(answer, client) if answer is not None else None,
        )
        return Tried(attempt, outcome)

    def without_client(self, delivery: Delivery) -> Tried:
        """What stands for a try when the delivery's client has been taken out of the configuration."""
        reason = no_client(delivery.client)
        attempt = NewAttempt(self._clock(), 0.0, None, retry.What.FAILED.value, reason, None)
        return Tried(attempt, retry.Outcome(retry.What.FAILED, delivery.retry_index))

    def _exchange(self, delivery: Delivery, client: Client, without: list[str]) -> HttpAnswer:
        if delivery.request is None:
            raise RenderError("there is no request to send")

        def left_out(reference: str, reason: str) -> None:
            without.append(f"without recording {PurePosixPath(reference).name}: {reason}")
            log.warning(
                "recording.left_out",
                client=client.name,
                call=delivery.call_id,
                delivery=delivery.id,
                recording=reference,
                reason=reason,
            )

        outgoing = fill(
            delivery.request,
            client,
            self._open_recording,
            idempotency_key=delivery.idempotency_key,
            on_missing=left_out,
        )
        outgoing = sign(outgoing, client.signing_secrets, delivery.idempotency_key, self._clock())
        return self._transport.exchange(
            outgoing, tls=client.tls, timeout_s=client.timeout_s, max_bytes=MAX_ANSWER_BYTES, cut=True
        )


def excerpt(answer: HttpAnswer, client: Client) -> str:
    """The start of an answer as text, for the log of deliveries.

    A server that echoes its request must not bring our secrets into the store: they are masked.
    """
    text = hide(answer.body.decode("utf-8", errors="replace"), client)
    return text.encode()[:ANSWER_BYTES].decode(errors="ignore")


def with_keys_masked(tried: Tried) -> Tried:
    """The try with the menu keys masked that a server repeats in its answer."""
    answer = tried.attempt.answer
    return replace(tried, attempt=replace(tried.attempt, answer=answer and without_keys(answer)))


def log_try(delivery: Delivery, tried: Tried) -> None:
    """One line for the operator: what was tried, and what came of it."""
    attempt = tried.attempt
    told = log.bind(
        client=delivery.client,
        call=delivery.call_id,
        delivery=delivery.id,
        notice=delivery.event,
        status=attempt.status_code,
        elapsed_ms=round(attempt.elapsed_s * 1000),
    )
    match tried.outcome.what:
        case retry.What.DELIVERED:
            told.info("delivery.sent")
        case retry.What.RETRY:
            told.warning(
                "delivery.failed_try", error=attempt.error, next_attempt_at=tried.outcome.next_attempt_at
            )
        case retry.What.FAILED:
            told.error("delivery.parked", error=attempt.error)
        case retry.What.EXPIRED:
            told.warning("delivery.expired", error=attempt.error)


def log_not_recorded(delivery: Delivery, error: StoreError) -> None:
    """A try was made, and the store would not take it: it is recorded as soon as it does."""
    log.error(
        "delivery.not_recorded",
        client=delivery.client,
        call=delivery.call_id,
        delivery=delivery.id,
        error=str(error),
    )
