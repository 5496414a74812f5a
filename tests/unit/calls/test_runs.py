"""Calls of several runs of Asterisk in one reading: names that come again do not make them one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from stored import row

from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.calls.testimony import groups

BEGAN = 1_795_000_000


def _call(run: int, number: int) -> CdrRow:
    """A call of that run: its channels are numbered from 0 again."""
    at = BEGAN + run * 3600 + number
    names = {"channel": f"PJSIP/trunk-{2 * number:08x}", "dstchannel": f"PJSIP/252-{2 * number + 1:08x}"}
    return row(f"{at}.{2 * number}", number, start=float(at), end=at + 9.0, **names)


@given(st.lists(st.integers(10, 60), min_size=1, max_size=4), st.randoms())
def test_each_call_of_every_run_is_one_of_its_own(calls: list[int], chances: object) -> None:
    rows = [_call(run, number) for run, count in enumerate(calls) for number in range(count)]
    chances.shuffle(rows)  # type: ignore[attr-defined]
    assert [len(group) for group in groups(rows)] == [1] * len(rows)


def test_a_channel_that_is_dialled_and_then_dials_is_one_call_in_any_run() -> None:
    for run in (0, 1):
        dialled = _call(run, 20)
        goes_on = row(
            f"{BEGAN + run * 3600 + 20}.41",
            99,
            start=dialled.start,
            channel=dialled.dstchannel,
            dstchannel="",
        )
        earlier = [_call(0, number) for number in range(30, 40)] if run else []
        assert sorted(len(group) for group in groups([*earlier, dialled, goes_on]))[-1] == 2


def test_channels_of_one_moment_are_no_restart() -> None:
    """Their numbers may be out of order by a few."""
    rows = [row(f"{BEGAN + second}.{counter}", counter) for second, counter in ((0, 101), (1, 100), (1, 102))]
    assert len(groups(rows)) == 1, "they share their channels' names"


def test_two_systems_in_one_table_are_told_apart() -> None:
    one = [row(f"pbx1-{BEGAN + n}.{100 + n}", n, channel=f"a-{n // 2}", dstchannel="") for n in range(4)]
    two = [row(f"pbx2-{BEGAN + n}.{n}", n, channel=f"b-{n // 2}", dstchannel="") for n in range(4)]
    assert sorted(len(group) for group in groups([*one, *two])) == [2, 2, 2, 2]
