"""Our own errors. Each message is one line that names what the operator can do.

BridgeError
├── ConfigurationError   the configuration is wrong; carries every fault found
├── UsageError           a command's arguments name what there is not
├── RenderError          a template or a field could not be rendered
├── StoreError           the state database cannot be used
│   └── StoreDamaged     its file is damaged: the next start sets it aside
├── SourceError          the CDR source cannot be read, or lacks what it must have
├── AmiError             the Asterisk Manager Interface refused or broke off
├── AgiError             an AGI peer broke the protocol, or hung up
├── RecordingError       a recording is not there, or may not be sent
└── ExchangeError        an HTTP exchange gave no complete answer
    ├── Unreachable      no connection: name, route, refusal, TLS
    ├── TimedOut         the whole exchange did not end before its deadline
    └── BadAnswer        the answer broke the protocol, or was larger than allowed
"""

from __future__ import annotations

from dataclasses import dataclass


class BridgeError(Exception):
    """Anything the bridge itself raises."""


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong in a configuration file."""

    file: str
    line: int
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path}: {self.what}"


class ConfigurationError(BridgeError):
    """The configuration cannot be used; `faults` lists every reason, in file order."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = faults


class UsageError(BridgeError):
    """Wrong usage of a command, which only the configuration shows."""


class RenderError(BridgeError):
    """A request could not be rendered from its template and the call's data."""


class StoreError(BridgeError):
    """The state database cannot be opened, read or written."""


class StoreDamaged(StoreError):
    """The state database's file is damaged; the next start sets it aside and begins a new one."""


class SourceError(BridgeError):
    """The CDR source cannot be read or lacks a column that it must have."""


class AmiError(BridgeError):
    """The manager interface refused the log-in or broke the protocol."""


class AgiError(BridgeError):
    """An AGI peer broke the protocol or went away."""


class RecordingError(BridgeError):
    """A recording is not there, cannot be read, or may not be sent; the message says why."""


class ExchangeError(BridgeError):
    """An HTTP exchange that ended without a complete answer."""


class Unreachable(ExchangeError):
    """No connection came about."""


class TimedOut(ExchangeError):
    """The deadline of the whole exchange passed."""


class BadAnswer(ExchangeError):
    """What came back is no HTTP answer, was cut off, or exceeded the size limit."""
