"""Plays phones with SIPp against a laboratory's Asterisk.

    play(asterisk, [
        extension("251").rings(3).answers().waits_for_bye(),
        caller("3642999425").dials("3642999409").is_answered().talks(5).hangs_up(),
    ])

Each phone is one SIPp process on an address of its own; those that are called start first, but for
those that come later with `after`: the same phone in its next call.
"""

from __future__ import annotations

import itertools
import math
import subprocess
import tempfile
import threading
import time
from array import array
from contextlib import suppress
from pathlib import Path

from afterwards import answer_for
from handover import hand_over
from laboratory import Asterisk, LaboratoryError
from phones import Phone
from timeline import Timeline, timeline

_TIMEOUT_S = 90
_media = itertools.count()


class Playing:
    """Phones that are up; `finish` waits for the end of their scenarios."""

    def __init__(self, asterisk: Asterisk, phones: list[Phone]) -> None:
        self._asterisk, self._phones = asterisk, phones
        self._folder = tempfile.TemporaryDirectory(prefix="vipex-phones-")
        self._running: list[tuple[Phone, subprocess.Popen[bytes]]] = []
        tone = Path(self._folder.name) / "tone.ul"
        tone.write_bytes(_tone())
        began = time.monotonic()
        waiting = [p for p in phones if not p.is_caller and not p.starts_after_s]
        later = [p for p in phones if p.is_caller or p.starts_after_s]
        callers = sorted(later, key=lambda p: p.starts_after_s)
        for phone in waiting:
            self._start(phone, tone)
        if waiting:
            time.sleep(0.3)
        self._handing = [self._hand_over(p, p.consultation) for p in phones if p.consultation is not None]
        for handing in self._handing:
            handing.start()
        _wait_for_quarter_second()
        began = time.monotonic()
        for phone in callers:
            time.sleep(max(0.0, began + phone.starts_after_s - time.monotonic()))
            self._wait_until_it_is_free(phone)
            self._start(phone, tone)

    def finish(self) -> Timeline:
        """Waits for all phones; what they lived through.

        Raises `LaboratoryError` with SIPp's own words for one that failed.
        """
        deadline = time.monotonic() + _TIMEOUT_S
        failed = []
        for handing in self._handing:
            handing.join()
        for phone, process in self._running:
            try:
                code = process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
            if code != 0:
                errors = self._file(phone, "err")
                said = errors.read_text("utf-8", "replace")[-1500:] if errors.exists() else "(nothing)"
                failed.append(f"phone {phone.where} ({phone.number}) ended with {code}: {said}")
        answer_for({(self._address(phone), phone.port) for phone in self._phones if phone.refers})
        traces = [(phone, self._file(phone, "msg")) for phone, _ in self._running]
        lived = timeline(
            [(p.number, trace.read_text("utf-8", "replace")) for p, trace in traces if trace.exists()]
        )
        self._folder.cleanup()
        if failed:
            raise LaboratoryError("\n".join([*failed, str(lived)]))
        return lived

    def _hand_over(self, phone: Phone, consultation: Phone) -> threading.Thread:
        trace, log = self._file(phone, "msg"), self._file(consultation, "log")
        # A consultation that does not come about shows in its phone's own failure.
        return threading.Thread(target=hand_over, args=(trace, (self._address(phone), phone.port), log))

    def _file(self, phone: Phone, ending: str) -> Path:
        return Path(self._folder.name) / f"{phone.where}-{phone.port}-{id(phone)}.{ending}"

    def _address(self, phone: Phone) -> str:
        return self._asterisk.ports.address(phone.where)

    def _wait_until_it_is_free(self, phone: Phone) -> None:
        """The same telephone may be in an earlier call still."""
        for earlier, process in self._running:
            if (earlier.where, earlier.port) == (phone.where, phone.port):
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_TIMEOUT_S)

    def _start(self, phone: Phone, tone: Path) -> None:
        scenario = self._file(phone, "xml")
        scenario.write_text(phone.scenario().replace("@TONE@", str(tone)), "utf-8")
        address = self._address(phone)
        media_port = self._asterisk.ports.media + 20 * (next(_media) % 500)
        command = [
            "sipp", "-sf", str(scenario), "-i", address, "-p", str(phone.port), "-mi", address,
            "-mp", str(media_port), "-m", str(phone.calls), "-aa", "-nostdin", "-timeout", str(_TIMEOUT_S),
            "-timeout_error", "-trace_err", "-error_file", str(self._file(phone, "err")),
            # SIPp takes [...] in a scenario for its own words; in a key's value it does not.
            "-key", "shown", (phone.name or phone.number).replace("\\", "\\\\").replace('"', '\\"'),
            "-trace_msg", "-message_file", str(self._file(phone, "msg")),
            "-trace_logs", "-log_file", str(self._file(phone, "log")),
            f"127.0.0.1:{self._asterisk.ports.sip}",
        ]  # fmt: skip
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder.name,
        )
        self._running.append((phone, process))


def play(asterisk: Asterisk, phones: list[Phone]) -> Timeline:
    """Plays the phones to their end; what they lived through is the truth about the call."""
    return Playing(asterisk, phones).finish()


def _wait_for_quarter_second() -> None:
    """Times are told in whole seconds: a story of whole seconds must not play on their edges."""
    time.sleep((0.25 - time.time()) % 1.0)


def _tone(seconds: int = 20) -> bytes:
    """A 440 Hz tone in u-law, 8,000 samples a second (ITU-T G.711)."""
    samples = array("h", (round(8_000 * math.sin(2 * math.pi * 440 * n / 8_000)) for n in range(8_000)))
    return bytes(map(_ulaw, samples)) * seconds


def _ulaw(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32_635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> (exponent + 3) & 0x0F) & 0xFF
