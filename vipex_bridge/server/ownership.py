"""Whose calls somebody may see: all, or those that a customer's clients are told of."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from vipex_bridge.config.settings import Customer
from vipex_bridge.store.store import Store


def _whose(request: Request) -> Customer | None:
    customer: Customer | None = request.state.customer
    return customer


Whose = Annotated[Customer | None, Depends(_whose)]
"""The customer whose token was shown (`server.gate`); None: one that shows everything."""


def clients_of(customer: Customer | None) -> frozenset[str] | None:
    """The clients that may be seen; None: every one."""
    return None if customer is None else frozenset(customer.clients)


def owns_client(customer: Customer | None, client: str) -> bool:
    """Whether this client, and what is sent to it, may be seen."""
    return customer is None or client in customer.clients


def owns_call(store: Store, customer: Customer | None, call_id: int) -> bool:
    """Whether this call may be seen: something about it went, or is to go, to a client of the customer."""
    return customer is None or store.is_told_to(call_id, frozenset(customer.clients))
