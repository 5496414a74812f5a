"""A configuration of real files: includes, secrets, tables, and what is told when one is missing."""

# ruff: noqa: E501 - the messages stand here as they are printed

from __future__ import annotations

import os
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from vipex_bridge.calls.price import Times
from vipex_bridge.config.load import Loaded, load
from vipex_bridge.config.settings import TariffLine, User
from vipex_bridge.errors import ConfigurationError

EXAMPLE = Path(__file__).parents[2] / "etc" / "vipex-bridge" / "config.yaml"


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / "config.yaml"


def faults(main: Path, environ: dict[str, str] | None = None) -> list[str]:
    """The faults, with file names as seen from the configuration's folder."""
    with pytest.raises(ConfigurationError) as caught:
        load(main, environ or {})
    return [str(fault).replace(f"{main.parent}/", "") for fault in caught.value.faults]


def loaded(folder: Path, files: dict[str, str | bytes], environ: dict[str, str] | None = None) -> Loaded:
    return load(write(folder, files), environ or {})


def test_the_shipped_example_loads_on_any_machine() -> None:
    settings = load(EXAMPLE, {}).settings
    assert {client.kind for client in settings.clients.values()} == {"lookup", "notify", "call_end"}
    assert settings.ami is not None
    assert settings.cdr is not None


def test_every_optional_line_of_the_example_is_valid_when_it_is_taken_in(tmp_path: Path) -> None:
    """Each `#key: ...` line stands for a key there is: one at a time, none gives an unknown-key fault."""
    lines = EXAMPLE.read_text().splitlines()
    optional = [number for number, line in enumerate(lines) if line.lstrip().startswith("#") and ":" in line]
    tried = 0
    for number in optional:
        text = lines[number].lstrip().removeprefix("#")
        if text.startswith(" "):
            continue
        indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
        trial = [*lines[:number], indent + text, *lines[number + 1 :]]
        main = write(tmp_path, {"config.yaml": "\n".join(trial)})
        try:
            load(main, {})
        except ConfigurationError as error:
            assert not any("unknown" in fault.what or fault.path == "(syntax)" for fault in error.faults)
        tried += 1
    assert tried >= 15


def test_a_missing_configuration_file(tmp_path: Path) -> None:
    assert faults(tmp_path / "config.yaml") == [
        "config.yaml:1: (file): cannot be read: No such file or directory"
    ]


def test_a_folder_or_latin_2_text_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").mkdir()
    assert faults(tmp_path / "config.yaml") == ["config.yaml:1: (file): is no file"]
    main = write(tmp_path / "x", {"config.yaml": "node: x\n# árvíz".encode("iso8859-2")})
    assert faults(main) == ["config.yaml:1: (file): is not UTF-8 text (line 2)"]


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbfnode: pbx1\r\nretention: 1d\r\n"
    assert loaded(tmp_path, {"config.yaml": text}).settings.node == "pbx1"


def test_included_files_add_clients(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        {
            "config.yaml": "include: [clients.d/*.yaml, extra.yaml, clients.d/a.yaml]\n"
            "clients:\n  main: {kind: lookup, url: 'https://x/'}\n",
            "clients.d/b.yaml": "clients:\n  b: {kind: notify, url: 'https://x/'}\n",
            "clients.d/a.yaml": "clients:\n\n  a: {kind: notify, url: 'https://x/'}\n",
            "clients.d/.hidden.yaml": "not a configuration",
            "clients.d/empty.yaml": "",
            "extra.yaml": "clients:\n",
        },
    )
    assert list(config.settings.clients) == ["main", "a", "b"]
    names = [str(file.relative_to(tmp_path)) for file in config.settings.files]
    assert names == [
        "config.yaml",
        "clients.d/a.yaml",
        "clients.d/b.yaml",
        "clients.d/empty.yaml",
        "extra.yaml",
    ]
    assert config.place("clients.a.url") == (str(tmp_path / "clients.d/a.yaml"), 3)


def test_a_glob_that_matches_nothing_is_no_mistake_but_a_missing_file_is(tmp_path: Path) -> None:
    assert loaded(tmp_path, {"config.yaml": "include: clients.d/*.yaml"}).settings.clients == {}
    main = write(tmp_path, {"config.yaml": "include:\n  - x/*.yaml\n  - acme.yaml\n"})
    assert faults(main) == ["config.yaml:3: include[1]: acme.yaml does not exist"]


def test_faults_of_all_files_come_in_file_order(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        {
            "config.yaml": "include: ['*.yaml']\n"
            "numbers: {users: users.csv}\n"
            "clients:\n"
            "  crm: {kind: lookup, url: 'https://x/'}\n"
            "store: nowhere\n",
            "b.yaml": "clients: [\n",
            "a.yaml": "clients:\n"
            "  crm: {kind: lookup}\n"
            "  ok: {kind: notify, url: 'https://x/', secret: !env NOPE}\n"
            "node: x\n",
            "c.yaml": "clients: 7\n",
            "d.yaml": "[]\n",
            "users.csv": "extension,user_id\n200,1\n,2\n",
        },
    )
    assert faults(main) == [
        "config.yaml:5: store: is no database URL, such as sqlite:////var/lib/FILE.db",
        "a.yaml:2: clients.crm: this client is there already, at config.yaml:4",
        "a.yaml:3: clients.ok.secret: !env: the environment variable NOPE is not set",
        "a.yaml:4: node: an included file holds `clients:` and `tokens:`, nothing else",
        "b.yaml:2: (syntax): while parsing a flow node, expected the node content, but found '<stream end>'",
        "c.yaml:1: clients: must be a mapping (`key: value` lines)",
        "d.yaml:1: (file): must hold `key: value` lines",
        "users.csv:3: extension: is empty",
    ]


def test_secrets_from_files_environment_and_credentials(tmp_path: Path) -> None:
    """A relative path starts from the file it stands in; the trailing line break is not part of it."""
    config = loaded(
        tmp_path,
        {
            "config.yaml": "include: c/*.yaml\nhttp: {tokens: [!file token, !credential api, !env T]}\n",
            "token": "from-file\n",
            "credentials/api": "from-credential\r\n",
            "c/one.yaml": "clients:\n  a: {kind: notify, url: 'https://x/', body: !file body.j2, "
            "signing_secret: !file ../token}\n",
            "c/body.j2": '{"n": "{{ src }}"}\n',
        },
        {"T": "from-env", "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")},
    )
    assert config.settings.http is not None
    tokens = [token.reveal() for token in config.settings.http.tokens]
    assert tokens == ["from-file", "from-credential", "from-env"]
    client = config.settings.clients["a"]
    assert client.body == '{"n": "{{ src }}"}'
    assert client.signing_secrets[0].reveal() == "from-file"


def test_secrets_that_are_missing(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        {
            "config.yaml": "http:\n  tokens:\n    - !file empty\n    - !file .\n    - !credential none\n"
            "    - !credential ../empty\n    - !file latin\n",
            "empty": "\n",
            "latin": b"\xe1\n",
        },
    )
    assert faults(main, {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}) == [
        "config.yaml:3: http.tokens[0]: !file: empty is empty",
        f"config.yaml:4: http.tokens[1]: !file: {tmp_path} is no file",
        "config.yaml:5: http.tokens[2]: !credential: credentials/none cannot be read: No such file or directory",
        "config.yaml:6: http.tokens[3]: !credential: takes a credential's name, not a path",
        "config.yaml:7: http.tokens[4]: !file: latin is not UTF-8 text (line 1)",
    ]


def test_an_unreadable_secret(tmp_path: Path) -> None:
    main = write(tmp_path, {"config.yaml": "node: !file /proc/self/mem"})
    assert faults(main) == ["config.yaml:1: node: !file: /proc/self/mem cannot be read: Input/output error"]


def test_a_named_pipe_does_not_hang_the_start(tmp_path: Path) -> None:
    main = write(tmp_path, {"config.yaml": "node: !file pipe"})
    os.mkfifo(tmp_path / "pipe")
    assert faults(main) == ["config.yaml:1: node: !file: pipe is no file"]


def test_tls_files_start_from_the_file_they_stand_in(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        {
            "config.yaml": "include: c/*.yaml\n",
            "c/a.yaml": "clients:\n  a: {kind: lookup, url: 'https://x/', tls: {ca: ca.pem}}\n",
            "c/ca.pem": "x",
        },
    )
    assert config.settings.clients["a"].tls.ca == tmp_path / "c/ca.pem"


def test_users_and_tariff_from_csv(tmp_path: Path) -> None:
    """Columns in any order, comma or semicolon, blank lines and spaces: as spreadsheets write them."""
    config = loaded(
        tmp_path,
        {
            "config.yaml": "numbers: {users: users.csv, tariff: tariff.csv}\n",
            "users.csv": "\ufeffuser_id; extension ;user_number;cost_location\r\n6;1102;3619996001;12\r\n\r\nx7;251;;\r\n",
            "tariff.csv": "prefix,connection_fee,per_minute,increment,currency\n"
            "36,,10,,HUF\n"
            '3630,1.5,"21.25",1/1,HUF\n',
        },
    )
    numbers = config.settings.numbers
    assert numbers.users == {"1102": User("1102", 6, "3619996001", "12"), "251": User("251", "x7")}
    assert numbers.tariff == (
        TariffLine("36", Decimal(0), Decimal(10), 60, 60, "HUF"),
        TariffLine("3630", Decimal("1.5"), Decimal("21.25"), 1, 1, "HUF"),
    )
    assert [file.name for file in config.settings.files] == ["config.yaml", "users.csv", "tariff.csv"]


def test_lines_of_a_tariff_hold_at_their_times(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        {
            "config.yaml": "numbers: {tariff: tariff.csv}\n",
            "tariff.csv": "prefix,per_minute,valid_from,valid_until,days,hours\n"
            "36,10,,,,\n36,5,2026-12-01,2026-12-31,Mon-Fri,08:00-18:00\n36,2,,,fri-mon wed,22:00-6:00\n",
        },
    )
    assert [line.times for line in config.settings.numbers.tariff] == [
        None,
        Times(date(2026, 12, 1), date(2026, 12, 31), frozenset(range(5)), (480, 1080)),
        Times(days=frozenset({4, 5, 6, 0, 2}), minutes=(1320, 360)),
    ]


TABLES = [
    ("users", "", ["users.csv:1: (header): the file is empty: its first line must name the columns extension, user_id, user_number, cost_location"]),
    ("users", "200,6\n", ['users.csv:1: (header): unknown column "200": the first line names extension, user_id, user_number or cost_location']),
    ("users", "extension,userid\n", ['users.csv:1: (header): unknown column "userid", did you mean "user_id"?']),
    ("users", "user_id\n6\n", ["users.csv:1: (header): lacks the column extension"]),
    ("users", "extension,extension\n", ["users.csv:1: (header): names a column twice"]),
    (
        "users",
        "extension,user_id\n200,1,2\n201,1\n\n201,2\n",
        ["users.csv:2: (row): has 3 values for 2 columns", 'users.csv:5: extension: "201" stands here twice (first on line 3)'],
    ),
    ("users", 'extension\n"200\n', ["users.csv:2: (row): cannot be read as CSV: unexpected end of data"]),
    ("users", b"extension\n\xe1\n", ["users.csv:1: (file): is not UTF-8 text (line 2)"]),
    (
        "tariff",
        "prefix,per_minute,increment\nabc,1,\n36,ten,\n37,1,60\n38,-1,\n39,,\n40,1,0/1\n",
        [
            'tariff.csv:2: prefix: "abc" is no number prefix: digits only',
            'tariff.csv:3: per_minute: "ten" is no amount, such as 12.5',
            'tariff.csv:4: increment: "60" is no increment: write "60/60" or "1/1"',
            'tariff.csv:5: per_minute: "-1" is no amount, such as 12.5',
            "tariff.csv:6: per_minute: is empty",
            'tariff.csv:7: increment: "0/1" is no increment: write "60/60" or "1/1"',
        ],
    ),
    (
        "tariff",
        "prefix,per_minute,valid_from,valid_until,days,hours\n"
        "36,1,1.12.2026,,,\n36,1,2026-12-02,2026-12-01,,\n36,1,,,mon-day,\n36,1,,,,8-18\n36,1,,,,10:00-10:00\n"
        "36,2,,,sat sun,\n36,3,,,sat sun,\n",
        [
            'tariff.csv:2: valid_from: "1.12.2026" is no day, such as 2026-11-24',
            "tariff.csv:3: valid_until: is before valid_from",
            'tariff.csv:4: days: "mon-day" is no day of the week: write mon-fri, or sat sun',
            'tariff.csv:5: hours: "8-18" are no hours, such as 08:00-18:00 or 22:00-06:00',
            'tariff.csv:6: hours: "10:00-10:00" are no hours, such as 08:00-18:00 or 22:00-06:00',
            'tariff.csv:8: prefix: "36" stands here twice (first on line 7)',
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("table", "content", "expected"), TABLES)
def test_a_mistake_in_a_table_is_told_with_the_tables_own_line(
    tmp_path: Path, table: str, content: str | bytes, expected: list[str]
) -> None:
    main = write(tmp_path, {"config.yaml": f"numbers: {{{table}: {table}.csv}}\n", f"{table}.csv": content})
    assert faults(main) == expected
