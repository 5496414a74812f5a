"""A recording that is replaced between being found and being read: nothing from outside the root is sent."""

from __future__ import annotations

import base64
import json
import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from io import FileIO
from pathlib import Path

import pytest
from delivering import QUICK, Bridge, client
from faulty_server import FaultyServer
from stored import NOW, open_in, queued
from structlog.testing import capture_logs

from vipex_bridge.config.settings import Recordings
from vipex_bridge.deliver.http import Transport
from vipex_bridge.errors import RecordingError
from vipex_bridge.recordings import find, opened, opened_at
from vipex_bridge.render.request import Request, Slot
from vipex_bridge.store.outbox import NewDelivery

SOUND = b"RIFF" * 50
SECRET = b"the password is swordfish"
TOKEN = "vipex" + "3" * 32
BATCH, MOST_BATCHES = 200, 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings, and a secret of the like names beside them."""
    day = tmp_path / "monitor" / "day"
    day.mkdir(parents=True)
    (day / "in-1.wav").write_bytes(SOUND)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "in-1.wav").write_bytes(SECRET)
    return tmp_path


def _a_link(folder: Path) -> None:
    file = folder / "monitor/day/in-1.wav"
    file.unlink()
    file.symlink_to(folder / "outside" / "in-1.wav")


def _a_link_inside(folder: Path) -> None:
    file = folder / "monitor/day/in-1.wav"
    file.rename(folder / "monitor/other.wav")
    file.symlink_to(folder / "monitor/other.wav")


def _a_folder_that_is_a_link(folder: Path) -> None:
    (folder / "monitor/day").rename(folder / "monitor/yesterday")
    (folder / "monitor/day").symlink_to(folder / "outside")


def _a_pipe(folder: Path) -> None:
    file = folder / "monitor/day/in-1.wav"
    file.unlink()
    os.mkfifo(file)


def _a_socket(folder: Path) -> None:
    file = folder / "monitor/day/in-1.wav"
    file.unlink()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(file))


def _a_folder(folder: Path) -> None:
    file = folder / "monitor/day/in-1.wav"
    file.unlink()
    file.mkdir()


def _nothing(folder: Path) -> None:
    (folder / "monitor/day/in-1.wav").unlink()


def _more_than_allowed(folder: Path) -> None:
    with (folder / "monitor/day/in-1.wav").open("ab") as file:
        file.write(SOUND)


@pytest.mark.parametrize(
    "replace",
    [_a_link, _a_link_inside, _a_folder_that_is_a_link, _a_pipe, _a_socket, _a_folder, _nothing,
     _more_than_allowed],
)  # fmt: skip
def test_what_was_put_in_its_place_after_it_was_found_is_not_opened(
    folder: Path, replace: Callable[[Path], None]
) -> None:
    options = Recordings(folder / "monitor", max_size_bytes=len(SOUND))
    path = find(options.root, "day/in-1.wav")
    assert path is not None
    with opened_at(options, path) as file:
        assert file.read() == SOUND
    replace(folder)
    with pytest.raises(RecordingError) as refused:
        opened_at(options, path)
    assert "swordfish" not in str(refused.value) and str(refused.value).isprintable()


@pytest.fixture
def request_of_it(faulty_server: FaultyServer) -> Request:
    slot = Slot(TOKEN, "recording", "json", True, "day/in-1.wav")
    return Request("POST", faulty_server.url, (), f'{{"src": "3642", "monitor_file": {TOKEN}}}', (slot,))


def _new(request: Request, key: int) -> NewDelivery:
    return NewDelivery("billing", "call_end", key, "call_end", NOW, request)


def test_a_file_that_grew_over_the_limit_goes_out_as_null_and_the_data_all_the_same(
    folder: Path, transport: Transport, faulty_server: FaultyServer, request_of_it: Request
) -> None:
    faulty_server.queue = [faulty_server.replies(500)]
    options = Recordings(folder / "monitor", max_size_bytes=len(SOUND))
    first = threading.Event()

    def open_recording(name: str) -> FileIO:
        if first.is_set():
            _more_than_allowed(folder)
        first.set()
        return opened(options, name)

    with open_in(folder) as store:
        bridge = Bridge(store, transport, open_recording=open_recording)
        queued(store, _new(request_of_it, 1))
        with capture_logs() as logs, bridge.running(client()):
            bridge.wait_for(2)
    sent = [json.loads(received.body) for received in faulty_server.received]
    assert sent == [
        {"src": "3642", "monitor_file": base64.b64encode(SOUND).decode()},
        {"src": "3642", "monitor_file": None},
    ]
    [line] = [line for line in logs if line["event"] == "recording.left_out"]
    assert line["recording"] == "day/in-1.wav"
    assert line["reason"] == "it has 400 bytes, more than asterisk.recordings.max_size (200)"


def test_a_file_that_is_replaced_all_the_time_never_sends_what_lies_outside(
    folder: Path, transport: Transport, faulty_server: FaultyServer, request_of_it: Request
) -> None:
    options = Recordings(folder / "monitor")
    stop, sound = threading.Event(), base64.b64encode(SOUND).decode()
    file = folder / "monitor/day/in-1.wav"

    def replace() -> None:
        while not stop.is_set():
            for make in (partial(file.symlink_to, folder / "outside/in-1.wav"), partial(os.mkfifo, file)):
                file.unlink()
                make()
                file.unlink()
                file.write_bytes(SOUND)

    replacing = threading.Thread(target=replace)
    with open_in(folder) as store:
        bridge = Bridge(store, transport, open_recording=partial(opened, options))
        replacing.start()
        try:
            with bridge.running(client(retry_s=QUICK * 10)) as deliveries:
                # Both must have come: on a busy machine the file may be missing for a while.
                for count in range(BATCH, MOST_BATCHES * BATCH, BATCH):
                    for key in range(count - BATCH, count):
                        queued(store, _new(request_of_it, key))
                    deliveries.wake("billing")
                    bridge.wait_for(count)
                    sent = {json.loads(received.body)["monitor_file"] for received in faulty_server.received}
                    if {None, sound} <= sent:
                        break
        finally:
            stop.set()
            replacing.join(20)
    assert base64.b64encode(SECRET).decode() not in sent
    assert {None, sound} <= sent
