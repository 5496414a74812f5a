"""A finished call put into the store: its document frozen, its deliveries queued, in one transaction."""

from __future__ import annotations

import structlog

from vipex_bridge import recordings
from vipex_bridge.bridge.telling import Telling, fresh_token
from vipex_bridge.calls.document import CallDocument, to_json
from vipex_bridge.calls.tree import numbered, with_file, without_recording
from vipex_bridge.calls.tree import recordings as recordings_of
from vipex_bridge.config.settings import Recordings
from vipex_bridge.store.outbox import NewDelivery
from vipex_bridge.store.writer import Writer

log = structlog.get_logger()


def with_files(document: CallDocument, options: Recordings | None) -> CallDocument:
    """The call with the files in which its recordings are by now: a converter may have made others."""
    if options is not None:
        for path in recordings_of(document):
            document = with_file(document, path, recordings.chosen(options, path))
    return document


def without_unreadable(call_id: int, document: CallDocument, options: Recordings | None) -> CallDocument:
    """The call with its recording fields null where the file cannot be had, which is logged."""
    document = with_files(document, options)
    for path in recordings_of(document):
        reason = recordings.trouble(options, path)
        if reason is not None:
            log.warning("recording.left_out", call=call_id, recording=path, reason=reason)
            document = without_recording(document, path)
    return document


def finish(
    writer: Writer, telling: Telling, call_id: int, document: CallDocument, now: float
) -> list[NewDelivery] | None:
    """Freezes the document and queues what its clients get; None when the call was closed before."""
    paths = recordings_of(document)
    references = [fresh_token().removeprefix("vipex") for _ in paths]
    leg_ids = writer.new_ids(len(document.all_legs))
    document = numbered(document, call_id, leg_ids, references)
    if not writer.tell(call_id, document, to_json(document)):
        return None
    for path, reference in zip(paths, references, strict=True):
        writer.add_recording(reference, call_id, path)
    deliveries = telling.of_call(document, call_id, writer.key_of(call_id), now)
    for delivery in deliveries:
        writer.queue(delivery)
    return deliveries
