"""What the console needs of the running bridge; the server's own `Context` is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.config.settings import Settings
from vipex_bridge.console.lookup_times import LookupTimes
from vipex_bridge.deliver.http import Transport
from vipex_bridge.deliver.worker import Deliveries
from vipex_bridge.lookup.asked import LookupLog
from vipex_bridge.store.store import Store


class Context(Protocol):
    """The parts of one bridge that pages look at. What is called gives what is so at that moment."""

    @property
    def store(self) -> Store:
        """Calls and deliveries."""

    @property
    def settings(self) -> Callable[[], Settings]:
        """The settings in force."""

    @property
    def deliveries(self) -> Deliveries:
        """To be woken and paused."""

    @property
    def tracker(self) -> Tracker:
        """The calls that are up; read in the event loop alone."""

    @property
    def transport(self) -> Transport:
        """For a client's test."""

    @property
    def lookup_times(self) -> LookupTimes:
        """How long lookups took."""

    @property
    def lookup_log(self) -> LookupLog:
        """The latest lookups as they went."""

    @property
    def clock(self) -> Callable[[], float]:
        """Epoch seconds."""
