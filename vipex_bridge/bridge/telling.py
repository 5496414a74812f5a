"""Which client is told what: notices and finished calls become deliveries, rendered and frozen."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace

from vipex_bridge.calls.document import CallDocument, CallView, Notice
from vipex_bridge.calls.numbering import Numbering, User
from vipex_bridge.calls.price import Rate, Tariff
from vipex_bridge.config.settings import Client, Numbers, Settings
from vipex_bridge.errors import RenderError
from vipex_bridge.render.fields import call_end_fields, notify_fields
from vipex_bridge.render.match import matches
from vipex_bridge.render.request import Request
from vipex_bridge.render.requests import render
from vipex_bridge.store.outbox import NewDelivery


def fresh_token() -> str:
    """A token that no call's data can contain by chance."""
    return f"vipex{secrets.token_hex(16)}"


def lasting_key(node: str, client: str, key: str) -> str:
    """The Idempotency-Key of a finished call's first telling: the same even after the store was lost."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"call_end/{node}/{client}/{key}").hex


def numbering_of(numbers: Numbers) -> Numbering:
    """The configuration's numbers as the domain takes them."""
    users = {
        extension: User(user.user_id, user.user_number, user.cost_location)
        for extension, user in numbers.users.items()
    }
    return Numbering(numbers.trunks, numbers.extensions, users, numbers.forward_is_answer)


def tariff_of(numbers: Numbers) -> Tariff:
    """The configuration's tariff as the domain takes it."""
    return Tariff(
        Rate(
            line.prefix,
            line.connection_fee,
            line.per_minute,
            line.first_increment_s,
            line.next_increment_s,
        )
        for line in numbers.tariff
    )


class Telling:
    """Renders for every client that a notice or a finished call concerns."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def reload(self, settings: Settings) -> None:
        """Takes a new configuration."""
        self._settings = settings

    def clients(self, kind: str) -> list[Client]:
        """The configured clients of one kind."""
        return [client for client in self._settings.clients.values() if client.kind == kind]

    def of_notice(self, notice: Notice, call_id: int, now: float) -> list[NewDelivery]:
        """The deliveries that a notice from the tracker asks for."""
        return [
            self.notification(client, notice, call_id, now, {})
            for client in self.clients("notify")
            if notice.event in client.on and view_matches(client, notice.call, notice.exten)
        ]

    def notification(
        self, client: Client, notice: Notice, call_id: int, now: float, args: Mapping[str, str]
    ) -> NewDelivery:
        """One notification, frozen."""
        fields = notify_fields(call_id, notice.call, notice.exten, self._settings.timezone, client.cc_call)
        request, error = _rendered(lambda: render(client, fields, notice.event, args, fresh_token))
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

    def of_call(self, document: CallDocument, call_id: int, key: str, now: float) -> list[NewDelivery]:
        """The deliveries that a finished call asks for, one for each client at most.

        `key` is the name under which the call was first seen.
        """
        return [
            replace(
                self.handing_over(client, document, call_id, now),
                dedupe_key=f"call_end/{client.name}/{call_id}",
                idempotency_key=lasting_key(self._settings.node, client.name, key),
            )
            for client in self.clients("call_end")
            if document.main.direction in client.directions and document_matches(client, document)
        ]

    def handing_over(self, client: Client, document: CallDocument, call_id: int, now: float) -> NewDelivery:
        """One finished call for one client, frozen."""
        fields = call_end_fields(document, self._settings.timezone, client)
        request, error = _rendered(lambda: render(client, fields, "call_end", {}, fresh_token))
        return NewDelivery(
            client=client.name,
            kind="call_end",
            call_id=call_id,
            event="call_end",
            created_at=now,
            request=request,
            error=error,
        )


def view_matches(client: Client, view: CallView, exten: str | None) -> bool:
    """Whether the client's `match` takes this live call."""
    return matches(
        client.match,
        src=view.src,
        dst=view.dst,
        extens=[exten] if exten else [],
        queues=[view.queue] if view.queue else [],
        context=view.context,
        account=view.account,
    )


def document_matches(client: Client, document: CallDocument) -> bool:
    """Whether the client's `match` takes this finished call."""
    return matches(
        client.match,
        src=document.main.src,
        dst=document.main.dst,
        extens=document.extens,
        queues=document.queues,
        context=document.context,
        account=document.account,
    )


def _rendered(rendering: Callable[[], Request]) -> tuple[Request | None, str | None]:
    """The request, or why there is none: such a delivery is parked as failed with the reason."""
    try:
        return rendering(), None
    except RenderError as error:
        return None, str(error)
