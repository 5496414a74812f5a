"""Where a call's recordings lie on its time axis, and their players drawn there. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

from vipex_bridge.calls.document import CallDocument
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.console.picture import LEFT, RIGHT, WIDTH, Say, clean, seconds, x_of
from vipex_bridge.console.scene import Scene
from vipex_bridge.store.calls import StoredRecording

ROW, BAR, PLAYER, PLAYER_WIDTH = 84.0, 12.0, 54.0, 320.0


@dataclass(frozen=True, slots=True)
class Track:
    """A recording from `start` to `end` (epoch seconds), to be fetched by `reference`."""

    reference: str
    name: str
    start: float
    end: float


def tracks(
    recordings: Sequence[StoredRecording], document: CallDocument | None, record: CallRecord | None
) -> list[Track]:
    """The call's recordings, each where it began: when it was named, else when its leg was answered."""
    if document is None:
        return []
    parts = {part.id: part for part in (*document.legs, *document.all_legs, document.main)}
    named = {n.value: n.at for n in reversed(record.notes)} if record is not None else {}
    found = []
    for kept in recordings:
        part = parts.get(kept.part_id or 0, document.main)
        answered = part.answer_time if part.answer_time is not None else part.start_time
        start = named.get(kept.path, answered)
        found.append(
            Track(kept.reference, PurePosixPath(kept.path).name, start, max(start, part.hangup_time))
        )
    return found


def player(scene: Scene, sounds: Sequence[Track], say: Say) -> str:
    """The recordings' players under the picture's own axis, as an SVG element."""
    rows = "".join(_row(scene, track, ROW * number, say) for number, track in enumerate(sounds))
    box = f"0 0 {LEFT + WIDTH + RIGHT:g} {ROW * len(sounds):g}"
    return f'<svg class="picture players" xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{rows}</svg>'


def _row(scene: Scene, track: Track, y: float, say: Say) -> str:
    left, right = x_of(scene, track.start), x_of(scene, track.end)
    begins = max(0.0, track.start - scene.start)
    lasts = f"{seconds(begins)} – {seconds(max(begins, track.end - scene.start))}"
    label = f"{say('Recording')} {lasts}"
    wide, length = max(2.0, right - left), max(0.001, scene.end - scene.start)
    at = min(left, LEFT + WIDTH + RIGHT - PLAYER_WIDTH)
    return (
        f'<g class="recording"><text class="who" x="4" y="{y + BAR + 2:g}">{clean(say("Recording"))}</text>'
        f'<text class="when" x="4" y="{y + BAR + 20:g}" data-at="{begins:.3f}">{lasts}</text>'
        f'<rect class="bar" x="{left:g}" y="{y + 2:g}" width="{wide:.2f}" height="{BAR:g}"/>'
        f'<line class="playhead" x1="{left:g}" y1="{y:g}" x2="{left:g}" y2="{y + BAR + 4:g}"'
        f' data-from="{left:g}" data-to="{LEFT + WIDTH:g}" data-second="{WIDTH / length:.4f}"/>'
        f'<foreignObject x="{at:g}" y="{y + BAR + 8:g}" width="{PLAYER_WIDTH:g}" height="{PLAYER:g}">'
        f'<audio controls preload="metadata" aria-label="{clean(f"{label}: {track.name}")}"'
        f' src="/api/v1/recordings/{quote(track.reference, safe="")}"></audio></foreignObject></g>'
    )
