"""The bridge as a real process, configured in a temporary folder: for tests against real servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self


class BridgeProcess:
    """`vipex-bridge run` with a configuration text; a context manager. Its log is read as it comes."""

    launcher: Sequence[str]
    """A command that is to start it, before its own words."""

    def __init__(self, folder: Path, configuration: str) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.config.write_text(configuration, encoding="utf-8")
        self.lines: list[dict[str, Any]] = []
        self.launcher = ()
        self._changed = threading.Condition()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts it and waits until it says so, and until it is connected where it has an AMI.

        One that does not come up is ended.
        """
        mark = self.mark()
        self.launch()
        try:
            self.wait_for("bridge.started", after=mark)
            if "ami:" in self.config.read_text("utf-8"):
                self.wait_for("ami.connected", after=mark)
        except BaseException:
            self.kill()
            raise

    def launch(self, *program: str) -> None:
        """Starts it, and waits for nothing. `program`: what Python runs instead of `vipex-bridge run`."""
        command = program or ("-m", "vipex_bridge.cli.main", "run", "--config", str(self.config))
        self._process = subprocess.Popen(
            [*self.launcher, sys.executable, *command],
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    def stop(self) -> float:
        """Ends it by SIGTERM; the seconds it took. Fails when it does not end well."""
        if self._process is None:
            return 0.0
        process, self._process = self._process, None
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
            raise AssertionError(f"the bridge did not stop; the log:\n{self.log()}") from None
        assert code == 0, self.log()
        return time.monotonic() - began

    def kill(self) -> None:
        """Ends it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    def ends_by_itself(self, timeout_s: float = 30.0) -> int:
        """Waits until it has ended without being told to; its exit code."""
        assert self._process is not None
        try:
            return self._process.wait(timeout=timeout_s)
        finally:
            self.kill()

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def peak_memory_kib(self) -> int:
        """The most memory that it has had so far (proc(5), VmHWM)."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text("ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))

    def mark(self) -> int:
        """This moment in the log, for `wait_for(..., after=...)`."""
        return len(self.lines)

    def wait_for(
        self, event: str, timeout_s: float = 20.0, after: int = 0, **fields: object
    ) -> dict[str, Any]:
        """The first log line of that event with those fields, waited for."""

        def found() -> list[dict[str, Any]]:
            return [
                line
                for line in self.lines[after:]
                if line.get("event") == event
                and all(line.get(name) == value for name, value in fields.items())
            ]

        with self._changed:
            assert self._changed.wait_for(lambda: bool(found()), timeout_s), (
                f"no {event} {fields} within {timeout_s} s; the log:\n{self.log()}"
            )
            return found()[0]

    def log(self) -> str:
        """All that was logged so far."""
        return "\n".join(json.dumps(line, ensure_ascii=False) for line in self.lines)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs another `vipex-bridge` command on the same configuration."""
        name, *rest = arguments
        return subprocess.run(
            [sys.executable, "-m", "vipex_bridge.cli.main", name, "--config", str(self.config), *rest],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for text in process.stderr:
                try:
                    line = json.loads(text)
                except ValueError:
                    line = {"event": "(not JSON)", "text": text.rstrip()}
                with self._changed:
                    self.lines.append(line)
                    self._changed.notify_all()
