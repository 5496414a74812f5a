"""A call as a picture: its scene drawn as SVG text, every part named in words. Pure.

Colours, light and dark, come from the style sheet by class; nothing is told by colour alone, and the
drawing holds no style of its own, as the pages' Content-Security-Policy asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from math import ceil

from vipex_bridge.console.scene import Doing, Lane, Mark, Scene, Span
from vipex_bridge.render.escape import sound

Say = Callable[[str], str]
"""Gives an English text in the reader's language."""

LEFT, WIDTH, RIGHT = 170.0, 760.0, 30.0
"""The lanes' names, the time axis, and the room to its right, in the drawing's units."""
TOP, LANE, BAR, FOOT = 16.0, 60.0, 26.0, 34.0
_LETTER, _SMALL = 7.6, 6.6
"""A letter's width in either size, on the safe side."""
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MOST_TICKS = 9
_LONGEST_NAME = 40


def _words() -> dict[str, str]:
    """What is said of each kind of span and mark; `_` marks the texts for the translators."""

    def _(text: str) -> str:
        return text

    return {
        "hold": _("on hold"),
        "parked": _("parked"),
        "talking": _("talking"),
        "ringing": _("ringing"),
        "dialling": _("dialled"),
        "queue": _("queue"),
        "ivr": _("IVR"),
        "connected": _("connected"),
        "calling": _("calling"),
        "transfer": _("transfer to"),
        "pickup": _("picks up"),
        "caller": _("Caller"),
        "called": _("Called"),
        "extension": _("Extension"),
    }


WORDS = _words()


def clean(text: str) -> str:
    """`text` from outside as it may stand in a page or a drawing, in XML or in HTML."""
    allowed = "".join(
        c if (c >= " " or c in "\t\n") and c not in "\x7f\ufffe\uffff" else "\ufffd" for c in sound(text)
    )
    return escape(allowed)


def named(span: Span | Mark, say: Say) -> str:
    """A span or mark in words: `queue 18`, `talking`, `transfer to 252`."""
    what = span.doing.value if isinstance(span, Span) else span.what
    return f"{say(WORDS[what])} {span.detail}".rstrip()


def lane_name(lane: Lane, say: Say) -> str:
    """A lane in words: `Extension 251`."""
    return f"{say(WORDS[lane.role])} {lane.name or say('(number withheld)')}"


def seconds(span_s: float) -> str:
    """A length of time from the call's beginning, as people read it: `8 s`, `1:05`, `1:00:05`."""
    whole = round(span_s, 1)
    if whole < 60:
        return f"{whole:g} s"
    minutes, rest = divmod(round(span_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def x_of(scene: Scene, at: float) -> float:
    """Where on the time axis the moment `at` (epoch seconds) is drawn."""
    length = scene.end - scene.start
    share = (at - scene.start) / length if length > 0 else 0.0
    return round(LEFT + WIDTH * min(max(share, 0.0), 1.0), 2)


def picture(scene: Scene, say: Say, *, title: str) -> str:
    """The call as an SVG element; `title` names it to whoever does not see it."""
    height = TOP + LANE * len(scene.lanes) + FOOT
    told = "; ".join(f"{lane_name(lane, say)}: {_told(scene, lane, say)}" for lane in scene.lanes)
    drawn = "".join(_lane(scene, lane, TOP + LANE * number, say) for number, lane in enumerate(scene.lanes))
    return (
        f'<svg class="picture" role="img" aria-labelledby="picture-title picture-desc"'
        f' xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + RIGHT:g} {height:g}">'
        f'<title id="picture-title">{clean(title)}</title><desc id="picture-desc">{clean(told)}</desc>'
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse"'
        ' patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="6"/></pattern></defs>'
        f"{_axis(scene, height)}{drawn}</svg>"
    )


def _told(scene: Scene, lane: Lane, say: Say) -> str:
    """A lane's doings as a sentence of times."""
    said = [
        (
            span.start,
            f"{named(span, say)} {seconds(span.start - scene.start)} – {seconds(span.end - scene.start)}",
        )
        for span in lane.spans
    ]
    said += [(mark.at, f"{named(mark, say)} {seconds(mark.at - scene.start)}") for mark in lane.marks]
    return ", ".join(text for _at, text in sorted(said))


def ticks(length_s: float) -> list[float]:
    """Where the axis is marked, in seconds from its beginning: at most ten round moments."""
    step = next((step for step in _STEPS_S if length_s / step <= _MOST_TICKS), 0)
    if step == 0:
        step = 86400 * ceil(length_s / 86400 / _MOST_TICKS)
    return [float(step * number) for number in range(int(length_s // step) + 1)]


def _axis(scene: Scene, height: float) -> str:
    lines = []
    for tick in ticks(scene.end - scene.start):
        x = x_of(scene, scene.start + tick)
        lines.append(
            f'<line class="tick" x1="{x:g}" y1="{TOP - 4:g}" x2="{x:g}" y2="{height - FOOT:g}"/>'
            f"{_text('when', x, height - FOOT + 18, 'middle', seconds(tick))}"
        )
    return f'<g class="axis" aria-hidden="true">{"".join(lines)}</g>'


def _lane(scene: Scene, lane: Lane, y: float, say: Say) -> str:
    name, most = lane_name(lane, say), int((LEFT - 12) / _LETTER)
    shown = name if len(name) <= most else name[: most - 1] + "…"
    middle = y + LANE / 2
    above, below = _Row(), _Row()
    spans = "".join(_span(scene, span, y, above, say) for span in lane.spans)
    marks = "".join(_mark(scene, mark, y, below, say) for mark in lane.marks)
    return (
        f'<g class="lane {lane.role}"><title>{clean(name)}</title>'
        f'<text class="who" x="4" y="{middle + 5:g}">{clean(shown)}</text>'
        f'<line class="base" x1="{LEFT:g}" y1="{middle:g}" x2="{LEFT + WIDTH:g}" y2="{middle:g}"/>'
        f"{spans}{marks}</g>"
    )


def _span(scene: Scene, span: Span, y: float, above: _Row, say: Say) -> str:
    left, right = x_of(scene, span.start), x_of(scene, span.end)
    name, top = named(span, say), y + (LANE - BAR) / 2
    since, until = span.start - scene.start, span.end - scene.start
    drawn = f"<title>{clean(f'{name}, {seconds(since)} – {seconds(until)}')}</title>"
    width = round(right - left, 2)
    if width <= 0:
        drawn += f'<line class="moment" x1="{left:g}" y1="{top:g}" x2="{left:g}" y2="{top + BAR:g}"/>'
    else:
        box = f'x="{left:g}" y="{top:g}" width="{width:g}" height="{BAR:g}"'
        drawn += f'<rect class="bar" {box}/>'
        if span.doing in (Doing.HOLD, Doing.PARKED):
            drawn += f'<rect {box} fill="url(#hatch)"/>'
    if len(name) * _LETTER + 6 <= width:
        drawn += _text("what", left + width / 2, top + BAR / 2 + 5, "middle", name)
    else:
        drawn += above.beside(left, top - 4, name)
    return f'<g class="span {span.doing}" data-start="{since:.3f}" data-end="{until:.3f}">{drawn}</g>'


@dataclass(slots=True)
class _Row:
    """Names beside each other over or under a lane's bars: for those that do not fit where they belong."""

    taken: list[tuple[float, float]] = field(default_factory=list)

    def beside(self, x: float, y: float, name: str, gap: float = 0.0) -> str:
        """The name from `x` on, or up to it where the drawing ends; nothing where another name stands."""
        if len(name) > _LONGEST_NAME:
            name = name[: _LONGEST_NAME - 1] + "…"
        wide = gap + len(name) * _SMALL
        is_right = x + wide > LEFT + WIDTH + RIGHT
        left, right = (x - wide, x) if is_right else (x, x + wide)
        if any(left < other_right and other_left < right for other_left, other_right in self.taken):
            return ""
        self.taken.append((left, right))
        return _text("what small", x - gap if is_right else x + gap, y, "end" if is_right else "start", name)


def _text(kind: str, x: float, y: float, anchor: str, text: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{clean(text)}</text>'


def _mark(scene: Scene, mark: Mark, y: float, below: _Row, say: Say) -> str:
    x, top = x_of(scene, mark.at), y + (LANE - BAR) / 2
    name = named(mark, say)
    points = f"{x:g},{top + BAR:g} {x - 6:g},{top + BAR + 9:g} {x + 6:g},{top + BAR + 9:g}"
    return (
        f'<g class="mark {mark.what}" data-at="{mark.at - scene.start:.3f}">'
        f"<title>{clean(f'{name}, {seconds(mark.at - scene.start)}')}</title>"
        f'<polygon class="point" points="{points}"/>'
        f"{below.beside(x, top + BAR + 11, name, 9)}</g>"
    )
