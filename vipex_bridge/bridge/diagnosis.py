"""Everything that the configuration names, tried: what works, and what to do about what does not.

Nothing is sent to a client's server, nothing is written, and a running bridge is not disturbed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from vipex_bridge.ami.session import CHECK_TIMESTAMPS, CHECK_WRITE, probe
from vipex_bridge.cdr.sources import open_cel, open_source
from vipex_bridge.config.settings import Ami, Client, Settings, revealed
from vipex_bridge.deliver.reach import reach
from vipex_bridge.errors import AmiError, ExchangeError, SourceError, StoreError
from vipex_bridge.setup.asterisk_side import permissions_lacking
from vipex_bridge.setup.conf import Conf, is_true
from vipex_bridge.store import database
from vipex_bridge.store.store import Store

WELL, NOTE, FAULT = "well", "note", "FAULT"
REACH_WITHIN_S = 5.0
_AT_ONCE = 8
_ANSWERS_WITHIN_S = 2.0
_ENDS_SOON_S = 14 * 86_400.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried. `state` is WELL, NOTE (it works, but), or FAULT; `says` has what to do."""

    part: str
    state: str
    says: str


def findings(
    settings: Settings, manager: Conf | None, command: str = "vipex-bridge doctor"
) -> Iterator[Finding]:
    """What was tried, in order, as it is found; blocking.

    `manager` is Asterisk's, where it can be read; `command` is what tries all this again.
    """
    yield from _customers(settings)
    yield from _secrets(settings)
    yield from _ami(settings.ami, manager)
    yield from _cdr(settings)
    yield from _cel(settings)
    yield from _recordings(settings)
    yield from _store(settings)
    running = _running(settings)
    yield from _agi(settings, running)
    yield from _http(settings, running)
    yield from _clients(settings)
    if os.geteuid() == 0:
        yield Finding(
            "user",
            NOTE,
            "tried as root, who may read everything; as the bridge's user: "
            f"runuser -u vipex-bridge -g asterisk -- {command}",
        )


def _customers(settings: Settings) -> Iterator[Finding]:
    for disabled in settings.disabled:
        for fault in disabled.faults:
            yield Finding("customers", FAULT, f"{fault}; this file's clients are told nothing until then")
    if settings.customers:
        yield Finding("customers", WELL, f"{len(settings.customers)} included files can be used")


def _secrets(settings: Settings) -> Iterator[Finding]:
    for exposed in settings.exposed:
        yield Finding("secrets", FAULT, f"{exposed.file}: {exposed.what}")
    for shipped in settings.as_shipped:
        yield Finding("secrets", FAULT, str(shipped))
    if not settings.exposed:
        yield Finding("secrets", WELL, "no file that holds one may be read by everybody")


# -- Asterisk ---------------------------------------------------------------------------------


def _ami(ami: Ami | None, manager: Conf | None) -> Iterator[Finding]:
    if ami is None:
        yield Finding("ami", NOTE, "not configured: no live events, so no notifications but the dialplan's")
        return
    try:
        probed = asyncio.run(probe(ami))
    except AmiError as error:
        yield Finding("ami", FAULT, str(error))
        return
    yield Finding("ami", WELL, f"logged in to {probed.banner or 'Asterisk'} at {ami.host}:{ami.port}")
    for refused in probed.refused:
        yield Finding("ami", FAULT, f"{refused}; {CHECK_WRITE}")
    if not probed.hears_system:
        what = "add `system` to this user's `read` in manager.conf, then `manager reload`"
        yield Finding("ami", FAULT, f"Asterisk does not say when it starts and stops: {what}")
    if manager is not None and _is_this_user(ami, manager):
        lacking = list(permissions_lacking(manager, ami.username))
        for what in lacking:
            yield Finding("ami", FAULT, f"{what}, then `manager reload`")
        if not is_true(manager.value("general", "timestampevents")):
            yield Finding("ami", NOTE, CHECK_TIMESTAMPS)
        if not lacking:
            yield Finding("ami", WELL, f"{manager.path} lets {ami.username} read and ask what is needed")


def _is_this_user(ami: Ami, manager: Conf) -> bool:
    """Whether that file is of the Asterisk that is logged in to: it has the same secret."""
    return _is_here(ami.host) and manager.value(ami.username, "secret") == ami.secret.reveal()


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _cdr(settings: Settings) -> Iterator[Finding]:
    if settings.cdr is None:
        yield Finding("cdr", NOTE, "not configured: calls are told from AMI alone")
        return
    try:
        source = open_source(settings.cdr, settings.timezone)
        lacking = source.check()
        bad = source.bad_newest()
    except SourceError as error:
        yield Finding("cdr", FAULT, str(error))
        return
    for line in lacking:
        yield Finding("cdr", NOTE, line)
    if bad is not None:
        yield Finding(
            "cdr", FAULT, f"the newest row (uniqueid {bad.uniqueid or '?'}) cannot be used: {bad.why}"
        )
    else:
        yield Finding("cdr", WELL, f"{source.name} can be read")


def _cel(settings: Settings) -> Iterator[Finding]:
    if settings.cel is None:
        return
    try:
        source = open_cel(settings.cel, settings.timezone)
        lacking = source.check()
    except SourceError as error:
        yield Finding("cel", FAULT, str(error))
        return
    for what in lacking:
        yield Finding("cel", FAULT, what)
    if not lacking:
        yield Finding("cel", WELL, f"{source.name} can be read")


def _recordings(settings: Settings) -> Iterator[Finding]:
    if settings.recordings is None:
        return
    root = settings.recordings.root
    if not root.is_dir():
        yield Finding("recordings", FAULT, f"{root} is no folder: correct asterisk.recordings.root")
    elif not os.access(root, os.R_OK | os.X_OK):
        yield Finding("recordings", FAULT, f"{root} may not be read: give the bridge's user a group that may")
    else:
        yield Finding("recordings", WELL, f"{root} can be read")


# -- the bridge's own -------------------------------------------------------------------------


def _running(settings: Settings) -> str | None:
    try:
        return database.of(settings.store.reveal(), settings.node).holder()
    except StoreError:
        return None


def _store(settings: Settings) -> Iterator[Finding]:
    try:
        kept = database.of(settings.store.reveal(), settings.node)
        if (trouble := kept.trouble()) is not None:
            yield Finding("store", WELL, f"{kept.name} {trouble}")
            return
        store = Store(settings.store.reveal(), settings.node, alone=False)
        try:
            store.cursor()
        finally:
            store.close()
    except StoreError as error:
        yield Finding("store", FAULT, str(error))
        return
    running = kept.holder()
    beside = f", beside the running bridge ({running})" if running else "; no bridge is running"
    yield Finding("store", WELL, f"{kept.name} can be read and written{beside}")


def _agi(settings: Settings, running: str | None) -> Iterator[Finding]:
    agi = settings.agi
    if agi.listen_host is not None:
        yield _port("agi", "asterisk.agi.listen", agi.listen_host, agi.listen_port, running)
    if agi.socket is not None:
        yield _socket(agi.socket, running)
    if agi.listen_host is None and agi.socket is None:
        yield Finding("agi", NOTE, "switched off: the dialplan reaches no lookup and no notify client")


def _http(settings: Settings, running: str | None) -> Iterator[Finding]:
    http = settings.http
    if http is not None:
        yield _port("http", "http.listen", http.listen_host, http.listen_port, running)


def _port(part: str, key: str, host: str, port: int, running: str | None) -> Finding:
    where = f"{host}:{port}"
    if port == 0:
        return Finding(part, NOTE, f"{key} has port 0: any free one is taken, which nobody can know")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as tried:
            if running is not None:
                tried.settimeout(_ANSWERS_WITHIN_S)
                tried.connect(address)
                return Finding(part, WELL, f"the running bridge listens on {where}")
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
            return Finding(part, WELL, f"{where} is free for the bridge")
    except OSError as error:
        reason = error.strerror or str(error) or "no answer"
        if running is not None:
            return Finding(
                part, FAULT, f"the running bridge does not answer on {where} ({reason}): restart it"
            )
        return Finding(part, FAULT, f"{where} is not to be had ({reason}): free it, or change {key}")


def _socket(path: Path, running: str | None) -> Finding:
    folder = next(parent for parent in path.parents if parent.exists())
    answers = path.is_socket() and _answers(path)
    if running is not None:
        if answers:
            return Finding("agi", WELL, f"the running bridge listens on {path}")
        return Finding("agi", FAULT, f"the running bridge does not answer on {path}: restart it")
    if answers:
        return Finding(
            "agi", FAULT, f"another program listens on {path}: stop it, or change asterisk.agi.socket"
        )
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        what = f"{path} cannot be made: let the bridge's user write in {folder}"
        return Finding("agi", NOTE, f"{what} (under systemd RuntimeDirectory= does)")
    return Finding("agi", WELL, f"{path} can be made")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:
        tried.settimeout(_ANSWERS_WITHIN_S)
        try:
            tried.connect(str(path))
        except OSError:
            return False
        return True


# -- clients ----------------------------------------------------------------------------------


def _clients(settings: Settings) -> Iterator[Finding]:
    if not settings.clients:
        yield Finding("clients", NOTE, "none is configured: nobody is told anything")
    places = [place for client in settings.clients.values() for place in _urls(client)]
    with ThreadPoolExecutor(_AT_ONCE) as at_once:
        yield from at_once.map(lambda place: _reached(*place), places)


def _urls(client: Client) -> Iterator[tuple[str, str, str, Client]]:
    part = f"clients.{client.name}"
    yield part, f"{part}.url", revealed(client.url), client
    for index, url in enumerate(client.lookup.fallback_urls):
        yield part, f"{part}.fallback_urls[{index}]", revealed(url), client


def _reached(part: str, key: str, url: str, client: Client) -> Finding:
    try:
        reached = reach(url, client.tls, REACH_WITHIN_S)
    except ExchangeError as error:
        return Finding(part, FAULT, f"{error}: see that server, {key}, and what lies between")
    if not reached.tls:
        return Finding(part, WELL, f"{reached.where} takes connections (no TLS)")
    if reached.trusted_until is None:
        return Finding(part, NOTE, f"{reached.where} speaks {reached.tls}, its certificate is not checked")
    left_s = reached.trusted_until - time.time()
    if left_s < _ENDS_SOON_S:
        days = max(0, int(left_s // 86_400))
        return Finding(part, NOTE, f"{reached.where}: its certificate ends in {days} days: have it renewed")
    return Finding(part, WELL, f"{reached.where} speaks {reached.tls}, and its certificate is trusted")
