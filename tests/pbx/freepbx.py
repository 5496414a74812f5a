"""The laboratory's Asterisk with the dialplan, telephones and CDR table of a FreePBX."""

from __future__ import annotations

import re
from pathlib import Path

from laboratory import HERE, SECOND_PORTS, Ports, endpoint_conf
from sql_servers import SqlServer
from sql_sources import WrittenToServer

TELEPHONES = (*(str(number) for number in (*range(201, 220), *range(232, 250))), "701")
TRUNKS = ("trunk3", "trunk4", "trunk5")
PICKUP_GROUPS = {
    **dict.fromkeys(("218", "219"), 2),
    **dict.fromkeys(("208", "209", "210"), 3),
    **dict.fromkeys(("201", "202", "203"), 4),
}
"""Who may take whose calls, where that is not everybody's; many calls are played at once."""

NUMBERS = """
  extensions: '^2\\d\\d$'
  devices: ['PJSIP/701']
"""
"""The bridge's `numbers` there."""


class Freepbx:
    """Has Asterisk go FreePBX's ways, and write its rows to that MariaDB."""

    def __init__(self, server: SqlServer, ports: Ports = SECOND_PORTS) -> None:
        self._ports = ports
        self._written = WrittenToServer(server)

    @property
    def sources(self) -> str:
        """The bridge's configuration of the CDR."""
        return self._written.sources

    def prepare(self, folder: Path) -> None:
        """Writes Asterisk's files."""
        self._written.prepare(folder)
        go_its_ways(folder / "etc", self._ports)


def go_its_ways(etc: Path, ports: Ports) -> None:
    """Puts FreePBX's dialplan, queues and mailboxes in place of the laboratory's, and its telephones beside.

    Raises ValueError when the laboratory's own dialplan names no AGI port.
    """
    agi = re.search(r"agi://127\.0\.0\.1:(\d+)", (etc / "extensions.conf").read_text("utf-8"))
    if agi is None:
        raise ValueError("the laboratory's dialplan names no AGI port")
    for source in (HERE / "etc-freepbx").iterdir():
        (etc / source.name).write_text(source.read_text("utf-8").replace("@AGI@", agi[1]), "utf-8")
    with (etc / "pjsip.conf").open("a", encoding="utf-8") as pjsip:
        for name in (*TRUNKS, *TELEPHONES):
            pjsip.write(endpoint_conf(ports, name, PICKUP_GROUPS.get(name, 1)))
