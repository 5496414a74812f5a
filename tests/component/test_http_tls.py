"""TLS of the HTTP transport: whom it trusts, and whom it tells who it is."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from faulty_server import FaultyServer, running
from sending import get, post, sent

from vipex_bridge.config.settings import Tls
from vipex_bridge.deliver.http import Transport
from vipex_bridge.errors import Unreachable


def test_a_certificate_of_the_given_ca_is_trusted(
    transport: Transport, tls_server: FaultyServer, tls_files: SimpleNamespace
) -> None:
    for _ in range(2):
        assert sent(transport, post(tls_server.url, b"[1]"), Tls(ca=tls_files.ca)).status == 200
    assert [request.body for request in tls_server.received] == [b"[1]", b"[1]"]
    assert tls_server.connections == 1


@pytest.mark.parametrize("ca", ["stranger", None])
def test_a_certificate_of_a_stranger_is_not_trusted(
    ca: str | None, transport: Transport, tls_server: FaultyServer, tls_files: SimpleNamespace
) -> None:
    with pytest.raises(Unreachable, match="certificate is not trusted"):
        sent(transport, get(tls_server.url), Tls(ca=getattr(tls_files, ca) if ca else None))


def test_a_certificate_for_another_name_is_not_trusted(
    transport: Transport, authority: trustme.CA, tls_files: SimpleNamespace
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    with running(context) as server, pytest.raises(Unreachable, match="certificate is not trusted"):
        sent(transport, get(server.url), Tls(ca=tls_files.ca))


def test_a_certificate_that_has_expired_is_not_trusted(
    transport: Transport, authority: trustme.CA, tls_files: SimpleNamespace
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    authority.issue_cert("127.0.0.1", not_after=yesterday).configure_cert(context)
    with running(context) as server, pytest.raises(Unreachable, match="not trusted: certificate has expired"):
        sent(transport, get(server.url), Tls(ca=tls_files.ca))


def test_verify_false_takes_any_certificate_without_a_warning(
    transport: Transport, tls_server: FaultyServer
) -> None:
    assert sent(transport, get(tls_server.url), Tls(verify=False)).status == 200


def test_settings_of_one_client_do_not_open_anothers_connection(
    transport: Transport, tls_server: FaultyServer, tls_files: SimpleNamespace
) -> None:
    sent(transport, get(tls_server.url), Tls(verify=False))
    with pytest.raises(Unreachable):
        sent(transport, get(tls_server.url), Tls(ca=tls_files.stranger))


def test_a_client_certificate_is_shown_to_a_server_that_wants_one(
    transport: Transport, tls_server: FaultyServer, tls_files: SimpleNamespace
) -> None:
    assert tls_server.context is not None
    tls_server.context.verify_mode = ssl.CERT_REQUIRED
    mutual = Tls(ca=tls_files.ca, certificate=tls_files.certificate, key=tls_files.key)
    assert sent(transport, get(tls_server.url), mutual).status == 200
    with pytest.raises(Unreachable, match=r"TLS|reset|closed"):
        sent(transport, get(tls_server.url), Tls(ca=tls_files.ca))


@pytest.mark.parametrize("field", ["ca", "certificate"])
def test_a_tls_file_that_is_missing_or_none_is_named(
    field: str, transport: Transport, tmp_path: Path
) -> None:
    path = tmp_path / "x.pem"
    tls = Tls(ca=path) if field == "ca" else Tls(certificate=path)
    with pytest.raises(Unreachable, match=r"x\.pem cannot be read"):
        sent(transport, get("https://127.0.0.1:1/"), tls)
    path.write_text("nonsense")
    with pytest.raises(Unreachable, match=r"x\.pem"):
        sent(transport, get("https://127.0.0.1:1/"), tls)


def test_a_renewed_ca_file_is_used_without_a_restart(
    transport: Transport, tls_server: FaultyServer, tls_files: SimpleNamespace, tmp_path: Path
) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(tls_files.stranger.read_bytes())
    with pytest.raises(Unreachable):
        sent(transport, get(tls_server.url), Tls(ca=path))
    path.write_bytes(tls_files.ca.read_bytes())
    assert sent(transport, get(tls_server.url), Tls(ca=path)).status == 200
