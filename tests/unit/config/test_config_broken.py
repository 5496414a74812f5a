"""Every mistake in a configuration is told as FILE:LINE: path.to.key: what is wrong, all at once."""

# ruff: noqa: E501 - the messages stand here as they are printed

from __future__ import annotations

from pathlib import Path

import pytest

from vipex_bridge.config.load import load_text
from vipex_bridge.errors import ConfigurationError

LOOKUP = "clients:\n  crm:\n    kind: lookup\n    url: https://crm.example/r\n"
NOTIFY = "clients:\n  crm:\n    kind: notify\n    url: https://crm.example/n\n"
CALL_END = "clients:\n  crm:\n    kind: call_end\n    url: https://crm.example/e\n"
POST = LOOKUP + "    method: POST\n"
NAMELESS = "a client's name is letters, digits, - _ and ., so that the dialplan can write it"


def faults(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_text(text, Path("c.yaml"), environ or {})
    return [str(fault) for fault in caught.value.faults]


SYNTAX = [
    ("a: b: c", ["c.yaml:1: (syntax): mapping values are not allowed here"]),
    (
        "node: x\nasterisk: {ami: [",
        [
            "c.yaml:2: (syntax): while parsing a flow node, expected the node content, but found '<stream end>'"
        ],
    ),
    (
        "node: 'x\n",
        ["c.yaml:2: (syntax): while scanning a quoted scalar, found unexpected end of stream"],
    ),
    (
        "node: x\n\tstore: y\n",
        [
            "c.yaml:2: (syntax): while scanning for the next token, "
            "found character '\\t' that cannot start any token"
        ],
    ),
    (
        "node: a\n---\nnode: b\n",
        ["c.yaml:2: (syntax): expected a single document in the stream, but found another document"],
    ),
    (
        "node: x\nstore: \x07",
        ["c.yaml:2: (syntax): a character that YAML does not allow: special characters are not allowed"],
    ),
    ('node: "\\UFFFFFFFF"', ["c.yaml:1: (syntax): an escape or a number that is out of range"]),
    ("a: " + "[" * 50 + "]" * 50, ["c.yaml:1: (syntax): nested too deeply"]),
    ("node: *gone", ["c.yaml:1: (syntax): found undefined alias 'gone'"]),
    ("- a\n- b\n", ["c.yaml:1: (file): must hold `key: value` lines"]),
    ("just text", ["c.yaml:1: (file): must hold `key: value` lines"]),
    ("include: &x [*x]", ["c.yaml:1: include[0]: an alias refers to the value that it stands in"]),
    ("? [a, b]\n: c\n", ["c.yaml:1: (file): a key must be plain text"]),
    ("<<: 5\n", ["c.yaml:1: (file): << takes the alias of a mapping, such as <<: *other"]),
    (
        "node: !python/object x",
        ['c.yaml:1: node: "!python/object": there are only !env, !file and !credential'],
    ),
    ("node: !!binary aGVsbG8=", ['c.yaml:1: node: "!!binary": there are only !env, !file and !credential']),
    ('node: "a\\0b"', ["c.yaml:1: node: holds a NUL character"]),
    (
        'node: "\\uD800"',
        ["c.yaml:1: node: holds half a character (a lone surrogate, or bytes that are not UTF-8)"],
    ),
]

SECRETS = [
    ("node: !env NOT_THERE", ["c.yaml:1: node: !env: the environment variable NOT_THERE is not set"]),
    ("node: !env EMPTY", ["c.yaml:1: node: !env: EMPTY is empty"]),
    ("node: !env [A]", ["c.yaml:1: node: !env takes one name"]),
    (
        "http:\n  tokens:\n    - !file no-such-token\n",
        ["c.yaml:3: http.tokens[0]: !file: no-such-token cannot be read: No such file or directory"],
    ),
    (
        "node: !credential ami",
        [
            "c.yaml:1: node: !credential: $CREDENTIALS_DIRECTORY is not set: "
            "systemd sets it, with LoadCredential=ami:PATH in the unit"
        ],
    ),
    ("node: !env SECRET_LINES", ["c.yaml:1: node: holds a line break or another control character"]),
    (
        NOTIFY + "    timeout: !env HIDDEN\n",
        [
            "c.yaml:5: clients.crm.timeout: ******** is no duration: write 500ms, 10s, 5m, 2h, 1d or plain seconds"
        ],
    ),
]

SECTIONS = [
    ("nodes: x", ['c.yaml:1: nodes: unknown key, did you mean "node"?']),
    (
        "node: x\nzzz: 1\n",
        [
            "c.yaml:2: zzz: unknown key: there are include, node, timezone, asterisk, numbers, store, retention, privacy, http, clients"
        ],
    ),
    ("node: x\nnode: y\n", ["c.yaml:2: node: the key stands here twice (first on line 1)"]),
    ("node: [a]", ["c.yaml:1: node: must be text, not a list"]),
    ("node: true", ["c.yaml:1: node: must be text, not true or false"]),
    ("node: ''", ["c.yaml:1: node: is empty"]),
    (
        "timezone: Europe/Budapst",
        ['c.yaml:1: timezone: "Europe/Budapst" is no time zone, did you mean "Europe/Budapest"?'],
    ),
    (
        "timezone: /etc/localtime",
        ['c.yaml:1: timezone: "/etc/localtime" is no time zone, write it like Europe/Budapest'],
    ),
    ("asterisk: 5", ["c.yaml:1: asterisk: must be a mapping (`key: value` lines), not a number"]),
    (
        "asterisk:\n  ami: {prot: 1, port: 70000, tls: yes, host: ''}\n",
        [
            "c.yaml:2: asterisk.ami.host: is empty",
            "c.yaml:2: asterisk.ami.port: must be from 1 to 65535, not 70000",
            "c.yaml:2: asterisk.ami.username: is missing",
            "c.yaml:2: asterisk.ami.secret: is missing",
            'c.yaml:2: asterisk.ami.tls: must be true or false, not the text "yes"',
            'c.yaml:2: asterisk.ami.prot: unknown key, did you mean "port"?',
        ],
    ),
    (
        "asterisk:\n  cdr:\n    source: csv:///x.csv\n    columns:\n      start: foo\n      end: 0\n      src: 7\n"
        "  cel: {source: 'csv:///y.csv', columns: {peer: -1, exten: null}}\n",
        [
            'c.yaml:5: asterisk.cdr.columns.start: "foo" is no column of a CSV file: these are numbers, counted from 1',
            'c.yaml:6: asterisk.cdr.columns.end: "0" is no column of a CSV file: these are numbers, counted from 1',
            'c.yaml:8: asterisk.cel.columns.peer: "-1" is no column of a CSV file: these are numbers, counted from 1',
        ],
    ),
    (
        "asterisk:\n  agi:\n    listen: 4573\n    socket: /" + "x" * 107 + "\n",
        [
            "c.yaml:3: asterisk.agi.listen: 4573 is no HOST:PORT, such as 127.0.0.1:4573",
            "c.yaml:4: asterisk.agi.socket: is longer than a Unix socket's path may be (107 bytes)",
        ],
    ),
    (
        "asterisk:\n  agi:\n    allow: [10.1.0.0/33, pbx2, 7, '']\n",
        [
            'c.yaml:3: asterisk.agi.allow[0]: "10.1.0.0/33" is no network: write 10.1.0.0/16, or one address',
            'c.yaml:3: asterisk.agi.allow[1]: "pbx2" is no network: write 10.1.0.0/16, or one address',
            "c.yaml:3: asterisk.agi.allow[2]: 7 is no network: write 10.1.0.0/16, or one address",
            "c.yaml:3: asterisk.agi.allow[3]: is empty",
        ],
    ),
    (
        "asterisk:\n  agi:\n    allow: []\n",
        [
            "c.yaml:3: asterisk.agi.allow: is empty, so nobody could connect: write `listen: null` for no port at all"
        ],
    ),
    (
        "asterisk:\n  cdr: {source: 'oracle://x', preset: sqlite_custom, poll: 0, settle: -1s}\n",
        [
            "c.yaml:2: asterisk.cdr.source: must begin with sqlite, mysql, mariadb, postgresql or csv",
            "c.yaml:2: asterisk.cdr.preset: must be sqlite3_custom, freepbx, adaptive_odbc, pgsql or csv, "
            'not "sqlite_custom", did you mean "sqlite3_custom"?',
            "c.yaml:2: asterisk.cdr.poll: must be longer than 0",
            "c.yaml:2: asterisk.cdr.settle: must not be negative",
        ],
    ),
    (
        "asterisk:\n  cdr:\n    source: sqlite:///master.db\n    columns:\n      uniqid: a\n      src: ''\n",
        [
            "c.yaml:3: asterisk.cdr.source: must name the file by its whole path: sqlite:////path/to/file",
            'c.yaml:5: asterisk.cdr.columns.uniqid: unknown column "uniqid", did you mean "uniqueid"?',
            "c.yaml:6: asterisk.cdr.columns.src: is empty",
        ],
    ),
    (
        "asterisk:\n  cdr: {source: 'sqlite:////m.db', preset: csv}\n",
        [
            "c.yaml:2: asterisk.cdr.preset: the preset csv goes with a csv:// source, the others with a database"
        ],
    ),
    ("asterisk:\n  cdr: {}\n", ["c.yaml:2: asterisk.cdr.source: is missing"]),
    (
        "asterisk:\n  cel: {source: master.db, zebra: 1}\n",
        [
            "c.yaml:2: asterisk.cel.source: is no database URL, such as sqlite:////var/lib/FILE.db",
            "c.yaml:2: asterisk.cel.zebra: unknown key: there are source, table, columns, time_format, poll",
        ],
    ),
    (
        "asterisk:\n  recordings: {root: /r, when: apart, converted: a/b.mp3}\n",
        [
            'c.yaml:2: asterisk.recordings.when: must be together or separate, not "apart", did you mean "separate"?',
            'c.yaml:2: asterisk.recordings.converted: "a/b.mp3" is no file ending, such as mp3',
        ],
    ),
    (
        "asterisk:\n  recordings: {max_size: 10 apples, wait: soon}\n",
        [
            "c.yaml:2: asterisk.recordings.root: is missing",
            'c.yaml:2: asterisk.recordings.wait: "soon" is no duration: '
            "write 500ms, 10s, 5m, 2h, 1d or plain seconds",
            'c.yaml:2: asterisk.recordings.max_size: "10 apples" is no size: write 10MB, 64KiB or plain bytes',
        ],
    ),
    (
        "store: mysql://a:pw@b/c",
        ["c.yaml:1: store: must begin with sqlite or postgresql: these can keep what is to be sent"],
    ),
    ("store: 'sqlite://'", ["c.yaml:1: store: names no file: write sqlite:////path/to/file"]),
    ("retention: 0", ["c.yaml:1: retention: must be longer than 0"]),
    (
        "retention: 1d\nasterisk:\n  cdr: {source: 'mysql://u:p@h/d'}\n",
        ["c.yaml:1: retention: must be 2d or more with a CDR source on a server"],
    ),
    ("retention:", ["c.yaml:1: retention: has no value"]),
    ("privacy: on", ["c.yaml:1: privacy: must be a mapping (`key: value` lines), not text"]),
    (
        "privacy:\n  mask_digits: yes\n  mask_numbers: true\n  drop_payload_after: 0\n",
        [
            'c.yaml:2: privacy.mask_digits: must be true or false, not the text "yes"',
            'c.yaml:3: privacy.mask_numbers: unknown key, did you mean "mask_numbers_in_logs"?',
            "c.yaml:4: privacy.drop_payload_after: must be longer than 0",
        ],
    ),
    (
        "privacy:\n  mask_digits: true\n  drop_payload_after: 30d\n",
        ["c.yaml:3: privacy.drop_payload_after: must be shorter than retention"],
    ),
    (
        "retention: 5d\nprivacy: {drop_payload_after: 7d}\n",
        ["c.yaml:2: privacy.drop_payload_after: must be shorter than retention"],
    ),
    (
        "http: {listen: localhost, tokens: [''], recordings_url: pbx.example.com}",
        [
            'c.yaml:1: http.listen: "localhost" is no HOST:PORT, such as 127.0.0.1:4573',
            "c.yaml:1: http.tokens[0]: is empty",
            "c.yaml:1: http.recordings_url: must begin with http:// or https://",
        ],
    ),
    ("include: gone.yaml", ["c.yaml:1: include: gone.yaml does not exist"]),
    ("include:\n  - {a: b}\n", ["c.yaml:2: include[0]: must be text, not a mapping"]),
]

NUMBERS = [
    ("numbers:\n  trunks: [PJSIP/a*, '']\n", ["c.yaml:2: numbers.trunks[1]: is empty"]),
    ("numbers:\n  devices: ['']\n", ["c.yaml:2: numbers.devices[0]: is empty"]),
    (
        "numbers:\n  extensions: '('\n",
        [
            "c.yaml:2: numbers.extensions: is no regular expression: "
            "missing ), unterminated subpattern at position 0"
        ],
    ),
    *(
        (
            f"numbers:\n  extensions: '{slow}'\n",
            [
                "c.yaml:2: numbers.extensions: takes too long on some numbers: "
                "make it simpler, without a repetition inside another"
            ],
        )
        for slow in (r"^(\d+)+$", r"^(\d\d?)*$", r"^(\d|\d\d)*[*]$", r"^([0-9a-z]+-?)*$")
    ),
    (
        "numbers:\n  users: {sql: SELECT 1}\n",
        ["c.yaml:2: numbers.users: needs `source`, a database's URL: asterisk.cdr names none"],
    ),
    (
        "numbers:\n  users: 5\n",
        ["c.yaml:2: numbers.users: must be a file's name, a list of users, or sql and source, not a number"],
    ),
    (
        "numbers:\n  users:\n    - {extension: 200}\n    - {extensio: 201}\n    - 7\n",
        [
            "c.yaml:4: numbers.users[1].extension: is missing",
            'c.yaml:4: numbers.users[1].extensio: unknown key, did you mean "extension"?',
            "c.yaml:5: numbers.users[2]: must be a mapping (`key: value` lines), not a number",
        ],
    ),
    (
        "numbers:\n  users: [{extension: 200}, {extension: '200'}]\n",
        ['c.yaml:2: numbers.users: the extension "200" stands here twice'],
    ),
    (
        "numbers:\n  forward_is_answer: 'no'\n",
        ['c.yaml:2: numbers.forward_is_answer: must be true or false, not the text "no"'],
    ),
    ("numbers:\n  tariff: gone.csv\n", ["gone.csv:1: (file): cannot be read: No such file or directory"]),
]

CLIENTS = [
    ("clients: [a]", ["c.yaml:1: clients: must be a mapping (`key: value` lines), not a list"]),
    (
        "clients:\n  crm:\n",
        ["c.yaml:2: clients.crm: has no value: it must be a mapping (`key: value` lines)"],
    ),
    (
        "clients:\n  a b: {kind: lookup, url: 'http://x'}\n",
        [f"c.yaml:2: clients.a b: {NAMELESS}"],
    ),
    (
        "clients:\n  crm: {}\n",
        ["c.yaml:2: clients.crm.kind: is missing", "c.yaml:2: clients.crm.url: is missing"],
    ),
    (
        "clients:\n  crm:\n    kind: notfy\n    url: https://x\n    on: [ringing]\n    colour: red\n",
        [
            'c.yaml:3: clients.crm.kind: must be lookup, notify or call_end, not "notfy", did you mean "notify"?',
            "c.yaml:6: clients.crm.colour: unknown key",
        ],
    ),
    (LOOKUP + "    timout: 2s\n", ['c.yaml:5: clients.crm.timout: unknown key, did you mean "timeout"?']),
    (
        LOOKUP + "    url: https://b\n",
        ["c.yaml:5: clients.crm.url: the key stands here twice (first on line 4)"],
    ),
    (LOOKUP + "    on: ringing\n", ["c.yaml:5: clients.crm.on: `on` is only for notify clients"]),
    (
        LOOKUP + "    retry: [1s]\n    concurrency: 1\n    directions: [1]\n",
        [
            "c.yaml:5: clients.crm.retry: `retry` is only for notify and call_end clients",
            "c.yaml:6: clients.crm.concurrency: `concurrency` is only for notify and call_end clients",
            "c.yaml:7: clients.crm.directions: `directions` is only for call_end clients",
        ],
    ),
    (
        CALL_END + "    cache: 1s\n    response: {}\n    expires: 5s\n    fallback_urls: []\n",
        [
            "c.yaml:5: clients.crm.cache: `cache` is only for lookup clients",
            "c.yaml:6: clients.crm.response: `response` is only for lookup clients",
            "c.yaml:7: clients.crm.expires: `expires` is only for notify clients",
            "c.yaml:8: clients.crm.fallback_urls: `fallback_urls` is only for lookup clients",
        ],
    ),
    (CALL_END + "    method: GET\n", ["c.yaml:5: clients.crm.method: a call_end client always uses POST"]),
    (LOOKUP + "    method: get\n", ['c.yaml:5: clients.crm.method: must be GET or POST, not "get"']),
    (
        LOOKUP + "    body: x\n",
        ["c.yaml:5: clients.crm.body: GET has no body: use `query`, or `method: POST`"],
    ),
    (POST + "    query: x\n", ["c.yaml:6: clients.crm.query: POST takes `body`; `query` is for GET"]),
    (
        LOOKUP + "    api_key: {in: body, name: key, value: s3cret}\n",
        [
            "c.yaml:5: clients.crm.api_key: a GET request has no body: "
            "send the key `in: header` or `in: query`"
        ],
    ),
    (
        POST + "    api_key: {in: body, name: key, value: s3cret}\n    body: '{{ src }}'\n",
        [
            "c.yaml:7: clients.crm.body: the API key goes `in: body`, "
            "but this body does not mention {{ api_key }}"
        ],
    ),
    (
        LOOKUP + "    api_key: {in: head, name: key}\n",
        [
            'c.yaml:5: clients.crm.api_key.in: must be header, query or body, not "head", '
            'did you mean "header"?',
            "c.yaml:5: clients.crm.api_key.value: is missing",
        ],
    ),
    (
        LOOKUP + '    api_key: {in: header, name: "X Key:", value: "árvíztűrő"}\n',
        [
            "c.yaml:5: clients.crm.api_key.name: is no header name: letters, digits and - (no space, no colon)",
            "c.yaml:5: clients.crm.api_key.value: holds a character outside Latin-1, "
            "which no header can carry",
        ],
    ),
    (
        LOOKUP
        + "    basic_auth: {username: a, password: b}\n"
        + "    api_key: {in: header, name: authorization, value: c}\n",
        [
            "c.yaml:6: clients.crm.api_key: the header Authorization is taken by `basic_auth`: "
            "use another header"
        ],
    ),
    (
        LOOKUP + "    basic_auth: {username: 'a:b'}\n",
        [
            "c.yaml:5: clients.crm.basic_auth.username: holds a colon, "
            "which ends the user name in HTTP Basic authentication",
            "c.yaml:5: clients.crm.basic_auth.password: is missing",
        ],
    ),
    (
        NOTIFY
        + "    api_key: {in: header, name: Connection, value: k}\n"
        + "    headers: {Content-Length: '5', TRANSFER-ENCODING: chunked, Idempotency-Key: mine, Host: a}\n",
        [
            "c.yaml:5: clients.crm.api_key.name: Connection says how a request is framed, which the bridge does itself: take it out",
            "c.yaml:6: clients.crm.headers.Content-Length: Content-Length says how a request is framed, which the bridge does itself: take it out",
            "c.yaml:6: clients.crm.headers.TRANSFER-ENCODING: TRANSFER-ENCODING says how a request is framed, which the bridge does itself: take it out",
            "c.yaml:6: clients.crm.headers.Idempotency-Key: Idempotency-Key is the bridge's own, another for each delivery: take it out",
        ],
    ),
    (
        LOOKUP
        + '    headers:\n      X-A: "b\\r\\nX-Evil: 1"\n      X-B: "☎"\n      "X:": y\n      X-C: " z"\n',
        [
            "c.yaml:6: clients.crm.headers.X-A: "
            "holds a line break or another control character, which no header can carry",
            "c.yaml:7: clients.crm.headers.X-B: holds a character outside Latin-1, which no header can carry",
            "c.yaml:8: clients.crm.headers.X:: is no header name: letters, digits and - (no space, no colon)",
            "c.yaml:9: clients.crm.headers.X-C: begins or ends with a space, which no header can carry",
        ],
    ),
    (
        LOOKUP + "    parameters: [id, srcc, duration, id]\n",
        [
            'c.yaml:5: clients.crm.parameters[1]: unknown parameter "srcc", did you mean "src"?',
            'c.yaml:5: clients.crm.parameters[2]: unknown parameter "duration": '
            "there are id, start_time, src, dst, exten, ivr_digits, cc_call, custom_field",
        ],
    ),
    (LOOKUP + "    parameters: [id, src, id]\n", ['c.yaml:5: clients.crm.parameters: names "id" twice']),
    (LOOKUP + "    parameters: id\n", ["c.yaml:5: clients.crm.parameters: must be a list, not text"]),
    (
        CALL_END + "    sub_parameters: [prize, exten, exte]\n",
        [
            'c.yaml:5: clients.crm.sub_parameters[0]: unknown parameter of a part "prize": there are '
            "id, direction, start_time, answer_time, hangup_time, src, src_user_id, dst, dst_user_id, exten, "
            "duration, billsec, ringtime, pincode, ivr_digits, cc_call, monitor_file_name, monitor_file",
            'c.yaml:5: clients.crm.sub_parameters[2]: unknown parameter of a part "exte", did you mean "exten"?',
        ],
    ),
    (
        NOTIFY + "    on: [arival, ringing]\n",
        [
            "c.yaml:5: clients.crm.on[0]: must be arrival, ringing, answer, hangup or dialplan, "
            'not "arival", did you mean "arrival"?'
        ],
    ),
    (
        NOTIFY + "    retry: [1s, -5, 3 weeks]\n",
        [
            "c.yaml:5: clients.crm.retry[1]: must not be negative",
            'c.yaml:5: clients.crm.retry[2]: "3 weeks" is no duration: '
            "write 500ms, 10s, 5m, 2h, 1d or plain seconds",
        ],
    ),
    (
        NOTIFY + "    expires: 0\n    timeout: 0s\n    concurrency: 0\n",
        [
            "c.yaml:5: clients.crm.expires: must be longer than 0",
            "c.yaml:6: clients.crm.timeout: must be longer than 0",
            "c.yaml:7: clients.crm.concurrency: must be from 1 to 64, not 0",
        ],
    ),
    (
        NOTIFY + "    concurrency: '2'\n",
        ['c.yaml:5: clients.crm.concurrency: must be a whole number, not the text "2"'],
    ),
    (
        NOTIFY + "    match: {dst: '', extn: '2??', queue: [sales, '']}\n",
        [
            "c.yaml:5: clients.crm.match.dst: is empty",
            "c.yaml:5: clients.crm.match.queue[1]: is empty",
            'c.yaml:5: clients.crm.match.extn: unknown key, did you mean "exten"?',
        ],
    ),
    (
        CALL_END + "    directions: [3]\n    cc_call: number\n    parallel_legs: some\n",
        [
            "c.yaml:5: clients.crm.directions[0]: must be from 0 to 2, not 3",
            'c.yaml:6: clients.crm.cc_call: must be flag or queue, not "number"',
            'c.yaml:7: clients.crm.parallel_legs: must be answerer or all, not "some"',
        ],
    ),
    (
        CALL_END + "    directions: []\n",
        ["c.yaml:5: clients.crm.directions: is empty, so this client would never be told of anything"],
    ),
    (
        CALL_END + "    signing_secret: [a, b, c]\n",
        ["c.yaml:5: clients.crm.signing_secret: takes one secret, or two while one replaces the other"],
    ),
    (
        CALL_END + "    signing_secret: [plain text, whsec_hunter2!]\n",
        [
            "c.yaml:5: clients.crm.signing_secret[1]: "
            "begins with whsec_, so the rest must be base64, which it is not"
        ],
    ),
    (
        CALL_END + "    tls: {ca: /no/such.pem, certificate: /, verify: 1}\n",
        [
            "c.yaml:5: clients.crm.tls.ca: /no/such.pem cannot be read: No such file or directory",
            "c.yaml:5: clients.crm.tls.certificate: / is no file",
            "c.yaml:5: clients.crm.tls.verify: must be true or false, not a number",
        ],
    ),
    (
        LOOKUP
        + "    response:\n      format: yaml\n      set:\n        SHELL(rm): a\n        1A: b\n        VIPEX_STATUS: c\n",
        [
            'c.yaml:6: clients.crm.response.format: must be auto, json, xml, form or text, not "yaml"',
            "c.yaml:8: clients.crm.response.set.SHELL(rm): "
            "is no channel variable: a letter, then letters, digits and _, at most 64",
            "c.yaml:9: clients.crm.response.set.1A: "
            "is no channel variable: a letter, then letters, digits and _, at most 64",
            "c.yaml:10: clients.crm.response.set.VIPEX_STATUS: "
            "is set by the bridge itself, choose another variable",
        ],
    ),
    (
        LOOKUP
        + "    response:\n      set:\n        A: {path: x, pattern: '[', defalt: 1}\n        B: {}\n        C:\n",
        [
            "c.yaml:7: clients.crm.response.set.A.pattern: is no regular expression: "
            "unterminated character set at position 0",
            'c.yaml:7: clients.crm.response.set.A.defalt: unknown key, did you mean "default"?',
            "c.yaml:8: clients.crm.response.set.B.path: is missing",
            "c.yaml:9: clients.crm.response.set.C.path: has no value",
        ],
    ),
    (
        LOOKUP + "    breaker: {failures: 0, pause: 0}\n    cache: always\n    fallback_urls: [crm2]\n",
        [
            "c.yaml:5: clients.crm.breaker.failures: must be from 1 to 1000, not 0",
            "c.yaml:5: clients.crm.breaker.pause: must be longer than 0",
            'c.yaml:6: clients.crm.cache: "always" is no duration: write 500ms, 10s, 5m, 2h, 1d or plain seconds',
            "c.yaml:7: clients.crm.fallback_urls[0]: must begin with http:// or https://",
        ],
    ),
]

URLS = [
    ("ftp://crm.example", "must begin with http:// or https://"),
    ("https:///route", "names no host"),
    ("https://u:hunter2@crm.example/", "holds a user name or password: use `basic_auth` for them"),
    ("https://crm.example/#top", "holds a #fragment, which no server is ever sent"),
    ("https://crm.example:99999/", "is no URL: its host or port cannot be understood"),
    ("https://crm.example:0/", "has port 0"),
    ("https://crm..example/", "is no URL: its host or port cannot be understood"),
    ("https://[::1/", "is no URL: its host or port cannot be understood"),
    ("https://crm.example/a b", 'is no URL: it holds a space or one of " < > \\ ^ ` { | }'),
    ("http://169.254.169.254/latest/", "leads to a link-local address, to which nothing is ever sent"),
    ("http://2852039166/", "leads to a link-local address, to which nothing is ever sent"),
    (
        "http://[::ffff:100.100.100.200]/",
        "leads to a cloud's metadata service, to which nothing is ever sent",
    ),
    ("http://0.0.0.0:8000/", "leads to no host's address, to which nothing is ever sent"),
    ("https://crm.example/{{ src }}", "takes no template: put what changes into `query`"),
]


@pytest.mark.parametrize(("text", "expected"), SYNTAX + SECRETS + SECTIONS + NUMBERS + CLIENTS)
def test_each_mistake_is_told_with_its_line_and_key(text: str, expected: list[str]) -> None:
    environ = {"EMPTY": "", "SECRET_LINES": "a\nb", "HIDDEN": "hunter2"}
    assert faults(text, environ) == expected


@pytest.mark.parametrize(("url", "what"), URLS)
def test_a_url_that_cannot_be_used_is_told(url: str, what: str) -> None:
    text = f"clients:\n  crm:\n    kind: lookup\n    url: '{url}'\n"
    assert faults(text) == [f"c.yaml:4: clients.crm.url: {what}"]


def test_all_mistakes_of_a_file_come_at_once_in_the_order_of_its_lines() -> None:
    text = (
        "nod: x\n"
        "clients:\n"
        "  b:\n"
        "    body: '{{ src }}'\n"
        "    method: GET\n"
        "    kind: lookup\n"
        "    url: !env NOT_THERE\n"
        "  a: {kind: notify, on: [rings]}\n"
        "retention: long\n"
    )
    lines = [fault.split(":")[1] for fault in faults(text)]
    assert lines == ["1", "4", "7", "8", "8", "9"]


def test_a_secret_in_a_message_would_be_a_leak() -> None:
    """Neither a secret from a tag nor one in place is repeated by the fault that is about it."""
    text = LOOKUP + "    method: !env S\n    api_key: {in: header, name: K, value: 'hunter2\u2603'}\n"
    told = "\n".join(faults(text, {"S": "hunter2"}))
    assert "clients.crm.method" in told
    assert "clients.crm.api_key.value" in told
    assert "hunter2" not in told


def test_aliases_that_multiply_are_stopped() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join(['*' + a] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    assert any("aliases multiply to more than 200000 values" in fault for fault in faults("\n".join(lines)))


def test_merges_that_multiply_are_stopped() -> None:
    lines = ["a: &a {x: y}"]
    names = [f"m{number}" for number in range(30)]
    for before, name in zip(["a", *names], names, strict=False):
        lines.append(f"{name}: &{name} {{<<: [*{before}, *{before}]}}")
    assert any("aliases multiply" in fault for fault in faults("\n".join(lines)))
