"""What the dialplan asks: lookups answered, `dialplan` notifications queued."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import structlog

from vipex_bridge.agi.call import AgiCall
from vipex_bridge.bridge.telling import Telling
from vipex_bridge.calls.document import CallView, Kind, Notice
from vipex_bridge.calls.numbering import Numbering, Role, endpoint, shown_number
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.rows import uniqueid_epoch
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.view import kind_of, view_of
from vipex_bridge.config.settings import Client, Settings
from vipex_bridge.errors import BridgeError, RenderError
from vipex_bridge.lookup.asked import LookupLog, asked
from vipex_bridge.lookup.exchange import Lookups, unasked
from vipex_bridge.lookup.result import LookupResult
from vipex_bridge.render.match import matches, traits_of_view
from vipex_bridge.store.store import Store

log = structlog.get_logger()

QUEUED_WITHIN_S = 3.0
"""So long the caller waits for a notification to be queued; it may still be queued later."""


class Answering:
    """The AGI server's handler. Whatever goes wrong here, the call in the dialplan goes on."""

    def __init__(
        self,
        settings: Settings,
        tracker: Tracker,
        store: Store,
        telling: Telling,
        lookups: Lookups,
        *,
        numbering: Numbering,
        id_of_live: Callable[[str], Awaitable[int | None]],
        wake: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        on_lookup: Callable[[str, LookupResult], None] | None = None,
        lookup_log: LookupLog | None = None,
    ) -> None:
        """`id_of_live` gives the id of a call that is up, by its record's key, without asking the store.

        `on_lookup` is told client and result of each lookup that was asked; `lookup_log` keeps them."""
        self._settings = settings
        self._tracker = tracker
        self._store = store
        self._telling = telling
        self._lookups = lookups
        self._numbering = numbering
        self._id_of_live = id_of_live
        self._wake = wake
        self._clock = clock
        self._on_lookup = on_lookup
        self._lookup_log = lookup_log

    def reload(self, settings: Settings, numbering: Numbering) -> None:
        """Takes a new configuration."""
        self._settings = settings
        self._numbering = numbering

    async def lookup(self, call: AgiCall, client: str, args: Mapping[str, str]) -> LookupResult:
        """Asks the client's server; see the contract, section 3, for the statuses."""
        known = self._client(client, "lookup")
        if known is None:
            log.warning("lookup.no_client", client=client, uniqueid=call.uniqueid)
            return unasked(None, "NOCLIENT")
        started = time.monotonic()
        view = self._view(call)
        if not matches(known.match, traits_of_view(view, None)):
            return unasked(known, "NOMATCH")
        call_id = await self._identify(call, view, within_s=known.timeout_s / 2)
        try:
            request = self._telling.question(known, view, call_id, args)
        except RenderError as error:
            log.error("lookup.not_rendered", client=client, call=call_id, error=str(error))
            return unasked(known, "BADRESPONSE")
        result = await self._lookups.ask(known, request, spent_s=time.monotonic() - started)
        log.info(
            "lookup.answered",
            client=client,
            call=call_id,
            status=result.status,
            http_code=result.http_code,
            elapsed_ms=round(result.elapsed_s * 1000),
            detail=result.detail,
        )
        if self._on_lookup is not None:
            self._on_lookup(client, result)
        if self._lookup_log is not None and call_id is not None:
            self._lookup_log.add(asked(known, call_id, request, result, self._clock()))
        return result

    def unavailable(self, client: str) -> LookupResult:
        """What is set when a lookup was broken off: every variable at its default."""
        return unasked(self._client(client, "lookup"), "UNAVAILABLE")

    async def notify(self, call: AgiCall, client: str, args: Mapping[str, str]) -> str:
        """Queues a `dialplan` notification; returns its `VIPEX_STATUS`."""
        known = self._client(client, "notify")
        if known is None:
            log.warning("notify.no_client", client=client, uniqueid=call.uniqueid)
            return "NOCLIENT"
        view = self._view(call)
        if not matches(known.match, traits_of_view(view, None)):
            return "NOMATCH"
        try:
            async with asyncio.timeout(QUEUED_WITHIN_S):
                await asyncio.to_thread(self._queue, call, known, view, args)
        except TimeoutError:
            log.error("notify.not_queued_in_time", client=client, uniqueid=call.uniqueid)
            return "UNAVAILABLE"
        self._wake(known.name)
        return "OK"

    def _client(self, name: str, kind: str) -> Client | None:
        client = self._settings.clients.get(name)
        return client if client is not None and client.kind == kind else None

    def _view(self, call: AgiCall) -> CallView:
        """The call as AMI saw it so far, else as AGI itself describes it; the dialplan's labels win."""
        record = self._record(call)
        kind = kind_of(record) if record is not None else None
        if record is not None and kind is not None:
            view = view_of(record, kind)
        else:
            inside = self._numbering.role(call.channel, call.context) is Role.EXTENSION
            view = CallView(
                key=call.linkedid or call.uniqueid,
                kind=Kind.OUTBOUND if inside else Kind.INBOUND,
                start_time=uniqueid_epoch(call.uniqueid) or self._clock(),
                src=shown_number(call.caller_number),
                dst=call.dialled or None,
                context=call.context,
                account=call.account,
                trunks=() if inside else (endpoint(call.channel),),
            )
        said = call.variables
        return replace(
            view,
            ivr_digits=said.get("VIPEX_IVR_DIGITS") or view.ivr_digits,
            custom_field=said.get("VIPEX_CUSTOM_FIELD") or view.custom_field,
            cc_call=said.get("VIPEX_CC_CALL") or view.cc_call,
        )

    def _record(self, call: AgiCall) -> CallRecord | None:
        """What AMI saw of the call."""
        return self._tracker.call(call.linkedid) or self._tracker.call(call.uniqueid)

    async def _identify(self, call: AgiCall, view: CallView, within_s: float) -> int | None:
        """The call's id; None when the store does not give one soon: a caller is waiting."""
        try:
            async with asyncio.timeout(within_s):
                record = self._record(call)
                known = await self._id_of_live(record.key) if record is not None else None
                return known if known is not None else await asyncio.to_thread(self._take_id, call, view)
        except (BridgeError, TimeoutError) as error:
            log.error("lookup.no_id", uniqueid=call.uniqueid, error=str(error) or "the store is too slow")
            return None

    def _take_id(self, call: AgiCall, view: CallView) -> int:
        known = self._store.call_id(call.linkedid or call.uniqueid)
        if known is not None:
            return known
        with self._store.write(self._clock()) as writer:
            return writer.identify(_keys(call), view.start_time)

    def _queue(self, call: AgiCall, client: Client, view: CallView, args: Mapping[str, str]) -> None:
        now = self._clock()
        with self._store.write(now) as writer:
            call_id = writer.identify(_keys(call), view.start_time)
            notice = Notice("dialplan", view, now)
            writer.queue(self._telling.notification(client, notice, call_id, now, args))


def _keys(call: AgiCall) -> list[str]:
    return list(dict.fromkeys(key for key in (call.linkedid, call.uniqueid) if key))
