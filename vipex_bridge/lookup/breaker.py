"""The circuit breaker of one client: a server that is down is not waited for at every call."""

from __future__ import annotations

from vipex_bridge.config.settings import Breaker


class CircuitBreaker:
    """Closed until `failures` in a row; then open for `pause_s`; then one probe at a time decides.

    Contract, section 3, OPEN. Times are seconds of one monotonic clock. Not for several threads.
    """

    def __init__(self, options: Breaker) -> None:
        self._options = options
        self._failures = 0
        self._open_until: float | None = None
        self._probing = False

    def admits(self, now: float) -> bool:
        """Whether to ask; a True must be followed by one of the other three."""
        if self._open_until is None:
            return True
        if self._probing or now < self._open_until:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The server served."""
        self._failures = 0
        self._open_until = None
        self._probing = False

    def failed(self, now: float) -> None:
        """The server did not serve."""
        self._failures += 1
        if self._probing or (self._open_until is None and self._failures >= self._options.failures):
            self._open_until = now + self._options.pause_s
        self._probing = False

    def abandoned(self) -> None:
        """Nobody waited for the outcome: it decides nothing, and the next one may probe."""
        self._probing = False
