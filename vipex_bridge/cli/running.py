"""The bridge that runs on this machine, asked through its own API: what it does takes effect at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from vipex_bridge.config.settings import Secret, Settings, Tls
from vipex_bridge.deliver.http import HttpAnswer, Outgoing, Transport
from vipex_bridge.errors import BridgeError, ExchangeError

_ANSWERS_WITHIN_S = 5.0
_MAX_BYTES = 1024 * 1024
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- what it may listen on, as one connects to it


@dataclass(frozen=True, slots=True)
class RunningBridge:
    """Its API, and a token for it."""

    address: str
    token: Secret

    def resend(self, delivery_id: int) -> bool:
        """Has a finished delivery queued again and sent now; False when it cannot be. Raises BridgeError."""
        return bool(self._queued(f"/deliveries/{delivery_id}/resend", {}))

    def resend_failed(self, since: float) -> int:
        """The same with all that failed since then; gives how many. Raises BridgeError."""
        return self._queued("/deliveries/resend", {"failed_since": since})

    def _queued(self, path: str, body: Mapping[str, object]) -> int:
        answer = self._ask("POST", f"/api/v1{path}", body)
        if answer.status in (404, 409):
            return 0
        if answer.status != 200:
            raise BridgeError(
                f"the running bridge answered {answer.status} to {path}: see its log, and http.tokens"
            )
        return int(json.loads(answer.body)["queued"])

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> HttpAnswer:
        headers = (("Authorization", f"Bearer {self.token.reveal()}"), ("Content-Type", "application/json"))
        content = None if body is None else json.dumps(body).encode()
        outgoing = Outgoing(method, f"http://{self.address}{path}", headers, content)
        transport = Transport()
        try:
            return transport.exchange(outgoing, tls=Tls(), timeout_s=_ANSWERS_WITHIN_S, max_bytes=_MAX_BYTES)
        finally:
            transport.close()

    def is_there(self) -> bool:
        """Whether it answers."""
        try:
            self._ask("GET", "/healthz")
        except ExchangeError:
            return False
        return True


def running_bridge(settings: Settings) -> RunningBridge | None:
    """The bridge of this configuration; None when it does not run, or has no API."""
    http = settings.http
    if http is None or not http.listen_port or not http.tokens:
        return None
    host = _EVERYWHERE.get(http.listen_host, http.listen_host)
    shown = f"[{host}]" if ":" in host else host
    bridge = RunningBridge(f"{shown}:{http.listen_port}", http.tokens[0])
    return bridge if bridge.is_there() else None
