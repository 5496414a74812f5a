"""The bridge's own configuration for the Asterisk that was found, with its comments. Pure."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path

from vipex_bridge.setup.asterisk_side import AmiUser
from vipex_bridge.setup.plan import Table


@dataclass(frozen=True, slots=True)
class Choices:
    """What the configuration says; paths are this machine's."""

    asterisk: str
    """What was found, in words."""
    ami: AmiUser
    agi_listen: str
    agi_socket: Path
    cdr: Table | None
    cel: Table | None
    recordings: Path
    zone: str | None
    trunks: tuple[str, ...]
    extension_lengths: tuple[int, ...]
    store: Path
    is_freepbx: bool


def text_of(choices: Choices) -> str:
    """The whole file."""
    ami = choices.ami
    parts = [
        _HEAD.format(asterisk=choices.asterisk),
        _key(
            "timezone",
            choices.zone,
            "Time zone of the times in CDR and CEL, and of those that are sent. Default: the machine's.",
        ),
        _ASTERISK.format(
            host=_quoted(ami.host),
            port=ami.port,
            username=_quoted(ami.username),
            listen=_quoted(choices.agi_listen),
            socket=_quoted(str(choices.agi_socket)),
        ),
        _source("cdr", choices.cdr, "sqlite3_custom", _CDR),
        _source("cel", choices.cel, None, _CEL),
        _RECORDINGS.format(root=_quoted(str(choices.recordings))),
        _numbers(choices),
        _REST.format(store=_quoted(f"sqlite:///{choices.store}")),
    ]
    return "\n".join(parts)


def _quoted(text: str) -> str:
    """A YAML scalar that is this text whatever is in it."""
    return "'" + text.replace("'", "''") + "'"


def _key(key: str, value: str | None, comment: str) -> str:
    return f"# {comment}\n" + (f"{key}: {value}\n" if value else f"#{key}: Europe/Budapest\n")


def _source(section: str, table: Table | None, preset: str | None, comment: str) -> str:
    lines = [f"  # {line}" for line in comment.splitlines()]
    if table is None:
        return "\n".join([*lines, f"  #{section}:", "  #  source: sqlite:////var/log/asterisk/master.db", ""])
    lines += [f"  {section}:", f"    source: {_quoted(f'sqlite:///{table.file}')}"]
    if preset is not None:
        lines.append(f"    preset: {preset}")
    if table.name != section:
        lines.append(f"    table: {_quoted(table.name)}")
    if table.columns:
        pairs = (f"{ours}: {_quoted(theirs) if theirs else 'null'}" for ours, theirs in table.columns.items())
        lines.append(f"    columns: {{{', '.join(pairs)}}}")
    if table.time_format is not None:
        lines.append(f"    time_format: {_quoted(table.time_format)}")
    return "\n".join([*lines, ""])


def _numbers(choices: Choices) -> str:
    trunks = ", ".join(_quoted(glob.escape(trunk)) for trunk in choices.trunks)
    lengths = choices.extension_lengths
    shape = rf"^\d{{{lengths[0]},{lengths[-1]}}}$" if lengths else r"^\d{2,4}$"
    return _NUMBERS.format(
        trunks=f"trunks: [{trunks}]" if trunks else "#trunks: ['PJSIP/trunk*']", extensions=_quoted(shape)
    ) + (_DEVICES if choices.is_freepbx else "")


_HEAD = """\
# vipex-bridge: written by `vipex-bridge init` for {asterisk}
#
# Check it after each change:   vipex-bridge check
# Try all that it names:        vipex-bridge doctor
# and have it read again:       systemctl reload vipex-bridge
#
# Every key there is, with its explanation, is in config.example.yaml beside this file.

# Clients, for instance one file per customer. Each holds `clients:`, and `tokens:` for the API if wanted.
include: clients.d/*.yaml
"""

_ASTERISK = """\
asterisk:
  # The manager interface. Its user is in Asterisk's manager.d/vipex.conf, with the same secret.
  ami:
    host: {host}
    port: {port}
    username: {username}
    secret: !file secrets/ami-secret

  # Where AGI() in the dialplan reaches the bridge.
  agi:
    listen: {listen}
    socket: {socket}
"""

_CDR = "Where Asterisk writes its call detail records: needed by call_end clients."
_CEL = "Channel event logging: makes calls exact even when the bridge was away."

_RECORDINGS = """\
  # Where the recordings are. Without this section none is sent.
  recordings:
    root: {root}
"""

_NUMBERS = """\
numbers:
  # Channels that are outside lines, without their tail such as -0000abcd. Globs. Look whether these are all.
  {trunks}

  # What an extension number looks like: a regular expression.
  extensions: {extensions}
"""

_DEVICES = """
  # FreePBX in device-and-user mode: the devices, which bear other names than the extensions at them.
  #devices: ['PJSIP/7??']
"""

_REST = """\
# The bridge's memory: calls, and what is still to be sent.
store: {store}

# How long calls and deliveries are kept there.
retention: 30d

# Whom to tell. One of each kind, to begin with:
#clients:
#  crm-route:                       # the dialplan asks: Gosub(vipex-lookup,s,1(crm-route))
#    kind: lookup
#    url: https://crm.example.com/route
#    response: {{set: {{VIPEX_EXTEN: agent.extension}}}}
#  crm-ring:                        # told while an inbound call goes on
#    kind: notify
#    on: [ringing, answer, hangup]
#    url: https://crm.example.com/calls
#  billing:                         # told of every finished outside call
#    kind: call_end
#    url: https://billing.example.com/cdr
"""
