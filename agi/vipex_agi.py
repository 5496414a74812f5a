"""What `vipex-lookup` and `vipex-notify` share: pyst2 speaks to Asterisk, the bridge does the work.

The script hands the environment that Asterisk gave it to the bridge's Unix socket, and passes the bridge's
commands on to Asterisk and the replies back, until the bridge closes. If there is no bridge, it breaks off
or is silent, the dialplan gets VIPEX_STATUS=UNAVAILABLE and an empty VIPEX_HTTP_CODE, and the call goes on.

Installing: the three files go into Asterisk's `agi-bin`, and the scripts' first line must name a Python that
can import pyst2: that of the environment the bridge is installed in. As root, if that is /opt/vipex-bridge:

    BIN=$(asterisk -rx 'core show settings' | sed -n 's/^ *AGI Scripts directory: *//p')
    install -m 755 agi/vipex-lookup agi/vipex-notify "$BIN" && install -m 644 agi/vipex_agi.py "$BIN"
    sed -i '1s|.*|#!/opt/vipex-bridge/bin/python -I|' "$BIN/vipex-lookup" "$BIN/vipex-notify"
    /opt/vipex-bridge/bin/python -m compileall -q "$BIN"

(The last line matters: Asterisk's user may not write there, and without it each call compiles this file.)
That user needs the group of the socket: VIPEX_AGI_SOCKET, else /run/vipex-bridge/agi.sock.

A call waits for this program to start, so it imports what it must and no more: see `_import_pyst2`.
"""

import _signal  # type: ignore[import-not-found]  # typeshed knows `signal` alone
import _socket
import io
import os
import select
import sys

TYPE_CHECKING = False  # typing itself would take longer to import than this file
if TYPE_CHECKING:
    from types import ModuleType
    from typing import BinaryIO

SOCKET = "/run/vipex-bridge/agi.sock"
FIRST_WORD_S = 1.5
"""The bridge's first command comes at once, or the bridge hangs."""
SILENCE_S = 30.0
"""No lookup lasts longer; its own `timeout` ends it before."""
MAX_LINE_BYTES = 65_536


class CallerGone(Exception):
    """Asterisk hung up or went away: nobody is left to be told anything."""


class BridgeGone(Exception):
    """The bridge is not running, broke off, or is silent."""


class _Silence:
    """pyst2 writes the environment and every command, caller's data, to what it takes for standard error."""

    def write(self, text: str) -> None:
        pass


def _import_pyst2() -> "ModuleType":
    """pyst2's `agi`, without four modules that cost more time than all the rest, Python's own start apart.

    `pprint` (with dataclasses and inspect) only formats what goes to _Silence; of `six` only PY3 is used;
    `re` reads replies, which is done here; of `signal` (with enum, functools) its part in C is enough.
    """
    instead = {"pprint": _module(pformat=repr), "six": _module(PY3=True), "re": _module(compile=str)}
    absent = {
        name: module for name, module in {**instead, "signal": _signal}.items() if name not in sys.modules
    }
    sys.modules.update(absent)
    try:
        import asterisk.agi
    finally:
        # Whoever else wants one of them is to get the real one.
        for name in absent:
            del sys.modules[name]
    return asterisk.agi  # type: ignore[no-any-return]


def _module(**holds: object) -> "ModuleType":
    made = type(sys)("instead")
    made.__dict__.update(holds)
    return made


def quoted(text: str) -> str:
    """One word of an AGI command; raises ValueError when it could end the command."""
    if "\r" in text or "\n" in text or "\0" in text:
        raise ValueError("a line break or NUL in an AGI command")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def words(line: str) -> list[str]:
    """The words of a command line as Asterisk understands it: `"` and `\\` are all there is."""
    found: list[str] = []
    is_quoted = is_escaped = in_word = False
    for char in line:
        if char == "\\" and not is_escaped:
            is_escaped = True
        elif char == '"' and not is_escaped:
            is_quoted = not is_quoted
            if is_quoted and not in_word:
                found.append("")
                in_word = True
        elif char in " \t" and not is_quoted and not is_escaped:
            in_word = False
        else:
            if not in_word:
                found.append("")
                in_word = True
            found[-1] += char
            is_escaped = False
    return found


class _Heard:
    """Asterisk's words for pyst2, which keeps only the last of several lines of one name: `lines` has all."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self.lines: list[str] = []
        self._stream = stream

    def readline(self) -> str:
        line = self._stream.readline()
        self.lines.append(line.rstrip("\n"))
        return line


def _byte_safe(stream: "BinaryIO") -> io.TextIOWrapper:
    return io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="\n")


class Dialplan:
    """Asterisk behind pyst2, with pyst2's quoting, reply reading and hang-up mended."""

    def __init__(self) -> None:
        pyst2 = _import_pyst2()
        # Bytes pass through unharmed, whatever the locale of Asterisk's start script was.
        self._stdin = _byte_safe(sys.stdin.buffer)
        heard = _Heard(self._stdin)
        self._agi = pyst2.AGI(heard, _byte_safe(sys.stdout.buffer), _Silence())
        self.environment = [line for line in heard.lines if line.startswith("agi_")]
        """The `agi_*` lines; empty when Asterisk closed before it said any."""
        # pyst2 only notes a hang-up. Ending at once closes the bridge's socket, and that ends the lookup.
        _signal.signal(_signal.SIGHUP, lambda number, frame: os._exit(0))
        if self._agi._got_sighup:
            raise CallerGone

    def command(self, name: str, *arguments: str) -> str:
        """Sends a command and gives Asterisk's whole reply as it came; raises CallerGone, ValueError."""
        safe = [quoted(argument) for argument in arguments]
        try:
            self._agi.send_command(name, *safe)
            return self._reply(may_be_long=name == "GET FULL VARIABLE")
        except OSError:
            raise CallerGone from None

    def obey(self, line: str) -> str:
        """Does what the bridge asks, if it is one of the two things it may ask for; gives the reply."""
        asked = words(line)
        try:
            if asked[:2] == ["SET", "VARIABLE"] and len(asked) == 4 and _is_plain_name(asked[2]):
                return self.command("SET VARIABLE", *asked[2:])
            if asked[:3] == ["GET", "FULL", "VARIABLE"] and len(asked) == 4:
                return self.command("GET FULL VARIABLE", asked[3])
        except ValueError:
            pass
        return "510 Invalid or unknown command\n"

    def _reply(self, *, may_be_long: bool) -> str:
        whole = line = self._line()
        while not line[:3].isdigit():  # the rest of a value with a line that ended in ')'
            whole = line = self._line()
        if not may_be_long:  # a caller's number may have begun a reply that never ends
            return whole
        if whole.startswith("200 result=") and " (" in whole:
            while not line.endswith(")\n"):
                line = self._line()
                whole += line
        elif whole[3:4] == "-":
            while not line.startswith(whole[:3] + " "):
                line = self._line()
                whole += line
        return whole

    def _line(self) -> str:
        line = self._stdin.readline()
        if not line.endswith("\n"):
            raise CallerGone
        return line


def _is_plain_name(name: str) -> bool:
    return name.isascii() and name.replace("_", "a").isalnum() and name[0].isalpha()


class Bridge:
    """The connection to the bridge."""

    def __init__(self, path: str) -> None:
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._socket.settimeout(FIRST_WORD_S)
        self._unread = b""
        self._patience_s = FIRST_WORD_S
        try:
            self._socket.connect(path)
        except OSError as error:
            raise BridgeGone(f"no bridge at {path}: {error.strerror or error}") from None

    def say(self, text: bytes) -> None:
        """Sends `text`; raises BridgeGone."""
        try:
            self._socket.sendall(text)
        except OSError as error:
            raise BridgeGone(f"the bridge broke off: {error}") from None

    def line(self) -> "bytes | None":
        """The next command, or None when the bridge has closed; raises BridgeGone, CallerGone."""
        while b"\n" not in self._unread:
            data = self._read()
            if not data:
                return None
            self._unread += data
            if len(self._unread) > MAX_LINE_BYTES:
                raise BridgeGone("what listens there is no bridge")
        line, _, self._unread = self._unread.partition(b"\n")
        self._patience_s = SILENCE_S
        return line

    def _read(self) -> bytes:
        socket = self._socket.fileno()
        while True:
            ready = select.select([socket, 0], [], [], self._patience_s)[0]
            if not ready:
                raise BridgeGone(f"the bridge was silent for {self._patience_s:g} s")
            if 0 in ready and not os.read(0, 4096):
                raise CallerGone
            if socket in ready:
                try:
                    return self._socket.recv(MAX_LINE_BYTES)
                except OSError as error:
                    raise BridgeGone(f"the bridge broke off: {error}") from None


def greeting(script: str, environment: list[str], arguments: list[str]) -> bytes:
    """The environment as FastAGI would send it; the program's own arguments are agi_arg_1, agi_arg_2...

    What a caller's line break put into it is left there, for the bridge to see.
    """
    lines = [b"agi_network: yes", b"agi_network_script: " + script.encode()]
    for line in environment:
        if not line.startswith("agi_network") and not (arguments and line.startswith("agi_arg_")):
            lines.append(line.encode("utf-8", "surrogateescape"))
    for number, argument in enumerate(arguments, 1):
        lines.append(b"agi_arg_%d: " % number + os.fsencode(argument))
    clean = [line.translate(bytes.maketrans(b"\r\n\0", b"   ")) for line in lines]
    return b"\n".join(clean) + b"\n\n"


def relay(dialplan: Dialplan, script: str) -> None:
    """Lets the bridge speak to Asterisk until it closes; raises BridgeGone when it left its work undone."""
    bridge = Bridge(os.environ.get("VIPEX_AGI_SOCKET") or SOCKET)
    bridge.say(greeting(script, dialplan.environment, sys.argv[1:]))
    is_done = False
    try:
        while (line := bridge.line()) is not None:
            text = line.decode("utf-8", "surrogateescape")
            reply = dialplan.obey(text)
            is_done = is_done or words(text)[2:3] == ["VIPEX_STATUS"]
            bridge.say(reply.encode("utf-8", "surrogateescape"))
    except BridgeGone:
        # The status comes last: after it, it does not matter how the bridge ends.
        if not is_done:
            raise
    if not is_done:
        raise BridgeGone("the bridge closed before it was done")


def main(script: str) -> None:
    """Runs the script `lookup` or `notify` for the call that Asterisk starts it for."""
    try:
        dialplan = Dialplan()
        if not dialplan.environment:
            return
        try:
            relay(dialplan, script)
        except BridgeGone as fault:
            dialplan.command("SET VARIABLE", "VIPEX_STATUS", "UNAVAILABLE")
            dialplan.command("SET VARIABLE", "VIPEX_HTTP_CODE", "")
            dialplan.command("VERBOSE", f"vipex-{script}: {fault}")
    except CallerGone:
        return
    except ImportError as error:
        _without_pyst2(error)


def _without_pyst2(error: ImportError) -> None:
    """A wrong first line of the script must not stop the call either."""
    print(f"{sys.argv[0]}: {error}: let its first line name the bridge's Python", file=sys.stderr)
    while sys.stdin.buffer.readline().strip():
        pass
    for command in ('SET VARIABLE VIPEX_STATUS "UNAVAILABLE"', 'SET VARIABLE VIPEX_HTTP_CODE ""'):
        print(command, flush=True)
        sys.stdin.buffer.readline()
