"""A wire that can be cut: passes bytes on between a client and a server on loopback."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self


class Relay:
    """Listens on a port of its own and passes everything on to `to_port`; a context manager."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._is_cut = threading.Event()
        self._flows = threading.Event()
        self._flows.set()
        self.cut_after_bytes: int | None = None
        """Where the next connection is to be cut, by bytes towards the client; None: nowhere."""
        self.cuts_made = 0
        """How many connections were cut there."""
        self._ends: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut(self) -> None:
        """Ends every connection; new ones end at once until `mend`."""
        self._is_cut.set()
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def mend(self) -> None:
        """Lets new connections through again, and what was stalled."""
        self._is_cut.clear()
        self._flows.set()

    def stall(self) -> None:
        """Passes nothing on any more, and ends nothing: a half-open connection, to both sides."""
        self._flows.clear()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = (
                    None if self._is_cut.is_set() else socket.create_connection(("127.0.0.1", self._to_port))
                )
            except OSError:
                far = None
            if far is None:
                near.close()
                continue
            self._ends += [near, far]
            limit, self.cut_after_bytes = self.cut_after_bytes, None
            for source, sink, bytes_left in ((near, far, None), (far, near, limit)):
                threading.Thread(target=self._pass_on, args=(source, sink, bytes_left), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, bytes_left: int | None) -> None:
        with suppress(OSError):
            while bytes_left != 0 and (data := source.recv(min(65_536, bytes_left or 65_536))):
                self._flows.wait()
                sink.sendall(data)
                bytes_left = None if bytes_left is None else bytes_left - len(data)
        self.cuts_made += bytes_left == 0
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()
