"""The whole house: Asterisk, the bridge and a receiving server, all real, all on loopback."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from bridge_process import BridgeProcess
from house_store import new_store
from laboratory import DEFAULT_PORTS, SECRET, Asterisk, Ports

from vipex_bridge.receive.server import Receiver, parse_answer
from vipex_bridge.receive.show import ReceivedRequest

ROUTE = '{"route": {"branch": "vip"}, "agent": {"extension": "251"}}'

CONFIGURATION = """
node: laboratory
timezone: {zone}
asterisk:
  ami: {{host: 127.0.0.1, port: {ami_port}, username: vipex, secret: {secret}}}
  agi: {{listen: '127.0.0.1:{ports.agi}', socket: {socket}}}
{sources}  recordings: {{root: {recordings}, wait: 5s}}
numbers:
  trunks: ['PJSIP/trunk*']
{numbers}  users:
    - {{extension: '1102', user_id: 6, user_number: '3619996102', cost_location: '12'}}
    - {{extension: '251', user_id: 7, user_number: '3619996251'}}
  tariff: tariff.csv
store: {store}
clients:
"""

SOURCES = """
  cdr: {{source: 'sqlite:///{cdr}', poll: 250ms, settle: 1s}}
  cel: {{source: 'sqlite:///{cdr}', poll: 250ms}}
"""

NUMBERS = """
  extensions: '^\\d{3,4}$'
"""

CLIENTS = """
  crm-route:
    kind: lookup
    url: {url}/route
    timeout: 2s
    response:
      set:
        VIPEX_BRANCH: route.branch
        VIPEX_EXTEN: {{path: agent.extension, pattern: '\\d{{2,4}}', default: '200'}}
  crm-calls:
    kind: notify
    on: [arrival, ringing, answer, hangup]
    url: {url}/calls
    parameters: [id, start_time, src, dst, exten, ivr_digits, cc_call, custom_field]
    headers: {{X-Client: crm-calls}}
  crm-menu:
    kind: notify
    url: {url}/menu
    method: GET
    query: 'src={{{{ src }}}}&label={{{{ custom_field }}}}&point={{{{ args.point }}}}&event={{{{ event }}}}'
  billing:
    kind: call_end
    url: {url}/cdr
    cc_call: queue
    retry: [1s, 1s, 1s]
"""

MORE_CLIENTS = """
  crm-events:
    kind: notify
    on: [arrival, ringing, answer, hangup]
    url: {url}/events
    body: '{{"event": "{{{{ event }}}}", "id": {{{{ id }}}}, "exten": {{{{ exten | tojson }}}}}}'
    basic_auth: {{username: vipex, password: s3cret-password}}
    api_key: {{in: header, name: X-Api-Key, value: s3cret-key}}
  flags:
    kind: call_end
    url: {url}/cdr-all
    parallel_legs: all
"""

TARIFF = "prefix,connection_fee,per_minute,increment,currency\n36,1.00,5,1/1,HUF\n"


class House:
    """Everything together; a context manager. `on_request` sees each request as it comes.

    `ami_port` is where the bridge looks for the AMI, if not at Asterisk's own port. `launched_by` gives the
    command that starts the bridge, once Asterisk is up; `asterisk_runs_as` is Asterisk's user and group.
    `prepare` may change Asterisk's files, and `sources` is where the bridge finds CDR and CEL.
    `numbers` says what extensions look like; `asterisk_root` is where another Asterisk is than the usual one;
    `new_store` gives the URL of an empty store, and a folder to use for it.
    """

    def __init__(
        self,
        ports: Ports = DEFAULT_PORTS,
        on_request: Callable[[ReceivedRequest], None] = lambda request: None,
        clients: str = CLIENTS + MORE_CLIENTS,
        ami_port: int | None = None,
        launched_by: Callable[[House], list[str]] = lambda house: [],
        asterisk_runs_as: tuple[int, int] | None = None,
        prepare: Callable[[Path], None] = lambda folder: None,
        sources: str = SOURCES,
        numbers: str = NUMBERS,
        asterisk_root: Path | None = None,
        new_store: Callable[[Path], AbstractContextManager[str]] = new_store,
    ) -> None:
        self._launched_by = launched_by
        self._open = ExitStack()
        folder = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="vipex-house-")))
        folder.chmod(0o755)
        path, answer = parse_answer(f"/route={ROUTE}")
        self.answers = {path: answer}
        """What the receiver answers at a path; may be changed at any time."""
        self.receiver = Receiver(answers=self.answers, on_request=on_request)
        self.asterisk = Asterisk(ports, asterisk_runs_as, prepare, asterisk_root)
        (folder / "tariff.csv").write_text(TARIFF)
        self.state = folder / "state"
        """Where the bridge's store is, if it is a file."""
        self.state.mkdir()
        configuration = (CONFIGURATION + clients).format(
            ports=ports,
            sources=sources.strip("\n").format(cdr=self.asterisk.cdr_database) + "\n",
            numbers=numbers.lstrip("\n"),
            zone=self.asterisk.time_zone,
            ami_port=ami_port or ports.ami,
            secret=SECRET,
            store=self._open.enter_context(new_store(self.state)),
            socket=self.asterisk.agi_socket,
            recordings=self.asterisk.recordings,
            url=self.receiver.url,
        )
        self.bridge = BridgeProcess(folder, configuration)

    def __enter__(self) -> Self:
        try:
            self._open.enter_context(self.receiver)
            self._open.enter_context(self.asterisk)
            self.bridge.launcher = self._launched_by(self)
            self._open.enter_context(self.bridge)
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def received(self, path: str, since: int = 0) -> list[dict[str, Any]]:
        """The JSON bodies that came to a path, after the first `since` requests of all.

        A repeat is left out, as a receiver that honours `Idempotency-Key` would.
        """
        requests = self.receiver.requests_received()[since:]
        once = {r.header("Idempotency-Key"): r for r in reversed(requests) if r.path == path}
        return [json.loads(request.body) for request in reversed(once.values())]

    def documents(
        self, count: int, since: int = 0, path: str = "/cdr", timeout_s: float = 40.0
    ) -> list[dict[str, Any]]:
        """Waits for so many end-of-call documents."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            seen = len(self.receiver.requests_received())
            found = self.received(path, since)
            if len(found) >= count:
                return found
            with suppress(TimeoutError):
                self.receiver.wait_for(seen + 1, 1.0)
        raise AssertionError(
            f"{len(self.received(path, since))} of {count} documents; log:\n{self.bridge.log()}"
        )
