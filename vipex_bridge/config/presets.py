"""CDR and CEL presets: the table, its columns and the form of its times, per way of writing them.

Sources: call trees, section 8 (sqlite3_custom); the column lists of Asterisk's `cdr_csv.c`,
`cdr_adaptive_odbc.conf`, its alembic `cdr` table, `cel_odbc.c`, and FreePBX's `asteriskcdrdb`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

CDR_COLUMNS = (
    "start", "answer", "end", "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp",
    "lastdata", "duration", "billsec", "disposition", "accountcode", "peeraccount", "uniqueid",
    "linkedid", "sequence", "userfield", "ivr_digits", "custom_field", "pincode", "cost_location",
    "cc_call", "recordingfile", "did",
)  # fmt: skip
"""Every column that the bridge reads of a CDR; a source may lack the later ones."""

CEL_COLUMNS = (
    "eventtype", "eventtime", "cidname", "cidnum", "cidani", "cidrdnis", "ciddnid", "context", "exten",
    "channame", "appname", "appdata", "accountcode", "uniqueid", "linkedid", "userfield", "peer",
    "userdeftype", "eventextra",
)  # fmt: skip
"""Every column that the bridge reads of channel event logging."""

TEXT_TIME = "%Y-%m-%d %H:%M:%S"

_MASTER_CSV = (
    "accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata",
    "start", "answer", "end", "duration", "billsec", "disposition", "amaflags", "uniqueid",
    "userfield", "peeraccount", "linkedid", "sequence",
    "ivr_digits", "custom_field", "pincode", "cost_location", "cc_call", "recordingfile",
)  # fmt: skip
"""Up to `sequence` as `cdr_csv` writes them; the rest as well by the shipped `cdr_custom.conf`."""


@dataclass(frozen=True, slots=True)
class Preset:
    """What stands in the source unless the configuration says otherwise."""

    table: str
    columns: Mapping[str, str]
    """Our column name -> theirs; in a CSV file the column's number, counted from 1."""
    time_format: str = TEXT_TIME


_SHIPPED_CDR = tuple(name for name in CDR_COLUMNS if name != "did")
"""`did` is FreePBX's, whose dialplan sends a caller on to the number of an extension."""


def _same_names(names: tuple[str, ...]) -> Mapping[str, str]:
    return MappingProxyType({name: name for name in names})


_FREEPBX = {name: name for name in CDR_COLUMNS if name not in ("answer", "end")} | {"start": "calldate"}
_CSV = {name: str(number) for number, name in enumerate(_MASTER_CSV, 1) if name in CDR_COLUMNS}

CDR_PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "sqlite3_custom": Preset("cdr", _same_names(_SHIPPED_CDR)),
        "freepbx": Preset("cdr", MappingProxyType(_FREEPBX)),
        "adaptive_odbc": Preset("cdr", _same_names(_SHIPPED_CDR)),
        "pgsql": Preset("cdr", _same_names(_SHIPPED_CDR)),
        "csv": Preset("", MappingProxyType(_CSV)),
    }
)

_OF_SERVERS = {name: f"{name[:3]}_{name[3:]}" for name in CEL_COLUMNS if name.startswith("cid")}
CEL_PRESET = Preset("cel", _same_names(CEL_COLUMNS))
CEL_PRESET_OF_SERVERS = Preset(
    "cel", MappingProxyType({**_same_names(CEL_COLUMNS), **_OF_SERVERS, "eventextra": "extra"})
)
"""As `cel_odbc` and `cel_pgsql` name them, and FreePBX's table."""

_CEL_CSV = (
    "eventtype", "eventtime", "cidname", "cidnum", "cidani", "cidrdnis", "ciddnid", "context", "exten",
    "channame", "appname", "appdata", "amaflags", "accountcode", "uniqueid", "linkedid", "userfield",
    "peer", "userdeftype", "eventextra",
)  # fmt: skip
CEL_PRESET_OF_CSV = Preset(
    "cel", MappingProxyType({n: str(i) for i, n in enumerate(_CEL_CSV, 1) if n in CEL_COLUMNS})
)
"""As the shipped `cel_custom.conf` has `cel_custom` write them."""

PRESET_OF_SCHEME: Mapping[str, str] = MappingProxyType(
    {
        "sqlite": "sqlite3_custom",
        "mysql": "adaptive_odbc",
        "mariadb": "adaptive_odbc",
        "postgresql": "pgsql",
        "csv": "csv",
    }
)
"""The preset that a source's URL suggests when `preset` is not given."""
