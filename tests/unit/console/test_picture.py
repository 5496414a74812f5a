"""The picture of a call: sound SVG with every part inside its axis and named, whatever the names hold."""

from __future__ import annotations

from itertools import combinations
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from vipex_bridge.console.picture import LEFT, RIGHT, WIDTH, picture, seconds, ticks, x_of
from vipex_bridge.console.scene import Doing, Lane, Mark, Scene, Span, of_document, settled
from vipex_bridge.render.sample import inbound_document

SVG = "{http://www.w3.org/2000/svg}"
NAMES = st.text(max_size=60) | st.sampled_from(
    ["</text><script>alert(1)</script>", '"><svg onload="x">', "&lt;", "\ud800", "\0", "]]>", "\u202e251"]
)


def plain(text: str) -> str:
    return text


def parsed(svg: str) -> etree._Element:
    return etree.fromstring(svg.encode(), etree.XMLParser(resolve_entities=False))


def test_the_inbound_example_is_drawn_at_its_exact_seconds() -> None:
    scene = of_document(inbound_document(ZoneInfo("Europe/Budapest")))
    root = parsed(picture(scene, plain, title="Call 91059"))
    lanes = root.findall(f"{SVG}g")[1:]
    assert [lane.findtext(f"{SVG}title") for lane in lanes] == [
        "Caller 3642999425",
        "Extension 200",
        "Extension 221",
        "Extension 251",
    ]
    bars = {
        (number, bar.get("x"), bar.get("width"))
        for number, lane in enumerate(lanes)
        for bar in lane.iter(f"{SVG}rect")
    }
    # 16 s are 760 units wide, from 170 on: a second is 47.5.
    assert bars == {
        (0, "360", "380"),
        (0, "740", "190"),
        (1, "170", "190"),
        (3, "360", "380"),
        (3, "740", "190"),
    }
    texts = [text.text for lane in lanes for text in lane.iter(f"{SVG}text")]
    assert texts == [
        "Caller 3642999425", "IVR 1,2", "queue 18", "talking",
        "Extension 200", "ringing",
        "Extension 221", "dialled",
        "Extension 251", "ringing", "talking",
    ]  # fmt: skip
    assert "Extension 251: ringing 4 s – 12 s, talking 12 s – 16 s" in (root.findtext(f"{SVG}desc") or "")


SCENES = st.builds(
    lambda names, length: Scene(
        100.0,
        100.0 + length,
        tuple(
            Lane(
                role,
                name,
                settled(
                    [Span(doing, 100.0 + at, 100.0 + at + long, name) for doing, at, long in spans],
                    100.0,
                    100.0 + length,
                ),
                (Mark("transfer", 100.0 + length / 2, name),),
            )
            for role, name, spans in names
        ),
    ),
    st.lists(
        st.tuples(
            st.sampled_from(["caller", "called", "extension"]),
            NAMES,
            st.lists(
                st.tuples(st.sampled_from(list(Doing)), st.floats(0, 4000), st.floats(0, 4000)), max_size=5
            ),
        ),
        max_size=4,
    ),
    st.floats(0, 1e6),
)


def is_small(text: etree._Element) -> bool:
    return "small" in (text.get("class") or "")


def reach(text: etree._Element) -> set[int]:
    """The units of the axis that a small text lies over, were its letters as narrow as they may be."""
    x, wide = float(text.attrib["x"]), 4 * len(text.text or "")
    left = x - wide if text.get("text-anchor") == "end" else x
    return set(range(round(left) + 1, round(left + wide)))


@given(SCENES, NAMES)
def test_whatever_the_names_it_is_xml_of_our_own_elements_inside_the_axis(scene: Scene, title: str) -> None:
    root = parsed(picture(scene, plain, title=title))
    ours = {"svg", "title", "desc", "defs", "pattern", "g", "line", "rect", "text", "polygon"}
    for element in root.iter():
        assert etree.QName(element).localname in ours
        assert not [name for name in element.attrib if str(name).startswith("on") or name == "style"]
        if etree.QName(element).localname == "rect":
            x, width = float(element.attrib["x"]), float(element.attrib["width"])
            assert x >= LEFT - 0.01 and x + width <= LEFT + WIDTH + 0.01
        if etree.QName(element).localname == "text":
            assert 0 <= float(element.attrib["x"]) <= LEFT + WIDTH + RIGHT
    drawn = [g for g in root.iter(f"{SVG}g") if (g.get("class") or "").startswith("span")]
    assert len(drawn) == sum(len(lane.spans) for lane in scene.lanes)
    assert all(g.findtext(f"{SVG}title") for g in drawn)
    for lane in (g for g in root.iter(f"{SVG}g") if (g.get("class") or "").startswith("lane")):
        for one, other in combinations([text for text in lane.iter(f"{SVG}text") if is_small(text)], 2):
            assert one.get("y") != other.get("y") or not (reach(one) & reach(other))


@given(st.floats(0, 1e7))
def test_the_axis_is_marked_a_few_times(length_s: float) -> None:
    marked = ticks(length_s)
    assert 1 <= len(marked) <= 10
    assert marked[0] == 0
    assert marked[-1] <= length_s


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(1, 1e6))
def test_what_is_later_is_drawn_further_right(one: float, other: float, length: float) -> None:
    scene = Scene(0.0, length, ())
    early, late = sorted([one, other])
    assert LEFT <= x_of(scene, early) <= x_of(scene, late) <= LEFT + WIDTH


def test_lengths_read_as_people_write_them() -> None:
    assert [seconds(s) for s in (0, 4.03, 59.94, 59.97, 65, 3605)] == [
        "0 s", "4 s", "59.9 s", "1:00", "1:05", "1:00:05",
    ]  # fmt: skip
