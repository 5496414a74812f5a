"""Telephone calls in a few readable words, played by SIPp.

    play(asterisk, [
        extension("251").rings(3).answers().waits_for_bye(),
        caller("3642999425").dials("3642999409").is_answered().talks(5).hangs_up(),
    ])

Each phone is one SIPp process on an address of its own; those that are called start first. SIPp's
scenario language is XML (its reference manual, "Create your own XML scenarios").
"""

from __future__ import annotations

import itertools
import math
import subprocess
import tempfile
import time
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from laboratory import Asterisk, LaboratoryError
from timeline import Timeline, timeline

_SDP = """v=0
o=phone 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [rtpstream_audio_port] RTP/AVP 0
a=rtpmap:0 PCMU/8000
a=ptime:20
"""
_TAG = ";tag=[pid]U[call_number]"
_TIMEOUT_S = 90
_branches = itertools.count(int(time.time()))
_media = itertools.count()


@dataclass
class Phone:
    """A phone and what it does, step by step. `where` is its name among the laboratory's hosts."""

    where: str
    number: str
    port: int = 5060
    steps: list[str] = field(default_factory=list)
    starts_after_s: float = 0.0
    is_caller: bool = False
    name: str = ""
    _sequence: int = 1
    _to: str = ""
    _branch: str = ""

    def after(self, seconds: float) -> Self:
        """Starts so many seconds after the first caller."""
        self.starts_after_s = seconds
        return self

    def named(self, name: str) -> Self:
        """Shows this name with its number: any text that fits one line."""
        self.name = name
        return self

    def waits(self, seconds: float) -> Self:
        """Does nothing for a while."""
        return self._step(f'<pause milliseconds="{round(seconds * 1000)}"/>')

    talks = waits
    """Says something: sound goes both ways while a call is answered."""

    # -- calling ----------------------------------------------------------------------------

    def dials(self, number: str) -> Self:
        """Places a call."""
        self.is_caller = True
        self._to = number
        self._branch = f"z9hG4bK-vipex-{next(_branches)}"
        return self._send(
            self._request("INVITE", "", f"Content-Type: application/sdp\nContent-Length: [len]\n\n{_SDP}")
        )

    def is_answered(self) -> Self:
        """Waits for the answer."""
        self._provisional()
        self._step('<recv response="200" rrs="true"/>')
        self._send(self._request("ACK", "[peer_tag_param]", "Content-Length: 0\n"), retransmit=False)
        return self._sound()

    def hears_ringing(self) -> Self:
        """Waits for 180 Ringing."""
        return self._step(
            '<recv response="100" optional="true"/><recv response="183" optional="true"/>'
            '<recv response="180" rrs="true"/>'
        )

    def hears_early_media(self) -> Self:
        """Waits for 183 Session Progress."""
        return self._step('<recv response="100" optional="true"/><recv response="183" rrs="true"/>')

    def is_refused(self, code: int) -> Self:
        """Waits for a final refusal."""
        self._provisional()
        self._step(f'<recv response="{code}"/>')
        return self._send(self._request("ACK", "[peer_tag_param]", "Content-Length: 0\n"), retransmit=False)

    def gives_up(self) -> Self:
        """Cancels a call that is not answered yet."""
        self._send(self._request("CANCEL", "", "Content-Length: 0\n"))
        self._step('<recv response="200"/><recv response="487"/>')
        return self._send(self._request("ACK", "[peer_tag_param]", "Content-Length: 0\n"), retransmit=False)

    # -- being called -----------------------------------------------------------------------

    def rings(self, seconds: float = 0.0) -> Self:
        """Says 180 Ringing, then rings on for a while."""
        self._send(_response("180 Ringing", _TAG), retransmit=False)
        return self.waits(seconds)

    def answers(self) -> Self:
        """Picks up."""
        answer = (
            "SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]"
            + _TAG
            + "\n[last_Call-ID:]\n[last_CSeq:]\n"
            f"Contact: <sip:{self.number}@[local_ip]:[local_port]>\n"
            f"Content-Type: application/sdp\nContent-Length: [len]\n\n{_SDP}"
        )
        self._send(answer)
        self._step('<recv request="ACK"/>')
        return self._sound()

    def refuses(self, code: str = "486 Busy Here") -> Self:
        """Declines the call with a final status."""
        self._send(_response(code, _TAG))
        return self._step('<recv request="ACK"/>')

    def forwards_to(self, number: str) -> Self:
        """302 Moved Temporarily."""
        moved = _response("302 Moved Temporarily", _TAG)
        self._send(moved.replace("<sip:[local_ip]:[local_port]>", f"<sip:{number}@[remote_ip]>"))
        return self._step('<recv request="ACK"/>')

    def is_cancelled(self) -> Self:
        """Goes on ringing until the caller, or Asterisk, gives up."""
        self._step('<recv request="CANCEL"/>')
        self._send(_response("200 OK"), retransmit=False)
        self._send(
            f"SIP/2.0 487 Request Terminated\nVia:[$via]\nFrom:[$from]\nTo:[$to]{_TAG}\nCall-ID: [call_id]\n"
            "CSeq:[$cseq]\nContent-Length: 0\n"
        )
        return self._step('<recv request="ACK"/>')

    # -- both -------------------------------------------------------------------------------

    def presses(self, keys: str, gap_s: float = 0.3) -> Self:
        """Keys, by SIP INFO."""
        for key in keys:
            body = f"Signal={key}\nDuration=160\n"
            self._send(
                self._request(
                    "INFO", "[peer_tag_param]",
                    f"Content-Type: application/dtmf-relay\nContent-Length: [len]\n\n{body}",
                )
            )  # fmt: skip
            self._step('<recv response="200"/>')
            self.waits(gap_s)
        return self

    def hangs_up(self) -> Self:
        """Says BYE."""
        self._send(self._request("BYE", "[peer_tag_param]", "Content-Length: 0\n"))
        return self._step('<recv response="200"/>')

    def waits_for_bye(self) -> Self:
        """Talks until the other side hangs up."""
        self._step('<recv request="BYE"/>')
        return self._send(_response("200 OK"), retransmit=False)

    def transfers_to(self, number: str) -> Self:
        """Blind transfer by REFER; Asterisk then ends this leg."""
        extra = f"Refer-To: <sip:{number}@[remote_ip]>\nReferred-By: <sip:{self.number}@[local_ip]>\n"
        self._send(self._request("REFER", "[peer_tag_param]", f"{extra}Content-Length: 0\n"))
        self._step('<recv response="202"/>')
        return self.waits_for_bye()

    # -- scenario ---------------------------------------------------------------------------

    def scenario(self) -> str:
        """The SIPp scenario."""
        steps = list(self.steps)
        variables = ""
        if not self.is_caller:
            heard = {"from": "From:", "via": "Via:", "to": "To:", "cseq": "CSeq:"}
            actions = "".join(
                f'<ereg regexp=".*" search_in="hdr" header="{header}" check_it="true" assign_to="{name}"/>'
                for name, header in heard.items()
            )
            target = (
                '<ereg regexp="&lt;(.*)&gt;" search_in="hdr" header="Contact:" check_it="true"'
                ' assign_to="all,target"/>'
            )
            steps.insert(0, f'<recv request="INVITE" rrs="true"><action>{target}{actions}</action></recv>')
            variables = f'<Reference variables="all,target,{",".join(heard)}"/>'
        return "\n".join(
            [
                '<?xml version="1.0" encoding="UTF-8" ?>',
                '<scenario name="phone">',
                *steps,
                variables,
                "</scenario>",
            ]
        )

    def _request(self, method: str, to_tag: str, rest: str) -> str:
        if method in ("CANCEL", "ACK") or (method == "INVITE"):
            sequence = 1
        else:
            self._sequence += 1
            sequence = self._sequence
        own_branch = method in ("INVITE", "CANCEL") or (
            method == "ACK" and 'response="200"' not in self.steps[-1]
        )
        if not self.is_caller:
            return (
                f"{method} [$target] SIP/2.0\n"
                "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
                f"From: <sip:{self.number}@[local_ip]>{_TAG}\nTo:[$from]\nCall-ID: [call_id]\n"
                f"CSeq: {sequence} {method}\nContact: <sip:{self.number}@[local_ip]:[local_port]>\n"
                f"Max-Forwards: 70\n{rest}"
            )
        branch = self._branch if own_branch else "[branch]"
        return (
            f"{method} sip:{self._to}@[remote_ip]:[remote_port] SIP/2.0\n"
            f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}\n"
            f'From: "[shown]" <sip:{self.number}@[local_ip]>;tag=[pid]T[call_number]\n'
            f"To: <sip:{self._to}@[remote_ip]>{to_tag}\nCall-ID: [call_id]\nCSeq: {sequence} {method}\n"
            f"Contact: <sip:{self.number}@[local_ip]:[local_port]>\nMax-Forwards: 70\n{rest}"
        )

    def _provisional(self) -> None:
        for code in (100, 180, 181, 183):
            self._step(f'<recv response="{code}" optional="true"/>')

    def _sound(self) -> Self:
        return self._step('<nop><action><exec rtp_stream="@TONE@,-1,0"/></action></nop>')

    def _send(self, message: str, *, retransmit: bool = True) -> Self:
        again = ' retrans="500"' if retransmit else ""
        return self._step(f"<send{again}><![CDATA[\n{message}\n]]></send>")

    def _step(self, step: str) -> Self:
        self.steps.append(step)
        return self


def caller(number: str, port: int = 5060) -> Phone:
    """Somebody outside, on the trunk; two at once need two ports."""
    return Phone("trunk", number, port)


def line(number: str = "36301234576") -> Phone:
    """The far end of an outgoing call."""
    return Phone("trunk", number)


def extension(number: str, port: int = 5060) -> Phone:
    """One of the extensions."""
    return Phone(number, number, port)


class Playing:
    """Phones that are up; `finish` waits for the end of their scenarios."""

    def __init__(self, asterisk: Asterisk, phones: list[Phone]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vipex-phones-")
        self._running: list[tuple[Phone, subprocess.Popen[bytes]]] = []
        tone = Path(self._folder.name) / "tone.ul"
        tone.write_bytes(_tone())
        began = time.monotonic()
        waiting = [p for p in phones if not p.is_caller]
        callers = sorted((p for p in phones if p.is_caller), key=lambda p: p.starts_after_s)
        for phone in waiting:
            self._start(asterisk, phone, tone)
        if waiting:
            time.sleep(0.3)
        began = time.monotonic()
        for phone in callers:
            time.sleep(max(0.0, began + phone.starts_after_s - time.monotonic()))
            self._start(asterisk, phone, tone)

    def finish(self) -> Timeline:
        """Waits for all phones; what they lived through.

        Raises `LaboratoryError` with SIPp's own words for one that failed.
        """
        deadline = time.monotonic() + _TIMEOUT_S
        failed = []
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
        traces = [(phone, self._file(phone, "msg")) for phone, _ in self._running]
        lived = timeline(
            [(p.number, trace.read_text("utf-8", "replace")) for p, trace in traces if trace.exists()]
        )
        self._folder.cleanup()
        if failed:
            raise LaboratoryError("\n".join([*failed, str(lived)]))
        return lived

    def _file(self, phone: Phone, ending: str) -> Path:
        return Path(self._folder.name) / f"{phone.where}-{phone.port}-{id(phone)}.{ending}"

    def _start(self, asterisk: Asterisk, phone: Phone, tone: Path) -> None:
        scenario = self._file(phone, "xml")
        scenario.write_text(phone.scenario().replace("@TONE@", str(tone)), "utf-8")
        address = asterisk.ports.address(phone.where)
        media_port = asterisk.ports.media + 20 * (next(_media) % 500)
        command = [
            "sipp", "-sf", str(scenario), "-i", address, "-p", str(phone.port), "-mi", address,
            "-mp", str(media_port), "-m", "1", "-aa", "-nostdin", "-timeout", str(_TIMEOUT_S),
            "-timeout_error", "-trace_err", "-error_file", str(self._file(phone, "err")),
            # SIPp takes [...] in a scenario for its own words; in a key's value it does not.
            "-key", "shown", (phone.name or phone.number).replace("\\", "\\\\").replace('"', '\\"'),
            "-trace_msg", "-message_file", str(self._file(phone, "msg")),
            f"127.0.0.1:{asterisk.ports.sip}",
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


def _response(status: str, to_tag: str = "") -> str:
    return (
        f"SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]{to_tag}\n[last_Call-ID:]\n[last_CSeq:]\n"
        "Contact: <sip:[local_ip]:[local_port]>\nContent-Length: 0\n"
    )


def _tone(seconds: int = 20) -> bytes:
    """A 440 Hz tone in u-law, 8,000 samples a second (ITU-T G.711)."""
    samples = array("h", (round(8_000 * math.sin(2 * math.pi * 440 * n / 8_000)) for n in range(8_000)))
    return bytes(map(_ulaw, samples)) * seconds


def _ulaw(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32_635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> (exponent + 3) & 0x0F) & 0xFF
