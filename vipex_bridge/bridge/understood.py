"""The configuration as the bridge understood it, in its own words, defaults included, secrets masked."""

from __future__ import annotations

from collections.abc import Iterator

from vipex_bridge.config.settings import Client, Match, Settings
from vipex_bridge.deliver.masking import MASK, hide, shown_header, shown_url
from vipex_bridge.render.match import KEYS


def keys_of(client: Client) -> Iterator[tuple[str, str]]:
    """A client's configuration as it was understood, defaults included, every secret as ********."""
    yield "kind", client.kind
    yield "url", shown_url(client.url)
    yield "method", client.method
    if client.kind == "notify":
        yield "on", ", ".join(sorted(client.on)) or "–"
    if client.query is not None:
        yield "query", hide(client.query, client)
    if client.body is not None:
        yield "body", hide(client.body, client)
    if client.query is None and client.body is None:
        yield "parameters", ", ".join(client.parameters)
        if client.kind == "call_end":
            yield "sub_parameters", ", ".join(client.sub_parameters)
    if client.method != "GET":
        yield "content_type", client.content_type
    yield from _credentials(client)
    yield "timeout", _duration(client.timeout_s)
    yield "tls", _tls(client)
    yield "numbers", client.numbers.form
    matched = _match(client.match)
    if matched:
        yield "match", matched
    if client.kind == "lookup":
        yield from _of_lookup(client)
        return
    yield "retry", ", ".join(_duration(delay) for delay in client.retry_s) or "–"
    if client.expires_s is not None:
        yield "expires", _duration(client.expires_s)
    yield "concurrency", str(client.concurrency)
    yield "cc_call", client.cc_call
    if client.kind == "call_end":
        yield "directions", ", ".join(str(direction) for direction in sorted(client.directions))
        yield "parallel_legs", client.parallel_legs


def keys_of_bridge(settings: Settings) -> Iterator[tuple[str, str]]:
    """The rest of the configuration, in its own words, every secret as ********."""
    yield "node", settings.node
    yield "timezone", settings.timezone.key
    if settings.ami is not None:
        ami = settings.ami
        yield "asterisk.ami", f"{ami.username}:{MASK}@{ami.host}:{ami.port}{' tls' if ami.tls else ''}"
    if settings.cdr is not None:
        yield "asterisk.cdr", f"{settings.cdr.preset}, {settings.cdr.table}"
    if settings.cel is not None:
        yield "asterisk.cel", f"{settings.cel.preset}, {settings.cel.table}"
    if settings.recordings is not None:
        yield "asterisk.recordings", str(settings.recordings.root)
    yield "numbers.trunks", ", ".join(settings.numbers.trunks) or "–"
    yield "numbers.extensions", settings.numbers.extensions.pattern
    for disabled in settings.disabled:
        yield from (("include", f"at fault: {fault}") for fault in disabled.faults)
    yield "retention", _duration(settings.retention_s)


def _credentials(client: Client) -> Iterator[tuple[str, str]]:
    if client.basic_auth is not None:
        yield "basic_auth", f"{client.basic_auth.username}:{MASK}"
    if client.api_key is not None:
        yield "api_key", f"{client.api_key.place}, {client.api_key.name}: {MASK}"
    for name, value in client.headers:
        yield "headers", f"{name}: {shown_header(value)}"
    if client.signing_secrets:
        yield "signing_secret", ", ".join(MASK for _ in client.signing_secrets)


def _of_lookup(client: Client) -> Iterator[tuple[str, str]]:
    options = client.lookup
    yield "cache", _duration(options.cache_s)
    yield "stale_if_error", _duration(options.stale_if_error_s)
    yield "breaker", f"{options.breaker.failures} / {_duration(options.breaker.pause_s)}"
    if options.fallback_urls:
        yield "fallback_urls", ", ".join(shown_url(url) for url in options.fallback_urls)
    yield "response.format", options.format
    for mapped in options.set:
        pattern = f" =~ {mapped.pattern.pattern}" if mapped.pattern is not None else ""
        default = f" ({mapped.default})" if mapped.default is not None else ""
        yield "response.set", f"{mapped.variable} = {mapped.path}{pattern}{default}"


def _match(match: Match) -> str:
    return "; ".join(f"{key}: {', '.join(getattr(match, key))}" for key in KEYS if getattr(match, key))


def _tls(client: Client) -> str:
    files = [
        str(path) for path in (client.tls.ca, client.tls.certificate, client.tls.key) if path is not None
    ]
    return ", ".join([f"verify: {'true' if client.tls.verify else 'false'}", *files])


def _duration(duration_s: float) -> str:
    """A duration as the configuration would have it: `2s`, `1.5h`."""
    for unit, length_s in (("d", 86400), ("h", 3600), ("m", 60)):
        if duration_s >= length_s:
            return f"{duration_s / length_s:g}{unit}"
    return f"{duration_s:g}s" if duration_s >= 1 or duration_s == 0 else f"{duration_s * 1000:g}ms"
