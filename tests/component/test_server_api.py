"""The bridge's HTTP server, asked over the network: who may come in, recordings, calls, deliveries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from api_bench import SOUND, TOKEN, Answer, Server, told_of_three_calls
from bridge_process import BridgeProcess
from faulty_server import running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with told_of_three_calls(tmp_path_factory.mktemp("bridge")) as made:
        yield made


def test_nothing_but_its_health_is_told_without_a_token(server: Server) -> None:
    health = server.ask("/healthz", token=None)
    assert health.status == 200
    assert health.json == {
        "well": True,
        "cdr": {"well": True, "says": "well"},
        "store": {"well": True, "says": "well"},
    }
    for path in ("/", "/metrics", "/api/v1/calls", "/api/v1/openapi.json", "/api/v1/recordings/x"):
        refused = server.ask(path, token=None)
        assert refused.status == 401, path
        assert refused.headers["www-authenticate"] == "Bearer"
    for token in ("", "wrong", TOKEN + "x"):
        assert server.ask("/api/v1/calls", token=token).status == 401


def test_a_token_is_taken_from_either_header(server: Server) -> None:
    assert server.ask("/api/v1/calls", token=None, X_Api_Key=TOKEN).status == 200


def test_calls_are_listed_page_by_page(server: Server) -> None:
    seen: list[int] = []
    page = server.ask("/api/v1/calls?limit=2").json
    while True:
        seen += [call["id"] for call in page["calls"]]
        if page["next"] is None:
            break
        page = server.ask(f"/api/v1/calls?limit=2&cursor={page['next']}").json
    assert len(seen) == 3
    assert seen == sorted(set(seen), reverse=True)


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("number=36705551002", ["36705551002"]),
        ("number=1003", ["36705551003"]),
        ("number=003", []),
        ("extension=999", []),
        ("direction=2&client=billing&outcome=queued", ["36705551003", "36705551002", "36705551001"]),
        ("direction=0", []),
        ("state=live", []),
        ("outcome=delivered", []),
        ("number=%25", []),
        ("since=1&until=2", []),
    ],
)
def test_calls_are_found(server: Server, query: str, numbers: list[str]) -> None:
    assert [call["src"] for call in server.ask(f"/api/v1/calls?{query}").json["calls"]] == numbers


def test_a_call_is_given_as_it_was_told(server: Server) -> None:
    [delivery] = [
        found
        for found in server.ask("/api/v1/deliveries").json["deliveries"]
        if found["call_id"] == server.ask("/api/v1/calls?number=1003").json["calls"][0]["id"]
    ]
    told = json.loads(server.receiver.received[-1].body)
    call = server.ask(f"/api/v1/calls/{told['id']}").json
    assert {**call, "monitor_file": 0, "sub_cdrs": 0} == {**told, "monitor_file": 0, "sub_cdrs": 0}
    assert call["monitor_file"] is None
    assert delivery["client"] == "billing"
    assert server.ask("/api/v1/calls/999999").status == 404


def test_a_delivery_shows_what_went_and_what_came_but_no_secret(server: Server) -> None:
    listed = server.ask("/api/v1/deliveries?status=queued&client=billing").json["deliveries"]
    assert len(listed) == 3
    answer = server.ask(f"/api/v1/deliveries/{listed[0]['id']}")
    shown = answer.json
    assert [made["status_code"] for made in shown["tries"]] == [500]
    assert shown["request"]["url"].endswith("/cdr")
    assert json.loads(shown["request"]["body"])["src"].startswith("3670555100")
    assert b"planted-secret" not in answer.body


def test_a_delivery_is_sent_again(server: Server) -> None:
    [first, *_] = server.ask("/api/v1/deliveries").json["deliveries"]
    waiting = server.ask(f"/api/v1/deliveries/{first['id']}/resend", "POST")
    assert waiting.status == 409
    assert "queued" in waiting.json["detail"]
    assert server.ask("/api/v1/deliveries/999999/resend", "POST").status == 404
    since = {"failed_since": 0}
    assert server.ask("/api/v1/deliveries/resend", "POST", body=since).json == {"queued": 0}


@pytest.fixture
def reference(server: Server) -> str:
    """The recording of the last call."""
    [call] = server.ask("/api/v1/calls?number=1003").json["calls"]
    return str(server.ask(f"/api/v1/calls/{call['id']}").json["main_reference_id"])


def test_a_recording_is_given_whole_and_in_parts(server: Server, reference: str) -> None:
    path = f"/api/v1/recordings/{reference}"
    whole = server.ask(path)
    assert (whole.status, whole.body) == (200, SOUND)
    assert whole.headers["content-type"] == "audio/wav"
    assert whole.headers["content-length"] == str(len(SOUND))
    part = server.ask(path, Range="bytes=100-199")
    assert (part.status, part.body) == (206, SOUND[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(SOUND)}"
    assert server.ask(path, Range="bytes=-5").body == SOUND[-5:]
    assert server.ask(path, Range=f"bytes={len(SOUND)}-").status == 416
    etag = whole.headers["etag"]
    assert server.ask(path, If_None_Match=etag).status == 304
    assert server.ask(path, Range="bytes=0-9", If_Range=etag).status == 206
    assert server.ask(path, Range="bytes=0-9", If_Range='"other"').body == SOUND
    head = server.ask(path, "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(SOUND)))
    assert server.ask("/api/v1/recordings/nothing").status == 404


def test_a_signed_link_gives_its_recording_and_nothing_else(server: Server, reference: str) -> None:
    path = f"/api/v1/recordings/{reference}"
    link = server.ask(f"{path}/link", "POST", body={"valid_s": 60}).json
    assert link["url"].startswith("https://pbx.example.com/api/v1/recordings/")
    parts = urlsplit(link["url"])
    signed = f"{parts.path}?{parts.query}"
    assert server.ask(signed, token=None).body == SOUND
    assert server.ask(signed, token=None, Range="bytes=0-3").body == SOUND[:4]
    assert server.ask(signed.replace("expires=1", "expires=2"), token=None).status == 401
    assert server.ask(f"/api/v1/calls?{parts.query}", token=None).status == 401
    assert server.ask(signed, "POST", token=None).status == 401


def test_every_answer_tells_browsers_to_be_strict(server: Server) -> None:
    for path, token in (("/healthz", None), ("/login", None), ("/api/v1/calls", TOKEN), ("/nowhere", TOKEN)):
        headers = server.ask(path, token=token).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def log_in(server: Server, token: str = TOKEN, target: str = "/") -> Answer:
    return server.ask(
        "/login",
        "POST",
        token=None,
        body=f"token={token}&next={target}",
        Content_Type="application/x-www-form-urlencoded",
    )


def test_somebody_logs_in_with_a_token_and_keeps_a_session(server: Server) -> None:
    page = server.ask("/api/v1/calls", token=None, Accept="text/html")
    assert (page.status, page.headers["location"]) == (303, "/login?next=%2Fapi%2Fv1%2Fcalls")
    assert log_in(server, "wrong").status == 401
    answer = log_in(server, target="/api/v1/calls")
    assert (answer.status, answer.headers["location"]) == (303, "/api/v1/calls")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    kept = cookie.partition(";")[0]
    assert server.ask("/api/v1/calls", token=None, Cookie=kept).status == 200
    assert server.ask("/api/v1/calls", token=None, Cookie=kept + "x").status == 401


def test_a_session_acts_only_with_its_own_token_against_forgery(server: Server) -> None:
    kept = log_in(server).headers["set-cookie"].partition(";")[0]
    path = "/api/v1/deliveries/resend"
    for headers in ({}, {"X_CSRF_Token": "made-up"}, {"Sec_Fetch_Site": "cross-site"}):
        forged = server.ask(path, "POST", token=None, body={"failed_since": 0}, Cookie=kept, **headers)
        assert forged.status == 403
    assert server.ask("/logout", "POST", token=None, Cookie=kept, body="csrf=x",
                      Content_Type="application/x-www-form-urlencoded").status == 403  # fmt: skip


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "%2F%2Fevil"]
)
def test_a_log_in_leads_nowhere_else(server: Server, target: str) -> None:
    assert log_in(server, target=target).headers["location"] == "/"


def test_who_guesses_is_made_to_wait(tmp_path: Path) -> None:
    """On a bridge of its own: who has guessed waits for minutes."""
    text = f"""
node: pbx1
asterisk: {{agi: null}}
store: 'sqlite:///{tmp_path}/state.db'
http: {{listen: '127.0.0.1:0', tokens: [{TOKEN}]}}
"""
    with running() as receiver, BridgeProcess(tmp_path, text) as bridge:
        server = Server(bridge.wait_for("http.listening")["port"], receiver)
        statuses = [server.ask("/api/v1/calls", token=f"guess {number}").status for number in range(30)]
        assert statuses[0] == 401
        assert statuses[-1] == 429
        assert log_in(server, "guess").status == 429
        assert server.ask("/healthz", token=None).status == 200
        assert TOKEN not in bridge.log()
