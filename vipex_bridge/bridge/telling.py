"""Which client is told what: notices and finished calls become deliveries, rendered and frozen."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

from vipex_bridge.calls.document import CallDocument, CallView, Notice
from vipex_bridge.calls.numbering import Numbering, User
from vipex_bridge.calls.price import Rate, Tariff
from vipex_bridge.config.settings import Client, Numbers, Settings, TariffLine
from vipex_bridge.errors import RenderError
from vipex_bridge.render.fields import call_end_fields, notify_fields
from vipex_bridge.render.match import Matcher, traits_of_document, traits_of_view
from vipex_bridge.render.request import Request
from vipex_bridge.render.requests import render
from vipex_bridge.store.outbox import RECORDING, NewDelivery


def fresh_token() -> str:
    """A token that no call's data can contain by chance."""
    return f"vipex{secrets.token_hex(16)}"


def lasting_key(node: str, client: str, key: str, event: str = "call_end") -> str:
    """The Idempotency-Key of a finished call's first telling: the same even after the store was lost."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{event}/{node}/{client}/{key}").hex


def numbering_of(numbers: Numbers) -> Numbering:
    """The configuration's numbers as the domain takes them."""
    users = {
        extension: User(user.user_id, user.user_number, user.cost_location)
        for extension, user in numbers.users.items()
    }
    return Numbering(numbers.trunks, numbers.extensions, users, numbers.forward_is_answer, numbers.devices)


def tariff_of(numbers: Numbers, timezone: ZoneInfo) -> Tariff:
    """The configuration's tariff as the domain takes it; the latest is kept: a large one takes long."""
    kept = _latest.get("tariff")
    if kept is not None and kept[0] is numbers.tariff and kept[1] == timezone:
        return kept[2]
    rates = (
        Rate(
            line.prefix,
            line.connection_fee,
            line.per_minute,
            line.first_increment_s,
            line.next_increment_s,
            line.times,
        )
        for line in numbers.tariff
    )
    tariff = Tariff(rates, timezone)
    _latest["tariff"] = (numbers.tariff, timezone, tariff)
    return tariff


_latest: dict[str, tuple[tuple[TariffLine, ...], ZoneInfo, Tariff]] = {}


class Telling:
    """Renders for every client that a notice or a finished call concerns."""

    def __init__(self, settings: Settings) -> None:
        self.reload(settings)

    def reload(self, settings: Settings) -> None:
        """Takes a new configuration."""
        clients = settings.clients.values()
        told = [client for client in clients if client.kind == "notify"]
        events = {event for client in told for event in client.on}
        self._told_of = {event: Matcher(c for c in told if event in c.on) for event in events}
        self._told_at_end = Matcher(client for client in clients if client.kind == "call_end")
        self._settings = settings

    def of_notice(self, notice: Notice, call_id: int, now: float) -> list[NewDelivery]:
        """The deliveries that a notice from the tracker asks for.

        A hangup's are known by call and record: it may be told by who hears it and by who tells the call.
        """
        told = self._told_of.get(notice.event)
        if told is None:
            return []
        clients = told.of(traits_of_view(notice.call, notice.exten))
        deliveries = [self.notification(client, notice, call_id, now, {}) for client in clients]
        if notice.event != "hangup":
            return deliveries
        known_by = f"{call_id}/{notice.call.key}"
        return [replace(each, dedupe_key=f"hangup/{each.client}/{known_by}") for each in deliveries]

    def notification(
        self, client: Client, notice: Notice, call_id: int, now: float, args: Mapping[str, str]
    ) -> NewDelivery:
        """One notification, frozen."""
        zone = self._settings.timezone

        request, error = _rendered(
            client,
            lambda: notify_fields(call_id, notice.call, notice.exten, zone, client.cc_call),
            notice.event,
            args,
        )
        return NewDelivery(
            client=client.name,
            kind="notify",
            call_id=call_id,
            event=notice.event,
            created_at=now,
            expires_at=now + client.expires_s if client.expires_s is not None else None,
            request=request,
            error=error,
        )

    def question(
        self, client: Client, view: CallView, call_id: int | None, args: Mapping[str, str]
    ) -> Request:
        """A lookup's request. Raises `RenderError`."""
        fields = notify_fields(call_id, view, None, self._settings.timezone, client.cc_call)
        return render(client, fields, "lookup", args, fresh_token)

    def wanting(self, document: CallDocument) -> list[Client]:
        """The clients that are told of this finished call."""
        matching = self._told_at_end.of(traits_of_document(document))
        return [client for client in matching if document.main.direction in client.directions]

    def of_call(self, document: CallDocument, call_id: int, key: str, now: float) -> list[NewDelivery]:
        """The deliveries that a finished call asks for, one for each client at most.

        With `recordings.when: separate` two for a client that wants the sound: the data, and then all of it
        again with the recordings, which is begun (`Writer.begin`) once they are whole, else after the wait.
        `key` is the name under which the call was first seen.
        """
        options, node = self._settings.recordings, self._settings.node
        told = []
        for client in self.wanting(document):
            whole = self.handing_over(client, document, call_id, now)
            if options is not None and options.is_separate and _has_sound(whole):
                later = replace(
                    self.handing_over(client, document, call_id, now, event=RECORDING),
                    not_before=now + options.wait_s,
                )
                told += [self.handing_over(client, document, call_id, now, has_sound=False), later]
            else:
                told.append(whole)
        return [
            replace(
                delivery,
                dedupe_key=f"{delivery.event}/{delivery.client}/{call_id}",
                idempotency_key=lasting_key(node, delivery.client, key, delivery.event),
            )
            for delivery in told
        ]

    def with_sound(
        self, client_name: str, document: CallDocument, call_id: int, now: float
    ) -> NewDelivery | None:
        """The second delivery of `recordings.when: separate`; None for a client that is there no more."""
        client = self._settings.clients.get(client_name)
        return None if client is None else self.handing_over(client, document, call_id, now, event=RECORDING)

    def handing_over(
        self,
        client: Client,
        document: CallDocument,
        call_id: int,
        now: float,
        *,
        event: str = "call_end",
        has_sound: bool = True,
    ) -> NewDelivery:
        """One finished call for one client, frozen; its templates see `event`."""
        zone = self._settings.timezone
        request, error = _rendered(
            client, lambda: call_end_fields(document, zone, client, has_sound=has_sound), event, {}
        )
        return NewDelivery(
            client=client.name,
            kind="call_end",
            call_id=call_id,
            event=event,
            created_at=now,
            request=request,
            error=error,
        )


def _has_sound(delivery: NewDelivery) -> bool:
    request = delivery.request
    return request is not None and any(slot.source == "recording" for slot in request.slots)


def _rendered(
    client: Client, fields: Callable[[], Mapping[str, object]], event: str, args: Mapping[str, str]
) -> tuple[Request | None, str | None]:
    """The request, or why there is none: such a delivery is parked as failed with the reason."""
    try:
        return render(client, fields(), event, args, fresh_token), None
    except RenderError as error:
        return None, str(error)
