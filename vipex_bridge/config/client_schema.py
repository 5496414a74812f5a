"""The keys of one client, and what they must be in relation to each other (contract, section 2).

Fields stand in the order in which they are checked: a check sees the good ones among those before it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator

from vipex_bridge.config import values
from vipex_bridge.config.schema import (
    ClientUrl,
    ExistingFile,
    Flag,
    Globs,
    Line,
    Regex,
    Seconds,
    SecretText,
    Section,
    SigningSecret,
    SomeSeconds,
    Text,
    one_or_list,
)
from vipex_bridge.config.settings import FRAMING_HEADERS, PARAMETERS, SUB_PARAMETERS, Secret

KINDS = tuple(PARAMETERS)
TRIGGERS = ("arrival", "ringing", "answer", "hangup", "dialplan")
ONLY_FOR = {
    "cache": ("lookup",),
    "stale_if_error": ("lookup",),
    "breaker": ("lookup",),
    "fallback_urls": ("lookup",),
    "response": ("lookup",),
    "on": ("notify",),
    "expires": ("notify",),
    "retry": ("notify", "call_end"),
    "concurrency": ("notify", "call_end"),
    "sub_parameters": ("call_end",),
    "directions": ("call_end",),
    "cc_call": ("call_end",),
    "parallel_legs": ("call_end",),
}
"""The kinds that an option means something for; options that are not here are for all."""

_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_CLIENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SET_BY_THE_BRIDGE = ("VIPEX_STATUS", "VIPEX_HTTP_CODE")


def check_name(name: str) -> None:
    """Raises ValueError when the dialplan could not name a client so."""
    if not _CLIENT_NAME.fullmatch(name):
        raise ValueError("a client's name is letters, digits, - _ and ., so that the dialplan can write it")


def default_method(kind: str) -> str:
    """GET for lookups, POST for the others (contract, section 2)."""
    return "GET" if kind == "lookup" else "POST"


def _parameter(value: object, info: ValidationInfo) -> str:
    kind = info.data.get("kind")
    return values.known("parameter", PARAMETERS[kind])(value) if kind else values.text(value)


def _header_name(value: object) -> str:
    """A header that may be added to every request: none that says how the request is framed."""
    name = values.header_name(value)
    if name.lower() in FRAMING_HEADERS:
        raise ValueError(f"{name} says how a request is framed, which the bridge does itself: take it out")
    return name


def _header_name_of(value: object, info: ValidationInfo) -> str:
    """The same of `headers`."""
    name = _header_name(value)
    if name.lower() == "idempotency-key" and info.data.get("kind") in ("notify", "call_end"):
        raise ValueError(f"{name} is the bridge's own, another for each delivery: take it out")
    return name


def _once_each(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = [name for index, name in enumerate(names) if name in names[:index]]
    if twice:
        raise ValueError(f"names {values.ascii_quoted(twice[0])} twice")
    return names


def _variable(value: object) -> str:
    """A channel variable's name. One that ends in `)` would make Asterisk call a function (`Set`)."""
    name = values.text(value)
    if not _VARIABLE.fullmatch(name):
        raise ValueError("is no channel variable: a letter, then letters, digits and _, at most 64")
    if name in _SET_BY_THE_BRIDGE:
        raise ValueError("is set by the bridge itself, choose another variable")
    return name


def _up_to_two(secrets: tuple[Secret, ...]) -> tuple[Secret, ...]:
    if not 1 <= len(secrets) <= 2:
        raise ValueError("takes one secret, or two while one replaces the other")
    return secrets


def _some(items: tuple[int, ...]) -> tuple[int, ...]:
    if not items:
        raise ValueError("is empty, so this client would never be told of anything")
    return items


def _path_alone(value: object) -> object:
    """`VARIABLE: route.branch` is short for `VARIABLE: {path: route.branch}`."""
    return value if isinstance(value, dict) else {"path": value}


class BasicAuth(Section):
    username: Annotated[str, PlainValidator(values.text_or_empty)]
    password: Annotated[Secret, PlainValidator(values.password)]

    @field_validator("username")
    @classmethod
    def _no_colon(cls, name: str) -> str:
        if ":" in name:
            raise ValueError("holds a colon, which ends the user name in HTTP Basic authentication")
        return name


class ApiKey(Section):
    place: Annotated[str, PlainValidator(values.choice("header", "query", "body"))] = Field(alias="in")
    name: Line
    value: SecretText

    @field_validator("name")
    @classmethod
    def _name_for_its_place(cls, name: str, info: ValidationInfo) -> str:
        return _header_name(name) if info.data.get("place") == "header" else name

    @field_validator("value")
    @classmethod
    def _value_for_its_place(cls, value: Secret, info: ValidationInfo) -> Secret:
        if info.data.get("place") == "header":
            values.header_value(value.reveal())
        return value


class Breaker(Section):
    failures: Annotated[int, PlainValidator(values.whole(1, 1000))] = 5
    pause: SomeSeconds = 30.0


class Mapped(Section):
    path: Text
    pattern: Regex | None = None
    default: Annotated[str, PlainValidator(values.text_or_empty)] | None = None


MappedOrPath = Annotated[Mapped, BeforeValidator(_path_alone)]


class Response(Section):
    format: Annotated[str, PlainValidator(values.choice("auto", "json", "xml", "form", "text"))] = "auto"
    set: dict[Annotated[str, PlainValidator(_variable)], MappedOrPath] = Field(default_factory=dict)


class Match(Section):
    dst: Globs = ()
    did: Globs = ()
    src: Globs = ()
    exten: Globs = ()
    queue: Globs = ()
    context: Globs = ()
    account: Globs = ()
    trunk: Globs = ()


class Tls(Section):
    ca: ExistingFile | None = None
    certificate: ExistingFile | None = None
    key: ExistingFile | None = None
    verify: Flag = True

    @field_validator("key")
    @classmethod
    def _key_with_certificate(cls, key: object, info: ValidationInfo) -> object:
        if key is not None and info.data.get("certificate", key) is None:
            raise ValueError("needs `certificate` beside it")
        return key


class Client(Section):
    """One client of any kind. None stands for the kind's own default."""

    kind: Annotated[str, PlainValidator(values.choice(*KINDS))]
    url: ClientUrl
    method: Annotated[str, PlainValidator(values.choice("GET", "POST"))] | None = None
    parameters: (
        Annotated[tuple[Annotated[str, PlainValidator(_parameter)], ...], AfterValidator(_once_each)] | None
    ) = None
    sub_parameters: (
        Annotated[
            tuple[Annotated[str, PlainValidator(values.known("parameter of a part", SUB_PARAMETERS))], ...],
            AfterValidator(_once_each),
        ]
        | None
    ) = None
    content_type: Annotated[str, PlainValidator(values.header_value)] = "application/json"
    basic_auth: BasicAuth | None = None
    api_key: ApiKey | None = None
    query: Text | None = None
    body: Text | None = None
    headers: dict[
        Annotated[str, PlainValidator(_header_name_of)],
        Annotated[str, PlainValidator(values.header_of_client)],
    ] = Field(default_factory=dict)
    timeout: SomeSeconds | None = None
    match: Match = Match()
    tls: Tls = Tls()
    signing_secret: (
        Annotated[tuple[SigningSecret, ...], BeforeValidator(one_or_list), AfterValidator(_up_to_two)] | None
    ) = None
    concurrency: Annotated[int, PlainValidator(values.whole(1, 64))] | None = None
    retry: Annotated[tuple[Seconds, ...], BeforeValidator(one_or_list)] | None = None
    on: Annotated[
        tuple[Annotated[str, PlainValidator(values.choice(*TRIGGERS))], ...], BeforeValidator(one_or_list)
    ] = ()
    expires: SomeSeconds | None = 60.0
    directions: Annotated[
        tuple[Annotated[int, PlainValidator(values.whole(0, 2))], ...],
        BeforeValidator(one_or_list),
        AfterValidator(_some),
    ] = (0, 1, 2)
    cc_call: Annotated[str, PlainValidator(values.choice("flag", "queue"))] = "flag"
    parallel_legs: Annotated[str, PlainValidator(values.choice("answerer", "all"))] = "answerer"
    numbers: Annotated[str, PlainValidator(values.choice("dialled", "e164", "national"))] = "dialled"
    cache: Seconds = 0.0
    stale_if_error: Seconds = 0.0
    breaker: Breaker = Breaker()
    fallback_urls: Annotated[tuple[ClientUrl, ...], BeforeValidator(one_or_list)] = ()
    response: Response = Response()

    @field_validator("*", mode="before")
    @classmethod
    def _belongs_to_the_kind(cls, value: Any, info: ValidationInfo) -> Any:
        kinds = ONLY_FOR.get(info.field_name or "")
        kind = info.data.get("kind")
        if kinds and kind and kind not in kinds:
            raise ValueError(f"`{info.field_name}` is only for {' and '.join(kinds)} clients")
        return value

    @field_validator("method")
    @classmethod
    def _call_end_is_post(cls, method: str | None, info: ValidationInfo) -> str | None:
        if method == "GET" and info.data.get("kind") == "call_end":
            raise ValueError("a call_end client always uses POST")
        return method

    @field_validator("api_key")
    @classmethod
    def _key_fits_the_request(cls, key: ApiKey | None, info: ValidationInfo) -> ApiKey | None:
        if key is None:
            return None
        if key.place == "body" and _method(info) == "GET":
            raise ValueError("a GET request has no body: send the key `in: header` or `in: query`")
        authorization = key.place == "header" and key.name.lower() == "authorization"
        if authorization and info.data.get("basic_auth"):
            raise ValueError("the header Authorization is taken by `basic_auth`: use another header")
        return key

    @field_validator("query")
    @classmethod
    def _query_with_get(cls, query: str | None, info: ValidationInfo) -> str | None:
        if query is not None and _method(info) == "POST":
            raise ValueError("POST takes `body`; `query` is for GET")
        return query

    @field_validator("body")
    @classmethod
    def _body_with_post(cls, body: str | None, info: ValidationInfo) -> str | None:
        if body is None:
            return None
        if _method(info) == "GET":
            raise ValueError("GET has no body: use `query`, or `method: POST`")
        key = info.data.get("api_key")
        if key and key.place == "body" and not re.search(r"\bapi_key\b", body):
            raise ValueError("the API key goes `in: body`, but this body does not mention {{ api_key }}")
        return body


def _method(info: ValidationInfo) -> str | None:
    """The client's method; None when what it depends on is at fault itself."""
    kind = info.data.get("kind")
    if "method" not in info.data or kind is None:
        return None
    return info.data["method"] or default_method(kind)
