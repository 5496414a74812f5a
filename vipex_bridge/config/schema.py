"""The configuration's keys: which there are, of what type, with which default (contract, section 2).

The clients' keys are in `client_schema`; every check of a single value is in `values`.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from vipex_bridge.config import patterns, presets, tables, values, yaml_reader
from vipex_bridge.config.settings import LOOPBACK, Secret, User, UsersQuery
from vipex_bridge.errors import Fault

SERVER_SCHEMES = ("mysql", "mariadb", "postgresql")
SOURCE_SCHEMES = ("sqlite", *SERVER_SCHEMES, "csv")
LEAST_RETENTION_S = 2 * 86_400.0
"""With a CDR source on a server: after a restart a day's rows come again, and must be known."""


def one_or_list(value: object) -> object:
    """A list as it is; a single value as a list of it."""
    return value if isinstance(value, list) else [value]


def nothing_as_empty(value: object) -> object:
    """A section whose lines are all commented out is an empty one."""
    return {} if value is None else value


Text = Annotated[str, PlainValidator(values.text)]
Line = Annotated[str, PlainValidator(values.line)]
SecretText = Annotated[Secret, PlainValidator(values.secret)]
SigningSecret = Annotated[Secret, PlainValidator(values.signing_secret)]
Flag = Annotated[bool, PlainValidator(values.flag)]
Seconds = Annotated[float, PlainValidator(values.duration)]
SomeSeconds = Annotated[float, PlainValidator(values.positive_duration)]
Size = Annotated[int, PlainValidator(values.size)]
Listen = Annotated[tuple[str, int], PlainValidator(values.listen)]
Network = Annotated[IPv4Network | IPv6Network, PlainValidator(values.network)]
Url = Annotated[str, PlainValidator(values.url)]
ClientUrl = Annotated[str, PlainValidator(values.client_url)]
FilePath = Annotated[Path, PlainValidator(values.path)]
SocketPath = Annotated[Path, PlainValidator(values.socket_path)]
ExistingFile = Annotated[Path, PlainValidator(values.existing_file)]
Regex = Annotated[re.Pattern[str], PlainValidator(patterns.pattern)]
ExtensionRegex = Annotated[re.Pattern[str], PlainValidator(patterns.extension_pattern)]
Zone = Annotated[ZoneInfo, PlainValidator(values.zone)]
Globs = Annotated[tuple[Line, ...], BeforeValidator(one_or_list)]
CdrColumn = Annotated[str, PlainValidator(values.known("column", presets.CDR_COLUMNS))]
CelColumn = Annotated[str, PlainValidator(values.known("column", presets.CEL_COLUMNS))]
SourceUrl = Annotated[
    Secret,
    PlainValidator(values.database_url(SOURCE_SCHEMES, f"must begin with {values.any_of(SOURCE_SCHEMES)}")),
]
StoreUrl = Annotated[
    Secret,
    PlainValidator(
        values.database_url(
            ("sqlite", "postgresql"),
            "must begin with sqlite or postgresql: these can keep what is to be sent",
        )
    ),
]


class Section(BaseModel):
    """A mapping that knows its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Ami(Section):
    host: Line = "127.0.0.1"
    port: Annotated[int, PlainValidator(values.whole(1, 65535))] = 5038
    username: Line
    secret: SecretText
    tls: Flag = False


class Agi(Section):
    listen: Listen | None = ("127.0.0.1", 4573)
    socket: SocketPath | None = Path("/run/vipex-bridge/agi.sock")
    allow: Annotated[tuple[Network, ...], BeforeValidator(one_or_list)] = LOOPBACK

    @field_validator("allow")
    @classmethod
    def _somebody(
        cls, networks: tuple[IPv4Network | IPv6Network, ...]
    ) -> tuple[IPv4Network | IPv6Network, ...]:
        if not networks:
            raise ValueError("is empty, so nobody could connect: write `listen: null` for no port at all")
        return networks


class Cdr(Section):
    source: SourceUrl
    preset: Annotated[str, PlainValidator(values.choice(*presets.CDR_PRESETS))] | None = None
    table: Line | None = None
    columns: dict[CdrColumn, Line | None] = Field(default_factory=dict)
    time_format: Line | None = None
    poll: SomeSeconds = 1.0
    settle: Seconds = 3.0

    @field_validator("preset")
    @classmethod
    def _csv_for_csv(cls, preset: str | None, info: ValidationInfo) -> str | None:
        is_csv = info.data.get("source", "").startswith("csv:")
        if preset and "source" in info.data and (preset == "csv") != is_csv:
            raise ValueError("the preset csv goes with a csv:// source, the others with a database")
        return preset


class Cel(Section):
    source: SourceUrl
    table: Line = presets.CEL_PRESET.table
    columns: dict[CelColumn, Line | None] = Field(default_factory=dict)
    time_format: Line = presets.CEL_PRESET.time_format
    poll: SomeSeconds = 1.0


class Recordings(Section):
    root: FilePath
    wait: Seconds = 30.0
    max_size: Size = 100_000_000
    when: Annotated[str, PlainValidator(values.choice("together", "separate"))] = "together"
    converted: Annotated[str, PlainValidator(values.ending)] | None = None


class Asterisk(Section):
    ami: Ami | None = None
    agi: Agi | None = Agi()
    cdr: Cdr | None = None
    cel: Cel | None = None
    recordings: Recordings | None = None


class UserEntry(Section):
    """A user written in place."""

    extension: Line
    user_id: Line | None = None
    user_number: Line | None = None
    cost_location: Line | None = None


class Nested(ValueError):
    """Faults that a validation inside a value found; `model` is what it was validated against."""

    def __init__(self, model: object, error: ValidationError) -> None:
        super().__init__(str(error))
        self.model = model
        self.error = error


_USER_LIST = TypeAdapter(list[UserEntry])


class _Query(Section):
    """Users in a database."""

    sql: Line
    source: SourceUrl | None = None
    every: SomeSeconds = 300.0


def _users(value: object) -> tables.Users:
    """Users from a file's name, a query, or the list in place."""
    if isinstance(value, str):
        return read_users(values.path(value))
    if isinstance(value, dict):
        try:
            query = _Query.model_validate(value)
        except ValidationError as error:
            raise Nested(_Query, error) from None
        return tables.Users(query=UsersQuery(query.source or Secret(""), query.sql, query.every))
    if not isinstance(value, list):
        what = values.type_of(value)
        raise ValueError(f"must be a file's name, a list of users, or sql and source, not {what}")  # noqa: TRY004
    try:
        entries = _USER_LIST.validate_python(value)
    except ValidationError as error:
        raise Nested(list[UserEntry], error) from None
    return tables.Users(_by_extension(entries))


def read_users(file: Path) -> tables.Users:
    """The users of a CSV or YAML file. Raises TableError with every fault of it."""
    if file.suffix.lower() not in (".yaml", ".yml"):
        return tables.read_users(file)
    from vipex_bridge.config import wording  # which knows this module's models

    source = yaml_reader.read(file, {})
    entries, faults = [], list(source.faults)
    for extension, data in source.data.items():
        place = source.places.get((extension,), (str(file), 1))
        try:
            said = data if isinstance(data, dict) else {"user_id": data}
            entries.append(UserEntry.model_validate({**said, "extension": extension}))
        except ValidationError as error:
            for inside, what in wording.faults_of(error, UserEntry):
                path = (extension, *inside)
                where = source.places.get(path, place)
                faults.append(Fault(*where, yaml_reader.dotted(path), values.one_line(str(what))))
    if faults:
        raise tables.TableError(faults)
    return tables.Users(_by_extension(entries), file)


def _by_extension(entries: list[UserEntry]) -> dict[str, User]:
    rows: dict[str, User] = {}
    for entry in entries:
        if entry.extension in rows:
            raise ValueError(f"the extension {values.ascii_quoted(entry.extension)} stands here twice")
        ident = tables.user_id(entry.user_id or "")
        rows[entry.extension] = User(entry.extension, ident, entry.user_number, entry.cost_location)
    return rows


def _tariff(value: object) -> tables.Tariff:
    return tables.read_tariff(values.path(value))


class Numbers(Section):
    trunks: Globs = ()
    extensions: ExtensionRegex = re.compile(r"^\d{2,4}$")
    devices: Globs = ()
    users: Annotated[tables.Users, PlainValidator(_users)] = tables.Users()
    country: Annotated[str, PlainValidator(values.country)] | None = None
    forward_is_answer: Flag = True
    tariff: Annotated[tables.Tariff, PlainValidator(_tariff)] = tables.Tariff()


class Http(Section):
    listen: Listen = ("127.0.0.1", 8080)
    tokens: Annotated[tuple[SecretText, ...], BeforeValidator(one_or_list)] = ()
    recordings_url: Url | None = None


class Privacy(Section):
    mask_digits: Flag = False
    mask_numbers_in_logs: Flag = False
    drop_payload_after: SomeSeconds | None = None


class Document(Section):
    """The whole file. Clients are checked one by one (`client_schema`)."""

    include: Annotated[tuple[Line, ...], BeforeValidator(one_or_list)] = ()
    node: Line | None = None
    timezone: Zone | None = None
    asterisk: Annotated[Asterisk, BeforeValidator(nothing_as_empty)] = Asterisk()
    numbers: Annotated[Numbers, BeforeValidator(nothing_as_empty)] = Numbers()
    store: StoreUrl = Secret("sqlite:////var/lib/vipex-bridge/state.db")
    retention: SomeSeconds = 30 * 86400.0
    privacy: Annotated[Privacy, BeforeValidator(nothing_as_empty)] = Privacy()
    http: Http | None = None
    clients: Annotated[dict[str, Any], BeforeValidator(nothing_as_empty)] = Field(default_factory=dict)
