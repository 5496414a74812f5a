"""Memory that sending a recording of 100 MB as base64 takes: `bench/recording_memory.py [--short]`.

The whole way from a frozen request to the server's answer (`fill`, `sign`, `Transport`), in a process of its
own; memory is that process's resident set at its greatest (VmHWM) less what it was before (VmRSS). The
receiver is another process.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import FileIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

from delivering import client as client_named
from figures import Figure, add_arguments, tell

from vipex_bridge.config.settings import Secret
from vipex_bridge.deliver.fill import fill
from vipex_bridge.deliver.http import Transport
from vipex_bridge.deliver.signing import sign
from vipex_bridge.render.request import Request, Slot

TOKEN = "vipexrecording"
GOAL_MB = 20
SIGNED = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def receive() -> None:
    """Takes requests of any size, one after the other, and keeps nothing of them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                got = b""
                while b"\r\n\r\n" not in got:
                    got += connection.recv(65536)
                head, _, begun = got.partition(b"\r\n\r\n")
                length = int(head.lower().rpartition(b"content-length:")[2].split(b"\r\n", 1)[0])
                left = length - len(begun)
                while left:
                    left -= len(connection.recv(min(left, 1 << 20)))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def send(url: str, sizes_mb: list[int]) -> None:
    """Sends recordings of these sizes; prints how many KiB of memory each took at most."""
    client = client_named(url=url, signing_secrets=(Secret(SIGNED),))
    body = '{"monitor_file": ' + TOKEN + "}"
    slot = Slot(TOKEN, "recording", "json", True, "call.wav")
    request = Request("POST", "", (("Content-Type", "application/json"),), body, (slot,))
    with tempfile.TemporaryDirectory() as folder, closing(Transport()) as transport:
        path = Path(folder) / "call.wav"

        def opened(reference: str) -> FileIO:
            return FileIO(path, "rb")

        for size_mb in (1, *sizes_mb):
            with path.open("wb") as file:
                for _ in range(size_mb):
                    file.write(bytes(range(250)) * 4000)
            before = _kib("VmRSS")
            outgoing = sign(
                fill(request, client, opened, idempotency_key="key"), client.signing_secrets, "key", 1.0
            )
            answer = transport.exchange(outgoing, tls=client.tls, timeout_s=300.0, max_bytes=1000)
            assert answer.status == 200
            print(_kib("VmHWM") - before, flush=True)


def _kib(which: str) -> int:
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{which}:"))


@contextmanager
def _running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def measure(size_mb: int) -> Figure:
    """What one recording of that size adds, after one of 1 MB has been sent."""
    with _running("--receive") as receiver:
        assert receiver.stdout is not None
        url = f"http://127.0.0.1:{int(receiver.stdout.readline())}/calls"
        with _running("--send", url, str(size_mb)) as sender:
            assert sender.stdout is not None
            _, added = (int(line) for line in sender.stdout)
    added_mb = added * 1024 / 1e6
    return Figure(
        "P7",
        f"resident memory added by a recording of {size_mb} MB, sent as base64 and signed",
        f"{added_mb:.1f} MB",
        "",
        None,
        f"<= {GOAL_MB} MB",
        added_mb <= GOAL_MB,
    )


def main() -> None:
    """Prints the figure; with `--receive` or `--send` it is one of the two processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--send", nargs="+", help=argparse.SUPPRESS)
    add_arguments(parser)
    arguments = parser.parse_args()
    if arguments.receive:
        receive()
    elif arguments.send:
        send(arguments.send[0], [int(size) for size in arguments.send[1:]])
    else:
        tell([measure(20 if arguments.short else 100)], arguments)


if __name__ == "__main__":
    main()
