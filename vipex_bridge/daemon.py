"""The daemon: wiring and lifetimes, no logic."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import FileIO

import structlog

from vipex_bridge import __version__, people, recordings
from vipex_bridge.agi.server import AgiServer
from vipex_bridge.ami.session import Session
from vipex_bridge.bridge import systemd
from vipex_bridge.bridge.answering import Answering
from vipex_bridge.bridge.ending import Ending
from vipex_bridge.bridge.following import Following
from vipex_bridge.bridge.live import Live
from vipex_bridge.bridge.logged import ChannelEvents
from vipex_bridge.bridge.measuring import Measuring
from vipex_bridge.bridge.reconciling import Reconciling
from vipex_bridge.bridge.telling import Telling, numbering_of, tariff_of
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.cdr.poller import Poller
from vipex_bridge.cdr.sources import open_cel
from vipex_bridge.config.customers import with_kept
from vipex_bridge.config.settings import Numbers, Settings
from vipex_bridge.console.lookup_times import LookupTimes
from vipex_bridge.deliver.http import Transport
from vipex_bridge.deliver.worker import Deliveries
from vipex_bridge.errors import ConfigurationError, StoreDamaged, StoreError
from vipex_bridge.lookup.asked import LookupLog
from vipex_bridge.lookup.exchange import Lookups
from vipex_bridge.lookup.result import LookupResult
from vipex_bridge.metrics import Metrics
from vipex_bridge.server.app import application
from vipex_bridge.server.context import Context
from vipex_bridge.server.health import Part
from vipex_bridge.server.serving import Serving
from vipex_bridge.store.nodes import SIGNED_EVERY_S
from vipex_bridge.store.store import Store

log = structlog.get_logger()

DELIVERIES_STOP_WITHIN_S = 2.5
"""When running deliveries are left, counted from the stop: it stays under the contract's 5 s."""
LOOKUPS_STOP_WITHIN_S = 2.0
"""When running lookups are broken off, counted likewise."""
STOPS_WITHIN_S = 4.0
"""When, counted likewise, it ends whatever the disk does: the contract's 5 s, less Python's own end."""
CANCEL_TRIES, CANCEL_AGAIN_S = 3, 0.3
"""How often and how soon a task that goes on is told again to end."""
RETIRE_EVERY_S = 600.0
PROGRESS_EVERY_S = SIGNED_EVERY_S
"""How old what is known of a lost store, or of a bridge that died, can be."""


class Daemon:
    """One bridge: built from settings, run until told to stop, reloadable while it runs."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings], metrics: Metrics) -> None:
        self._settings = settings
        self._reread = reread
        self._metrics = metrics
        self._watching = people.Watching()
        self._changing = asyncio.Lock()
        self._reloading: asyncio.Task[None] | None = None
        self._watching.begin(settings.numbers)
        metrics.expects(settings.clients.values())
        self._stopping = asyncio.Event()
        self._store = Store(settings.store.reveal(), settings.node)
        self._transport = Transport()
        numbering = numbering_of(settings.numbers)
        self._tracker = Tracker(numbering)
        self._telling = Telling(settings)
        self._lookup_times = LookupTimes()
        self._lookup_log = LookupLog()
        self._deliveries = self._open_deliveries()
        self._session: Session | None = None
        self._poller = self._open_poller()
        self._ending = Ending(
            settings,
            self._tracker,
            self._store,
            self._telling,
            self._poller,
            ami_connected=lambda: self._session is not None and self._session.connected,
            channel_events=self._channel_events(),
            claiming=self._deliveries.claiming,
        )
        self._live = Live(
            self._tracker,
            self._store,
            self._telling,
            on_ended=self._ending.on_ended,
            claiming=self._deliveries.claiming,
        )
        self._following = Following(
            self._store, self._telling, lambda: self._settings.recordings, self._deliveries.wake
        )
        self._lookups = Lookups(self._transport)
        self._answering = Answering(
            settings,
            self._tracker,
            self._store,
            self._telling,
            self._lookups,
            numbering=numbering,
            id_of_live=self._live.id_of,
            wake=self._deliveries.wake,
            on_lookup=self._note_lookup,
            lookup_log=self._lookup_log,
        )
        self._agi = AgiServer(settings.agi, self._answering)
        self._measuring = self._open_measuring()
        self._serving = Serving(application(self._context()))
        self._moving_server: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Runs until SIGTERM or SIGINT; everything that was committed goes on at the next start."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(16, thread_name_prefix="bridge"))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        _tell_disabled(self._settings)
        self._ending.restore()
        await self._agi.start()
        await self._serving.start(self._settings.http)
        self._deliveries.start()
        tasks = self._tasks()
        systemd.ready(f"vipex-bridge {__version__}, node {self._settings.node}")
        log.info("bridge.started", version=__version__, node=self._settings.node, pid=os.getpid())
        try:
            await self._until_stopped(tasks)
        finally:
            systemd.stopping()
            await self._stop(tasks)
            log.info("bridge.stopped")

    def _tasks(self) -> list[asyncio.Task[None]]:
        running = {
            "live": self._live.run(),
            "ending": self._ending.run(),
            "retention": self._retire(),
            "progress": self._keep_progress(),
            "measuring": self._measuring.run(),
            "following": self._following.run(),
            "people": self._watch_people(),
        }
        if self._poller is not None:
            reconciling = Reconciling(
                self._store, self._poller, lambda: self._settings.retention_s, self._ending.take_up
            )
            running["reconciling"] = reconciling.run()
        if self._settings.ami is not None:
            self._session = Session(self._settings.ami, self._live.on_events)
            running["ami"] = self._session.run()
        watchdog_s = systemd.watchdog_interval_s()
        if watchdog_s is not None:
            running["watchdog"] = self._pet(watchdog_s)
        return [asyncio.create_task(work, name=name) for name, work in running.items()]

    async def _until_stopped(self, tasks: list[asyncio.Task[None]]) -> None:
        stop = asyncio.create_task(self._stopping.wait(), name="stop")
        done, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        for task in done:
            if task is not stop:
                log.critical("bridge.task_ended", task=task.get_name())
                task.result()

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        began = time.monotonic()
        last = threading.Timer(STOPS_WITHIN_S, _leave, [0 if self._stopping.is_set() else 1])
        last.daemon = True
        last.start()
        await _cancelled(tasks)
        spent_s = time.monotonic() - began
        await asyncio.gather(
            self._agi.close(LOOKUPS_STOP_WITHIN_S - spent_s),
            self._serving.close(),
            asyncio.to_thread(self._deliveries.close, DELIVERIES_STOP_WITHIN_S - spent_s),
        )
        self._lookups.close()
        self._transport.close()
        self._store.close()

    def _reload(self) -> None:
        self._reloading = asyncio.create_task(self._read_again(), name="reload")

    def _read(self) -> Settings:
        """The configuration as it is now, its tariff made ready: seconds of work when that is large."""
        settings = self._reread()
        tariff_of(settings.numbers, settings.timezone)
        return settings

    async def _read_again(self) -> None:
        async with self._changing:
            await self._take_configuration()

    async def _take_configuration(self) -> None:
        systemd.reloading()
        try:
            self._go_by(await asyncio.to_thread(self._read))
        except ConfigurationError as error:
            for fault in error.faults:
                log.error("configuration.refused", fault=str(fault))
        except Exception as error:
            # Whatever it is, it is told; and systemd waits for the end of the reload.
            log.exception("configuration.refused", fault=f"{type(error).__name__}: {error}")
        systemd.ready("reloaded")

    def _go_by(self, settings: Settings) -> None:
        """The settings of a reload, from now on."""
        settings = with_kept(settings, self._settings)
        _tell_disabled(settings)
        self._watching.begin(settings.numbers)
        if settings.numbers.users_query is not None:
            # Until the database is asked again, those known are better than none.
            known = replace(settings.numbers, users=self._settings.numbers.users)
            settings = replace(settings, numbers=known)
        self._metrics.expects(settings.clients.values())
        self._take(settings)
        self._deliveries.reload(settings)
        self._agi.reload(settings.agi)
        self._moving_server = asyncio.create_task(self._serving.reload(settings.http), name="http.reload")
        log.info("configuration.reloaded", clients=len(settings.clients))

    def _take(self, settings: Settings) -> None:
        """What is made of calls from now on."""
        self._settings = settings
        numbering = numbering_of(settings.numbers)
        self._tracker.renumber(numbering)
        self._telling.reload(settings)
        self._ending.reload(settings)
        self._answering.reload(settings, numbering)

    def _look(self) -> Numbers | None:
        numbers = self._watching.look(self._settings.numbers)
        if numbers is not None:
            tariff_of(numbers, self._settings.timezone)
        return numbers

    async def _watch_people(self) -> None:
        while True:
            # A reload meanwhile would be undone by what was looked up before it.
            async with self._changing:
                numbers = await asyncio.to_thread(self._look)
                if numbers is not None:
                    self._take(replace(self._settings, numbers=numbers))
                    log.info("numbers.reloaded", users=len(numbers.users), tariff_lines=len(numbers.tariff))
            await asyncio.sleep(people.LOOKED_AT_EVERY_S)

    async def _retire(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._store.retire, self._settings.retention_s)
                drop_after_s = self._settings.privacy.drop_payload_after_s
                if drop_after_s is not None:
                    self._lookup_log.drop(time.time() - drop_after_s)
                    dropped = await asyncio.to_thread(self._store.drop_payloads, drop_after_s)
                    log.info("store.data_dropped", calls_and_deliveries=dropped)
            except StoreError as error:
                log.error("store.retention_failed", error=str(error))
            await asyncio.sleep(RETIRE_EVERY_S)

    async def _keep_progress(self) -> None:
        """Ends by StoreDamaged when the store is: the next start sets it aside."""
        while True:
            try:
                await asyncio.to_thread(self._store.keep_progress)
                await asyncio.to_thread(self._deliveries.take_over)
            except StoreDamaged:
                raise
            except StoreError as error:
                log.error("store.progress_not_kept", error=str(error))
            await asyncio.sleep(PROGRESS_EVERY_S)

    async def _pet(self, interval_s: float) -> None:
        while True:
            systemd.pet()
            await asyncio.sleep(interval_s / 2)

    def _open_deliveries(self) -> Deliveries:
        return Deliveries(
            self._store,
            self._settings,
            self._transport,
            open_recording=self._open_recording,
            on_attempt=self._metrics.tried,
            on_expired=self._metrics.expired,
        )

    def _open_measuring(self) -> Measuring:
        return Measuring(
            lambda: self._settings,
            self._store,
            self._tracker,
            self._live,
            self._ending,
            self._poller,
            lambda: self._session,
        )

    def _open_poller(self) -> Poller | None:
        if self._settings.cdr is None:
            return None
        return Poller(self._settings.cdr, self._settings.timezone, self._store.cursor())

    def _channel_events(self) -> ChannelEvents:
        cel = self._settings.cel
        if cel is None:
            return ChannelEvents(None)
        return ChannelEvents(open_cel(cel, self._settings.timezone), cel.poll_s)

    def _context(self) -> Context:
        return Context(
            store=self._store,
            settings=lambda: self._settings,
            deliveries=self._deliveries,
            tracker=self._tracker,
            transport=self._transport,
            lookups=self._lookups,
            health=self._health,
            metrics=self._metrics,
            present=self._measuring.present,
            lookup_times=self._lookup_times,
            lookup_log=self._lookup_log,
        )

    def _note_lookup(self, client: str, result: LookupResult) -> None:
        self._metrics.asked(client, result)
        if result.status != "OPEN":
            self._lookup_times.note(client, result.elapsed_s)

    def _health(self) -> list[Part]:
        parts: list[Part] = []
        if self._session is not None:
            parts.append(Part("ami", self._session.connected, self._session.status))
        if self._poller is not None:
            trouble = self._ending.source_trouble
            parts.append(Part("cdr", trouble is None, trouble or "well"))
        return parts

    def _open_recording(self, name: str) -> FileIO:
        return recordings.opened(self._settings.recordings, name)


def _tell_disabled(settings: Settings) -> None:
    """Says which customers' files are at fault, and whether their clients go on as they were."""
    going_on = {customer.file for customer in settings.customers}
    for disabled in settings.disabled:
        event = "customer_kept_as_before" if disabled.file in going_on else "customer_disabled"
        for fault in disabled.faults:
            log.error(f"configuration.{event}", file=str(disabled.file), fault=str(fault))


def _leave(exit_code: int) -> None:
    """Ends the process as `kill -9` would, after which nothing is lost either: see the store."""
    log.warning(
        "bridge.stop_cut_short", what_to_do="see why the disk is slow; the next start goes on from here"
    )
    os._exit(exit_code)


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    """Ends the tasks in bounded time: one that was just finishing something is told again."""
    pending = set(tasks)
    for _ in range(CANCEL_TRIES):
        for task in pending:
            task.cancel()
        if pending:
            _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
    for task in pending:
        log.error("bridge.task_did_not_end", task=task.get_name())
