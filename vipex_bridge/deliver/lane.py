"""One client's workers: how many there are by now, how they are woken, and when they leave.

There are as many as there is work for, at most `concurrency`: a customer whom nobody calls costs no thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from vipex_bridge.config.settings import Client, Settings
from vipex_bridge.deliver.hand import Hand
from vipex_bridge.deliver.pace import Pace


class Lane:
    """What a client's workers share. All but `condition` and `hand` is guarded by it."""

    def __init__(self, work: Callable[[int], None], name: str) -> None:
        """`work` is what worker number n does, in a thread of its own, until it has left."""
        self.condition = threading.Condition()
        self.hand = Hand()
        self.client: Client | None = None
        """None: no longer configured, or the bridge is stopping; then no worker claims anything."""
        self.wakes = 0
        self.pace = Pace()
        self.workers: dict[int, threading.Thread] = {}
        self._work = work
        self._name = name
        self._resting = 0

    def wants(self, number: int) -> bool:
        """Whether worker `number` is to go on claiming."""
        with self.condition:
            return self.client is not None and number < self.client.concurrency

    def concurrency(self) -> int:
        """How many workers the client may have."""
        client = self.client
        return client.concurrency if client is not None else 0

    def free(self) -> int:
        """How many workers have nothing to do, or are not there yet."""
        with self.condition:
            return self._resting + max(0, self.concurrency() - len(self.workers))

    def goes_on(self, number: int) -> bool:
        """Whether this worker is to look for more; when not, it has left, and may be replaced."""
        with self.condition:
            is_here = self.workers.get(number) is threading.current_thread()
            if is_here and self.wants(number):
                return True
            if is_here:
                del self.workers[number]
            return False

    def wait_s(self, uptime_s: float) -> float:
        """How long the client's server is to be left alone: more than 0 when it has not answered for long."""
        with self.condition:
            return self.pace.wait_s(uptime_s)

    def may_try(self, uptime_s: float) -> bool:
        """Whether one more try may begin now, which the worker who asks is to make."""
        with self.condition:
            if self.pace.wait_s(uptime_s) > 0:
                return False
            self.pace.begins(uptime_s)
            return True

    def was_answered(self) -> None:
        """A try was answered: nothing that waits has to wait for the pace any more."""
        with self.condition:
            if self.pace.was_answered():
                self.wake()

    def take(self, client: Client | None) -> None:
        """The client as it is configured from now on."""
        with self.condition:
            self.client = client
            self.wakes += 1
            self.condition.notify_all()

    def wake(self) -> None:
        """Make every worker who rests look again, and one begin if none is there."""
        with self.condition:
            self.wakes += 1
            self.condition.notify_all()
            if not self.workers:
                self._begin_one()

    def wake_one(self) -> None:
        """Make one more worker look; it wakes the next when it finds something."""
        with self.condition:
            self.wakes += 1
            if self._resting:
                self.condition.notify()
            else:
                self._begin_one()

    def rest(self, number: int, seen: int, timeout_s: float, *, may_leave: bool) -> None:
        """Sleep until woken for the first time since `wakes` was `seen`, or until the time is over.

        A worker whom nobody woke leaves, if it may: the next wake begins another.
        """
        with self.condition:
            self._resting += 1
            was_woken = self.condition.wait_for(lambda: self.wakes != seen, timeout_s)
            self._resting -= 1
            if may_leave and not was_woken and self.workers.get(number) is threading.current_thread():
                del self.workers[number]

    def _begin_one(self) -> None:
        """One more worker, unless all that the client may have are there."""
        if self.client is None:
            return
        number = next((n for n in range(self.client.concurrency) if n not in self.workers), None)
        if number is None:
            return
        # A daemon thread: a try that outlives the bridge's stop must not hold the process.
        worker = threading.Thread(
            target=self._work, args=(number,), name=f"deliver-{self._name}-{number}", daemon=True
        )
        self.workers[number] = worker
        worker.start()


def clients_of(settings: Settings) -> dict[str, Client]:
    """The clients that deliveries go to."""
    return {name: client for name, client in settings.clients.items() if client.kind != "lookup"}
