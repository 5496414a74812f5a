"""The JSON Schema (2020-12) of what each kind of client is sent by default.

The names and their order are those of `PARAMETERS`; here stands what each of them may be, for receivers.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as made_by
from zoneinfo import ZoneInfo

from vipex_bridge.config.settings import PARAMETERS, SUB_PARAMETERS, Client
from vipex_bridge.render.fields import RecordingMark, call_end_fields
from vipex_bridge.render.sample import inbound_document, outgoing_document, sample_fields

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TIME_EXAMPLE = "2019-12-03 12:14:11"

_TIME = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]) ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$"
_ZONE = ZoneInfo("Europe/Budapest")
_SOUND = base64.b64encode(b"RIFF\x24\x00\x00\x00WAVEfmt ").decode()
"""The first bytes of a recording, enough for an example."""


@dataclass(frozen=True, slots=True)
class Field:
    """What one parameter may be. `types` are JSON Schema's, `rules` further keywords of it."""

    types: tuple[str, ...]
    description: str
    examples: tuple[object, ...]
    rules: Mapping[str, object] = made_by(default_factory=dict)

    def as_schema(self) -> dict[str, object]:
        """The keyword object that stands under the parameter's name."""
        types = self.types[0] if len(self.types) == 1 else list(self.types)
        examples = {"examples": list(self.examples)} if self.examples else {}
        return {"type": types, **self.rules, "description": self.description, **examples}


def _id(description: str, example: int, *types: str) -> Field:
    return Field(("integer", *types), description, (example,), {"minimum": 1})


def _time(description: str, example: str, *types: str) -> Field:
    # maxLength: `$` of some dialects of regular expressions also stands before a line's end.
    return Field(("string", *types), description, (example,), {"pattern": _TIME, "maxLength": 19})


def _text(description: str, *examples: str) -> Field:
    return Field(("string", "null"), description, examples)


def _seconds(description: str, example: int) -> Field:
    return Field(("integer",), description, (example,), {"minimum": 0})


def _user_id(description: str) -> Field:
    return Field(("integer", "string", "null"), description, (6,))


_LIVE: Mapping[str, Field] = {
    "id": _id("Identifier of the call, the same in every client for the same call.", 91000),
    "start_time": _time("When the call started, local time of the PBX.", "2019-12-02 12:46:17"),
    "src": _text("The caller's number; null when withheld.", "36709676052"),
    "dst": _text("The external number that was called.", "3619996000"),
    "exten": Field(
        ("string",), "Only for ringing and answer: the extension that rings or answered.", ("252",)
    ),
    "ivr_digits": _text("The keys the caller chose in the IVR so far, separated by commas.", "2,1,4"),
    "cc_call": Field(
        ("integer",),
        "1 for a call-centre call (it came through a queue, or the dialplan says so), else 0.",
        (1, 0),
        {"enum": [0, 1]},
    ),
    "custom_field": _text("Label(s) attached to the call in the dialplan, separated by commas.", "VIP"),
}

_LOOKUP: Mapping[str, Field] = {
    **_LIVE,
    "id": _id(
        "Identifier of the call, the same in every client for the same call; "
        "null (in a query: left out) if the bridge's store did not give one in time.",
        91000,
        "null",
    ),
    "exten": Field(("string",), "Not sent by a lookup, as nobody rings yet.", ()),
}

_PART: Mapping[str, Field] = {
    "id": _id("Identifier of this part; larger than the call's.", 91064),
    "direction": Field(
        ("integer",),
        "The part's own result: 0 outgoing, 1 its extension answered, 2 it did not.",
        (1,),
        {"enum": [0, 1, 2]},
    ),
    "start_time": _time(
        "Start of the part: that of the call, or the end of the part before.", "2019-12-03 12:14:15"
    ),
    "answer_time": _time(
        "When the part's extension and the caller first talked; null if they did not.",
        "2019-12-03 12:14:23",
        "null",
    ),
    "hangup_time": _time("End of the part.", "2019-12-03 12:14:27"),
    "src": _text("The caller's number, or the calling extension: as in the main document.", "3642999425"),
    "src_user_id": _user_id("Id of the user who placed the call (outgoing), else null."),
    "dst": _text("First part: the number called. Later parts of an inbound call: the extension.", "251"),
    "dst_user_id": _user_id("Id of the user of this part's extension (inbound), else null."),
    "exten": _text("The extension of this part.", "251"),
    "duration": _seconds("Length of the part in seconds.", 12),
    "billsec": _seconds("Talk time in this part, in seconds; 0 when unanswered.", 4),
    "ringtime": _seconds("Seconds in which the extension really rang.", 8),
    "pincode": _text("general or private, for PIN-coded outgoing calls.", "private"),
    "ivr_digits": _text("On the first part all keys of the IVR; later only if more were pressed.", "1,2"),
    "cc_call": Field(
        ("integer", "string", "null"),
        "1 if this part came through a queue, else 0; with `cc_call: queue` the queue's id, "
        "null outside a queue, -1 outgoing.",
        (1, 18),
    ),
    "monitor_file_name": _text("Name of this part's recording, if it has one of its own.", "91064.wav"),
    "monitor_file": Field(
        ("string", "null"),
        "This part's recording in base64, if it has one of its own.",
        (_SOUND,),
        {"contentEncoding": "base64"},
    ),
}

_ENDED: Mapping[str, Field] = {
    "id": _id("Identifier of the call, the same that lookups and notifications had.", 91059),
    "direction": Field(
        ("integer",),
        "0 outgoing; 1 inbound, an extension answered; 2 missed: inbound, no extension answered.",
        (1,),
        {"enum": [0, 1, 2]},
    ),
    "start_time": _time("Start of the call, local time of the PBX.", TIME_EXAMPLE),
    "answer_time": _time(
        "Inbound: when an extension and the caller first talked; outgoing: when the called party "
        "answered; null when unanswered. An IVR, a queue or voicemail answers nothing.",
        "2019-12-03 12:14:23",
        "null",
    ),
    "hangup_time": _time("End of the call: when the outside party's line ended.", "2019-12-03 12:14:27"),
    "src": _text("The caller's number (null when withheld), or the calling extension.", "3642999425"),
    "src_user_id": _user_id("Id of the user who placed the call (outgoing), else null."),
    "dst": _text("The external number called.", "3642999408"),
    "dst_user_id": _user_id("Id of the user who answered, else of the last one tried (inbound), else null."),
    "exten": _text(
        "Inbound: the first extension tried (the last one is last_exten), null if none was. "
        "Outgoing: the calling extension.",
        "200",
    ),
    "duration": _seconds("Whole length in seconds: hangup_time - start_time.", 16),
    "billsec": _seconds("Talk time in seconds: hangup_time - answer_time; 0 when unanswered.", 4),
    "ringtime": _seconds("Seconds of real ringing, without the setting up before; the parts' sum.", 12),
    "pincode": _PART["pincode"],
    "ivr_digits": _text("All keys that the caller pressed in the IVR, separated by commas.", "1,2"),
    "cc_call": Field(
        ("integer", "string", "null"),
        "1 for a call-centre call, else 0; with `cc_call: queue` the first part's queue id, "
        "null outside a queue, -1 outgoing.",
        (1, 18),
    ),
    "price": Field(
        ("number", "null"), "Charge for an answered outgoing call by the tariff, else null.", (1.25,)
    ),
    "cost_location": _text("Cost centre: as the dialplan set it, else the user's.", "12"),
    "monitor_file_name": _text("Name of the recording, if any.", "76355.wav"),
    "monitor_file": Field(
        ("string", "null"), "The recording in base64, if any.", (_SOUND,), {"contentEncoding": "base64"}
    ),
    "main_reference_id": _text(
        "Identifier of the recording, by which the file can be fetched through the API server.",
        "3f1c5a0d9b7e4c62a1d08e5f7b9c2d41",
    ),
    "custom_field": _LIVE["custom_field"],
    "other_party_number": _text("Number of the far end: inbound src, outgoing dst.", "3642999425"),
    "last_exten": _text("The last extension involved in the whole call.", "251"),
    "user_number": _text("Telephone number of the user on our side.", "3619996251"),
}

_FIELDS: Mapping[str, Mapping[str, Field]] = {"lookup": _LOOKUP, "notify": _LIVE, "call_end": _ENDED}
_ALWAYS: Mapping[str, tuple[str, ...]] = {
    "lookup": ("start_time",),
    "notify": ("id", "start_time", "src", "dst"),
    "call_end": (*PARAMETERS["call_end"][:16], "monitor_file_name", "sub_cdrs"),
}
"""What the client documentation's own examples all have; a query leaves out what is not known."""
_ALWAYS_IN_PARTS = SUB_PARAMETERS[:17]
_TITLES = {
    "lookup": ("A question about a call", "One object, or the same values as a query string without nulls."),
    "notify": ("Something that happens in an inbound call", "One object for each event."),
    "call_end": ("A finished call", "The whole call, with its parts and recordings."),
}


def schema_of(kind: str) -> dict[str, object]:
    """Give the schema of `lookup`, `notify` or `call_end`, its properties in the order of what is sent.

    Fields that a client's `parameters` may well leave out, as the client documentation's examples do, are
    not required, and further fields are allowed (an API key in the body, fields of versions to come).
    """
    title, description = _TITLES[kind]
    properties: dict[str, object] = {}
    for name in PARAMETERS[kind]:
        properties[name] = _parts() if name == "sub_cdrs" else _FIELDS[kind][name].as_schema()
    return {
        "$schema": DIALECT,
        "$id": f"urn:vipex-bridge:{kind}",
        "title": title,
        "description": description,
        "type": "object",
        "required": list(_ALWAYS[kind]),
        "properties": properties,
        "examples": list(_examples(kind)),
    }


def _parts() -> dict[str, object]:
    return {
        "type": "array",
        "description": "The parts of the call in order, all of them; empty when there are fewer than two.",
        "items": {
            "type": "object",
            "required": list(_ALWAYS_IN_PARTS),
            "properties": {name: _PART[name].as_schema() for name in SUB_PARAMETERS},
        },
    }


def _examples(kind: str) -> Iterable[object]:
    """The client documentation's calls, as a client gets them that is configured with nothing but a URL."""
    client = Client("example", kind, "https://crm.example.com", "POST", PARAMETERS[kind])
    if kind == "call_end":
        for made in (outgoing_document, inbound_document):
            yield _with_sound(call_end_fields(made(_ZONE), _ZONE, client))
    else:
        yield sample_fields(client, "ringing" if kind == "notify" else "lookup", _ZONE)


def _with_sound(value: object) -> object:
    """The value with each mark of a recording replaced by the first bytes of one."""
    match value:
        case RecordingMark():
            return _SOUND
        case dict():
            return {name: _with_sound(item) for name, item in value.items()}
        case list():
            return [_with_sound(item) for item in value]
    return value
