"""Telephones and what they do, in a few readable words; `playing` has SIPp play them.

    extension("251").rings(3).answers().waits_for_bye()
    caller("3642999425").dials("3642999409").is_answered().talks(5).hangs_up()

SIPp's scenario language is XML (its reference manual, "Create your own XML scenarios").
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import Self

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
_branches = itertools.count(int(time.time()))


@dataclass
class Phone:
    """A phone and what it does, step by step. `where` is its name among the laboratory's hosts."""

    where: str
    number: str
    port: int = 5060
    steps: list[str] = field(default_factory=list)
    calls: int = 1
    """How many calls the phone takes at once, each played alike."""
    consultation: Phone | None = None
    """The same person's other call, which `hands_over` joins to this one."""
    starts_after_s: float = 0.0
    is_caller: bool = False
    refers: bool = False
    """It transfers by REFER, and is told what becomes of it even after it has hung up."""
    name: str = ""
    _sequence: int = 1
    _to: str = ""
    _branch: str = ""

    def after(self, seconds: float) -> Self:
        """Starts so many seconds after the first caller."""
        self.starts_after_s = seconds
        return self

    def takes(self, calls: int) -> Self:
        """Plays its steps in so many calls at the same time."""
        self.calls = calls
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
        self._branch = f"z9hG4bK-vipex-{next(_branches)}-[call_number]"
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

    def sends_early_media(self, seconds: float = 0.0) -> Self:
        """183 Session Progress with sound, as a network's announcement."""
        progress = _response("183 Session Progress", _TAG)
        body = f"Content-Type: application/sdp\nContent-Length: [len]\n\n{_SDP}"
        self._send(progress.replace("Content-Length: 0\n", body), retransmit=False)
        return self._sound().waits(seconds)

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
        """Blind transfer by REFER; the phone then hangs up, as phones do (Asterisk would wait a minute)."""
        extra = f"Refer-To: <sip:{number}@[remote_ip]>\nReferred-By: <sip:{self.number}@[local_ip]>\n"
        self.refers = True
        self._send(self._request("REFER", "[peer_tag_param]", f"{extra}Content-Length: 0\n"))
        self._step('<recv response="202"/>')
        return self.waits(0.3).hangs_up()

    def parks(self) -> Self:
        """Parks the call by REFER to 700, and hangs up once it has been told the place."""
        extra = f"Refer-To: <sip:700@[remote_ip]>\nReferred-By: <sip:{self.number}@[local_ip]>\n"
        self.refers = True
        self._send(self._request("REFER", "[peer_tag_param]", f"{extra}Content-Length: 0\n"))
        self._step('<recv response="202"/>')
        return self.waits(3).hangs_up()

    def hands_over(self, consultation: Phone) -> Self:
        """Attended transfer by REFER with Replaces: joins this call to the phone's other one.

        `consultation` says when, by `consulted`; what SIPp cannot know of the other dialogue comes in an
        INFO of the laboratory's own (see `handover`).
        """
        self.consultation = consultation
        told = (
            '<ereg regexp="[^ ].*" search_in="hdr" header="X-Refer-To:" check_it="true" assign_to="referto"/>'
        )
        self._step(f'<recv request="INFO"><action>{told}</action></recv>')
        extra = f"Refer-To: [$referto]\nReferred-By: <sip:{self.number}@[local_ip]>\n"
        self.refers = True
        self._send(self._request("REFER", "[peer_tag_param]", f"{extra}Content-Length: 0\n"))
        self._step('<recv response="202"/>')
        return self.waits(0.3).hangs_up()

    def consulted(self) -> Self:
        """Tells the phone's first call that it may hand over now."""
        return self._step(
            '<nop><action><log message="ready [call_id] [last_From:] [last_To:]"/></action></nop>'
        )

    def holds(self, seconds: float) -> Self:
        """Puts the other side on hold by re-INVITE, and takes it back."""
        self._reinvite("sendonly")
        self.waits(seconds)
        return self._reinvite("sendrecv")

    def _reinvite(self, direction: str) -> Self:
        self._sequence += 1
        sdp = f"Content-Type: application/sdp\nContent-Length: [len]\n\n{_SDP}a={direction}\n"
        self._send(self._request("INVITE", "[peer_tag_param]", sdp, self._sequence))
        self._provisional()
        self._step('<recv response="200"/>')
        ack = self._request("ACK", "[peer_tag_param]", "Content-Length: 0\n", self._sequence)
        return self._send(ack, retransmit=False)

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

    def _request(self, method: str, to_tag: str, rest: str, sequence: int = 0) -> str:
        is_first = sequence == 0 and method in ("INVITE", "CANCEL", "ACK")
        if is_first:
            sequence = 1
        elif sequence == 0:
            self._sequence += 1
            sequence = self._sequence
        own_branch = is_first and (method != "ACK" or 'response="200"' not in self.steps[-1])
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


def _response(status: str, to_tag: str = "") -> str:
    return (
        f"SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]{to_tag}\n[last_Call-ID:]\n[last_CSeq:]\n"
        "Contact: <sip:[local_ip]:[local_port]>\nContent-Length: 0\n"
    )
