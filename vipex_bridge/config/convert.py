"""The checked schema as the frozen settings that the bridge works with."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from vipex_bridge.config import client_schema, presets, schema, settings
from vipex_bridge.config.exposure import is_secret_name
from vipex_bridge.config.settings import PARAMETERS, SUB_PARAMETERS

_TIMEOUT_S = {"lookup": 2.0, "notify": 5.0, "call_end": 30.0}
_CONCURRENCY = {"lookup": 4, "notify": 2, "call_end": 4}
_RETRY_S: Mapping[str, tuple[float, ...]] = {
    "lookup": (),
    "notify": (1.0, 5.0),
    "call_end": (10.0, 60.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0),
}


def convert(
    document: schema.Document, clients: Mapping[str, client_schema.Client], files: tuple[Path, ...]
) -> settings.Settings:
    """The settings of a document and its clients, which were read from `files`."""
    asterisk = document.asterisk
    tables = (document.numbers.users.file, document.numbers.tariff.file)
    return settings.Settings(
        node=document.node or socket.gethostname(),
        timezone=document.timezone or machine_timezone(),
        ami=_ami(asterisk.ami),
        agi=_agi(asterisk.agi),
        cdr=_cdr(asterisk.cdr),
        cel=_cel(asterisk.cel),
        recordings=_recordings(asterisk.recordings),
        numbers=_numbers(document.numbers, asterisk.cdr),
        store=document.store,
        retention_s=document.retention,
        http=_http(document.http),
        clients={
            name: replace(_client(name, client), numbers=_written(client, document.numbers))
            for name, client in clients.items()
        },
        files=(*files, *(file for file in tables if file)),
        privacy=_privacy(document.privacy),
    )


def machine_timezone(etc: Path = Path("/etc")) -> ZoneInfo:
    """The machine's time zone: the link `localtime`, else the name in `timezone`, else UTC."""
    names = []
    localtime = etc / "localtime"
    if localtime.is_symlink():
        names.append(str(localtime.readlink()).partition("zoneinfo/")[2])
    with contextlib.suppress(OSError, UnicodeDecodeError):
        names.append((etc / "timezone").read_text(encoding="utf-8").strip())
    for name in filter(None, names):
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")


def _ami(ami: schema.Ami | None) -> settings.Ami | None:
    if ami is None:
        return None
    return settings.Ami(ami.host, ami.port, ami.username, ami.secret, ami.tls)


def _agi(agi: schema.Agi | None) -> settings.Agi:
    if agi is None:
        return settings.Agi(None, 0, None)
    host, port = agi.listen or (None, 0)
    return settings.Agi(host, port, agi.socket, agi.allow)


def _cdr(cdr: schema.Cdr | None) -> settings.Cdr | None:
    if cdr is None:
        return None
    scheme = cdr.source.reveal().partition("://")[0].partition("+")[0]
    name = cdr.preset or presets.PRESET_OF_SCHEME[scheme]
    preset = presets.CDR_PRESETS[name]
    return settings.Cdr(
        source=cdr.source,
        preset=name,
        table=cdr.table or preset.table,
        columns=_columns(preset.columns, cdr.columns),
        time_format=cdr.time_format or preset.time_format,
        poll_s=cdr.poll,
        settle_s=cdr.settle,
    )


def _cel(cel: schema.Cel | None) -> settings.Cdr | None:
    if cel is None:
        return None
    scheme = cel.source.reveal().partition(":")[0].partition("+")[0]
    preset = presets.CEL_PRESET
    if scheme in schema.SERVER_SCHEMES:
        preset = presets.CEL_PRESET_OF_SERVERS
    elif scheme == "csv":
        preset = presets.CEL_PRESET_OF_CSV
    columns = _columns(preset.columns, cel.columns)
    return settings.Cdr(cel.source, "cel", cel.table, columns, cel.time_format, cel.poll)


def _columns(preset: Mapping[str, str], own: Mapping[str, str | None]) -> dict[str, str]:
    """The preset's columns, those renamed or (by null) taken out that the configuration says."""
    return {ours: theirs for ours, theirs in {**preset, **own}.items() if theirs is not None}


def _recordings(recordings: schema.Recordings | None) -> settings.Recordings | None:
    if recordings is None:
        return None
    return settings.Recordings(
        root=recordings.root,
        wait_s=recordings.wait,
        max_size_bytes=recordings.max_size,
        is_separate=recordings.when == "separate",
        converted=recordings.converted,
    )


def _users_query(query: settings.UsersQuery | None, cdr: schema.Cdr | None) -> settings.UsersQuery | None:
    """The query, asked of the CDR's database unless it names another."""
    if query is None or query.source or cdr is None:
        return query
    return replace(query, source=cdr.source)


def _numbers(numbers: schema.Numbers, cdr: schema.Cdr | None) -> settings.Numbers:
    return settings.Numbers(
        trunks=numbers.trunks,
        extensions=numbers.extensions,
        devices=numbers.devices,
        users=numbers.users.rows,
        country=numbers.country,
        forward_is_answer=numbers.forward_is_answer,
        tariff=numbers.tariff.lines,
        users_file=numbers.users.file,
        users_query=_users_query(numbers.users.query, cdr),
        tariff_file=numbers.tariff.file,
    )


def _written(client: client_schema.Client, numbers: schema.Numbers) -> settings.Written:
    return settings.Written(client.numbers, numbers.country or "", numbers.extensions)


def _http(http: schema.Http | None) -> settings.Http | None:
    if http is None:
        return None
    return settings.Http(*http.listen, http.tokens, http.recordings_url)


def _privacy(privacy: schema.Privacy) -> settings.Privacy:
    return settings.Privacy(privacy.mask_digits, privacy.mask_numbers_in_logs, privacy.drop_payload_after)


def _client(name: str, client: client_schema.Client) -> settings.Client:
    kind, key, auth, tls = client.kind, client.api_key, client.basic_auth, client.tls
    return settings.Client(
        name=name,
        kind=kind,
        url=client.url,
        method=client.method or client_schema.default_method(kind),
        parameters=PARAMETERS[kind] if client.parameters is None else client.parameters,
        sub_parameters=_sub_parameters(client),
        content_type=client.content_type,
        query=client.query,
        body=client.body,
        basic_auth=settings.BasicAuth(auth.username, auth.password) if auth else None,
        api_key=settings.ApiKey(key.place, key.name, key.value) if key else None,
        headers=tuple(_header(name, value) for name, value in client.headers.items()),
        timeout_s=client.timeout or _TIMEOUT_S[kind],
        match=settings.Match(**dict(client.match)),
        tls=settings.Tls(tls.ca, tls.certificate, tls.key, tls.verify),
        signing_secrets=client.signing_secret or (),
        concurrency=client.concurrency or _CONCURRENCY[kind],
        on=frozenset(client.on),
        expires_s=client.expires if kind == "notify" else None,
        retry_s=_RETRY_S[kind] if client.retry is None else client.retry,
        directions=frozenset(client.directions),
        cc_call=client.cc_call,
        parallel_legs=client.parallel_legs,
        lookup=_lookup(client),
    )


def _header(name: str, value: str) -> tuple[str, str]:
    return name, settings.Secret(settings.revealed(value)) if is_secret_name(name) else value


def _sub_parameters(client: client_schema.Client) -> tuple[str, ...]:
    """The parts get the same selection unless `sub_parameters` says otherwise (contract, section 2)."""
    if client.kind != "call_end":
        return ()
    if client.sub_parameters is not None:
        return client.sub_parameters
    if client.parameters is not None:
        return tuple(name for name in client.parameters if name in SUB_PARAMETERS)
    return SUB_PARAMETERS


def _lookup(client: client_schema.Client) -> settings.LookupOptions:
    response, breaker = client.response, client.breaker
    return settings.LookupOptions(
        format=response.format,
        set=tuple(
            settings.Mapped(variable, mapped.path, mapped.pattern, mapped.default)
            for variable, mapped in response.set.items()
        ),
        cache_s=client.cache,
        stale_if_error_s=client.stale_if_error,
        breaker=settings.Breaker(breaker.failures, breaker.pause),
        fallback_urls=client.fallback_urls,
    )
