"""Recordings by their `main_reference_id`, whole or in parts, to token holders and by signed links."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from email.utils import formatdate
from io import FileIO
from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Path, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from vipex_bridge import recordings
from vipex_bridge.config.settings import Customer
from vipex_bridge.errors import RecordingError
from vipex_bridge.server.access import sign_link
from vipex_bridge.server.context import Context
from vipex_bridge.server.gate import RECORDINGS
from vipex_bridge.server.ownership import Whose, owns_call
from vipex_bridge.server.paging import a_number
from vipex_bridge.server.problems import answers
from vipex_bridge.server.ranges import Part, Unsatisfiable, part_of

PIECE_BYTES = 64 * 1024
LONGEST_LINK_S = 7 * 86400
CANNOT_SIGN = "links are signed with a token of http.tokens, and there is none"
CONTENT_TYPES = {
    ".wav": "audio/wav", ".wav49": "audio/wav", ".mp3": "audio/mpeg", ".ogg": "audio/ogg",
    ".opus": "audio/ogg", ".gsm": "audio/x-gsm", ".g722": "audio/G722", ".ulaw": "audio/basic",
    ".m4a": "audio/mp4", ".flac": "audio/flac",
}  # fmt: skip
OTHER_TYPE = "application/octet-stream"
Reference = Annotated[str, Path(max_length=64, examples=["3f1c5a0d9b7e4c62a1d08e5f7b9c2d41"])]


class LinkWanted(BaseModel):
    """For how long a link is to hold."""

    model_config = ConfigDict(extra="forbid")
    valid_s: Annotated[int, BeforeValidator(a_number)] = Field(
        3600, ge=1, le=LONGEST_LINK_S, description="seconds from now", examples=[3600]
    )


class Link(BaseModel):
    """A link to one recording, for a receiver that cannot send a header."""

    url: str = Field(description="begins with http.recordings_url, if that is configured, else with /")
    expires_at: int = Field(description="epoch seconds", examples=[1795409430])


def router(context: Context, tokens: Callable[[], list[str]]) -> APIRouter:
    """The paths below `/recordings/`."""
    routes = APIRouter(tags=["recordings"])

    def recording(
        request: Request,
        whose: Whose,
        reference: Reference,
        part: Annotated[str | None, Header(alias="Range", examples=["bytes=0-65535"])] = None,
        if_range: Annotated[str | None, Header(examples=['"1f40-18a3c5d2e1b0f400"'])] = None,
        if_none_match: Annotated[str | None, Header(examples=['"1f40-18a3c5d2e1b0f400"'])] = None,
    ) -> Response:
        """The recording, with byte ranges and an ETag. A signed link (`.../link`) needs no token."""
        del part, if_range, if_none_match
        return _answer(_opened(context, whose, reference), reference, request)

    sound: dict[str, dict[str, Any]] = {
        media_type: {} for media_type in sorted({*CONTENT_TYPES.values(), OTHER_TYPE})
    }
    shown: dict[int | str, dict[str, Any]] = {
        **answers({404: "there is no such recording"}),
        200: {"description": "the whole recording", "content": sound},
        206: {"description": "the part that `Range` asks for", "content": sound},
        304: {"description": "it is as `If-None-Match` has it"},
        416: {"description": "no byte of the file is in the range"},
    }
    routes.get("/recordings/{reference}", response_class=Response, responses=shown)(recording)
    routes.head("/recordings/{reference}", response_class=Response, include_in_schema=False)(recording)

    @routes.post(
        "/recordings/{reference}/link",
        responses=answers({404: "there is no such recording", 409: CANNOT_SIGN}, takes_body=True),
    )
    def link(whose: Whose, reference: Reference, wanted: LinkWanted) -> Link:
        """A link that needs no token, for this recording and this time."""
        _opened(context, whose, reference).close()
        expires_at = int(context.clock()) + wanted.valid_s
        signing = tokens()
        if not signing:
            raise HTTPException(409, CANNOT_SIGN)
        signature = sign_link(reference, expires_at, signing[0])
        http = context.settings().http
        begins = (http.recordings_url if http is not None else None) or ""
        path = f"{RECORDINGS}{reference}?expires={expires_at}&signature={signature}"
        return Link(url=begins.rstrip("/") + path, expires_at=expires_at)

    return routes


def _opened(context: Context, whose: Customer | None, reference: str) -> FileIO:
    stored = context.store.recording(reference)
    if stored is None or not owns_call(context.store, whose, stored.call_id):
        raise HTTPException(404, "there is no such recording")
    try:
        return recordings.opened(context.settings().recordings, stored.path)
    except RecordingError as error:
        raise HTTPException(404, f"the recording cannot be given: {error}") from None


def _answer(file: FileIO, reference: str, request: Request) -> Response:
    about = os.fstat(file.fileno())
    suffix = PurePath(str(file.name)).suffix
    etag = f'"{about.st_size:x}-{about.st_mtime_ns:x}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Last-Modified": formatdate(about.st_mtime, usegmt=True),
        "Content-Disposition": f'inline; filename="{_safe(reference + suffix)}"',
    }
    if etag in [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]:
        file.close()
        return Response(status_code=304, headers=headers)
    wanted = request.headers.get("range", "")
    if request.headers.get("if-range", etag) != etag:
        wanted = ""
    try:
        part = part_of(wanted, about.st_size)
    except Unsatisfiable:
        file.close()
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{about.st_size}"})
    whole = Part(0, about.st_size - 1)
    if part is not None:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{about.st_size}"
    headers["Content-Length"] = str(len(part or whole))
    media_type = CONTENT_TYPES.get(suffix.lower(), OTHER_TYPE)
    status = 200 if part is None else 206
    if request.method == "HEAD":
        file.close()
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(_pieces(file, part or whole), status, headers, media_type)


def _pieces(file: FileIO, part: Part) -> Iterator[bytes]:
    with file:
        at = part.first
        while at <= part.last:
            piece = os.pread(file.fileno(), min(PIECE_BYTES, part.last + 1 - at), at)
            if not piece:
                return
            at += len(piece)
            yield piece


def _safe(name: str) -> str:
    return "".join(character if character.isascii() and character.isalnum() else "." for character in name)
