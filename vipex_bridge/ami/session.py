"""The session with Asterisk's manager interface: log-in, liveness, reconnecting, resynchronising.

The AMI user needs `read = system,call,agent,dialplan` and `write = reporting` in manager.conf.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from vipex_bridge.ami.framing import Framer, Message
from vipex_bridge.ami.link import Link, LoginRefused, connect, first, log_in
from vipex_bridge.ami.resync import Resync
from vipex_bridge.ami.translate import worth_reading
from vipex_bridge.calls.events import CallEvent, ConnectionLost, ServerStopped
from vipex_bridge.config.settings import Ami
from vipex_bridge.errors import AmiError

log = structlog.get_logger()

PARTING_S = 10.0
"""How soon after it said so an Asterisk that stops is gone."""

_NEEDED = ("CoreStatus", "CoreShowChannels", "BridgeList", "Ping")
"""What the bridge asks; the Ping comes last, for what was sent before its answer has been heard then."""

CHECK_LOGIN = "check username and secret, and `permit` of this user in manager.conf"
CHECK_WRITE = "add `reporting` to this user's `write` in manager.conf, then `manager reload`"
CHECK_TIMESTAMPS = "set `timestampevents = yes` in manager.conf: without it times are those of arrival"
CHECK_PEER = (
    "check `asterisk.ami` (host, port, tls), and that Asterisk runs with `enabled = yes` in manager.conf"
)


def retry_delay_s(failures: int, first_s: float, longest_s: float) -> float:
    """The longest pause after this many failures in a row: doubled each time, up to `longest_s`."""
    return float(min(longest_s, first_s * 2 ** min(failures, 16)))


class Session:
    """Keeps one connection to Asterisk and hands over its events, in order, resynchronised.

    `on_events` gets the events of one read. After each log-in there come, in this order: `ServerStarted`
    if Asterisk has started anew since the last connection, events, and among them `LiveChannels` where
    the list of channels is complete (see `resync`). `ConnectionLost` comes once per loss, not at a
    cancellation.
    A dead peer is found within `ping_interval_s + answer_timeout_s`. Tries follow each other after
    `retry_first_s`, then twice that, up to `retry_max_s`, or `refused_max_s` while the log-in is
    refused (a firewall may count refusals); up to a quarter of each delay is left out at random.
    `on_bytes` gets all that Asterisk sends, as it was received; what is sent to it, the secret, is not in it.
    """

    def __init__(
        self,
        ami: Ami,
        on_events: Callable[[list[CallEvent]], None],
        *,
        on_bytes: Callable[[bytes], None] = lambda data: None,
        clock: Callable[[], float] = time.time,
        connect_timeout_s: float = 5.0,
        answer_timeout_s: float = 5.0,
        ping_interval_s: float = 5.0,
        retry_first_s: float = 1.0,
        retry_max_s: float = 5.0,
        refused_max_s: float = 60.0,
    ) -> None:
        self._ami = ami
        self._on_events = on_events
        self._on_bytes = on_bytes
        self._clock = clock
        self._connect_timeout_s = connect_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._ping_interval_s = ping_interval_s
        self._retry_first_s = retry_first_s
        self._retry_max_s = retry_max_s
        self._refused_max_s = refused_max_s
        self._where = f"{ami.host}:{ami.port}"
        self._status = f"not connected to {self._where} yet"
        self._link: Link | None = None
        self._resync = Resync("")
        self._connected = False
        self._logins = 0
        self._malformed = 0
        self._failures = 0
        self._has_warned_of_timestamps = False
        self._stop_said_at = -math.inf

    @property
    def connected(self) -> bool:
        """Logged in, and not known to be dead."""
        return self._connected

    @property
    def status(self) -> str:
        """One line for an operator."""
        return self._status

    @property
    def reconnects(self) -> int:
        """Successful log-ins after the first."""
        return max(0, self._logins - 1)

    @property
    def malformed(self) -> int:
        """Messages that were skipped because they could not be read."""
        return self._malformed + (self._link.framer.malformed if self._link is not None else 0)

    async def run(self) -> None:
        """Stays connected for ever; ends only by cancellation, with the connection closed."""
        while True:
            longest_s, logins = self._retry_max_s, self._logins
            try:
                await self._stay_connected()
            except LoginRefused as error:
                longest_s = self._refused_max_s
                log.error(
                    "ami.login_refused",
                    peer=self._where,
                    username=self._ami.username,
                    reason=str(error),
                    what_to_do=CHECK_LOGIN,
                )
                self._status = f"log-in refused by {self._where}: {error}; {CHECK_LOGIN}"
            except (AmiError, OSError, UnicodeError) as error:
                self._say_disconnected(str(error) or type(error).__name__, was_up=self._logins > logins)
            delay_s = retry_delay_s(self._failures, self._retry_first_s, longest_s)
            self._failures += 1
            await asyncio.sleep(delay_s * random.uniform(0.75, 1.0))  # noqa: S311 -- spreads, keeps nothing secret

    async def run_once(self) -> None:
        """One connection, to its end. Raises AmiError that says why it ended, or why there was none."""
        try:
            await self._stay_connected()
        except LoginRefused as error:
            raise LoginRefused(f"log-in refused by {self._where}: {error}; {CHECK_LOGIN}") from None
        except (AmiError, OSError, UnicodeError) as error:
            advice = "" if self._logins else f"; {CHECK_PEER}"
            raise AmiError(f"{self._where}: {str(error) or type(error).__name__}{advice}") from None

    def _say_disconnected(self, reason: str, *, was_up: bool) -> None:
        advice = "none needed: reconnecting" if was_up else CHECK_PEER
        status = f"no connection to {self._where}: {reason}"
        # The same reason every few seconds would bury the rest of the log.
        if status != self._status:
            log.warning("ami.disconnected", peer=self._where, reason=reason, what_to_do=advice)
        self._status = status

    async def _stay_connected(self) -> None:
        link = await self._connect()
        try:
            await self._log_in(link)
            await self._ping(link)
            status, bridges = link.request("CoreStatus"), link.request("BridgeList")
            self._resync.expect(status.id, link.request("CoreShowChannels").id, bridges.id)
            while True:
                if self._resync.is_booting:
                    self._resync.ask_again(link.request("CoreStatus").id)
                if self._resync.wants_list:
                    self._resync.list_again(link.request("CoreShowChannels").id)
                await self._ping(link)
                await link.idle(self._ping_interval_s)
        except AmiError:
            self._connected = False
            link.close()
            if self._resync.is_open:
                self._hand_over(self._parting(self._clock()))
            raise
        finally:
            self._connected = False
            self._malformed += link.framer.malformed
            self._link = None
            await link.shut()

    async def _ping(self, link: Link) -> None:
        ping = link.request("Ping")
        self._resync.expect_pong(ping.id)
        await link.answer(ping, self._answer_timeout_s)

    def _parting(self, now: float) -> list[CallEvent]:
        """What the end of the connection means."""
        at = now + self._resync.clock_offset_s
        was_stopped = 0 <= now - self._stop_said_at < PARTING_S
        return [*([ServerStopped(at)] if was_stopped else []), ConnectionLost(at)]

    async def _connect(self) -> Link:
        resync = self._resync = Resync(self._resync.started)
        self._link = await connect(
            self._ami,
            lambda: Link(
                lambda messages: self._hear(resync, messages),
                self._on_bytes,
                Framer(select=worth_reading),
            ),
            self._connect_timeout_s,
        )
        return self._link

    async def _log_in(self, link: Link) -> None:
        await log_in(link, self._ami, self._answer_timeout_s)
        self._failures = 0
        self._logins += 1
        self._connected = True
        self._status = f"connected to {link.framer.banner or 'Asterisk'} at {self._where}"
        log.info("ami.connected", peer=self._where, banner=link.framer.banner, reconnects=self.reconnects)

    def _hear(self, resync: Resync, messages: list[Message]) -> None:
        arrival = self._clock()
        events: list[CallEvent] = []
        for message in messages:
            events += resync.take(message, arrival)
        if any(isinstance(event, ServerStopped) for event in events):
            # A caller could have put it there; that Asterisk then goes is what nobody else can do.
            self._stop_said_at = arrival
            events = [event for event in events if not isinstance(event, ServerStopped)]
        self._report(resync)
        if events:
            self._hand_over(events)

    def _hand_over(self, events: list[CallEvent]) -> None:
        try:
            self._on_events(events)
        except Exception:
            log.exception("ami.callback_failed", events=len(events))

    def _report(self, resync: Resync) -> None:
        for what in resync.malformed:
            log.warning("ami.malformed", reason=what)
        self._malformed += len(resync.malformed)
        resync.malformed.clear()
        for refusal in resync.refusals:
            log.warning(
                "ami.action_refused", action=refusal.action, reason=refusal.reason, what_to_do=CHECK_WRITE
            )
        resync.refusals.clear()
        if resync.lacks_timestamps and not self._has_warned_of_timestamps:
            self._has_warned_of_timestamps = True
            log.warning("ami.no_timestamps", what_to_do=CHECK_TIMESTAMPS)


@dataclass(frozen=True, slots=True)
class Probed:
    """What one log-in showed."""

    banner: str
    refused: tuple[str, ...]
    """The actions that the bridge needs and that were not carried out, each with what Asterisk said."""
    hears_system: bool
    """Asterisk said that it is up, which it tells those alone who may read `system`."""


async def probe(ami: Ami, *, connect_timeout_s: float = 5.0, answer_timeout_s: float = 5.0) -> Probed:
    """Logs in, tries each action that the bridge uses, and leaves. Raises AmiError with what to do."""
    heard: set[str] = set()

    def listen(messages: list[Message]) -> None:
        heard.update(message.get("event", "") for message in messages)

    where = f"{ami.host}:{ami.port}"
    try:
        link = await connect(ami, lambda: Link(listen, lambda data: None, Framer()), connect_timeout_s)
        try:
            await log_in(link, ami, answer_timeout_s)
            refused = []
            for name in _NEEDED:
                answer = await link.answer(link.request(name), answer_timeout_s)
                if not first(answer).success:
                    refused.append(f"{name}: {first(answer).message or 'refused'}")
        finally:
            await link.shut()
    except LoginRefused as error:
        raise LoginRefused(f"log-in to {where} refused: {error}; {CHECK_LOGIN}") from None
    except (AmiError, OSError, UnicodeError) as error:
        raise AmiError(f"{where}: {str(error) or type(error).__name__}; {CHECK_PEER}") from None
    return Probed(link.framer.banner, tuple(refused), "FullyBooted" in heard)
