"""Where lookups run: each at once, in threads that are used again and do not stay."""

from __future__ import annotations

import threading

import pytest

from vipex_bridge.lookup import threads
from vipex_bridge.lookup.threads import Threads

WITHIN_S = 10.0


def test_none_waits_for_another() -> None:
    together = threading.Barrier(41)
    pool = Threads()
    for _ in range(40):
        pool.run("lookup-crm", lambda: _meet(together))
    together.wait(WITHIN_S)
    assert not together.broken


def test_a_thread_that_is_free_is_used_again_under_another_name() -> None:
    pool = Threads()
    seen: list[tuple[int, str]] = []
    for name in ("lookup-crm", "lookup-erp", "lookup-crm"):
        done = threading.Event()

        def work(done: threading.Event = done) -> None:
            seen.append((threading.get_ident(), threading.current_thread().name))
            done.set()

        pool.run(name, work)
        assert done.wait(WITHIN_S)
        _until_free(pool)
    assert [name for _, name in seen] == ["lookup-crm", "lookup-erp", "lookup-crm"]
    assert len({thread for thread, _ in seen}) == 1


def test_what_is_idle_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "IDLE_S", 0.01)
    pool = Threads()
    ran: list[threading.Thread] = []
    for _ in range(3):
        done = threading.Event()

        def work(done: threading.Event = done) -> None:
            ran.append(threading.current_thread())
            done.set()

        pool.run("lookup-crm", work)
        assert done.wait(WITHIN_S)
        ran[-1].join(WITHIN_S)
        assert not ran[-1].is_alive()


def test_work_that_comes_just_as_threads_end_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "IDLE_S", 0.0001)
    pool = Threads()
    done = threading.Semaphore(0)
    for _ in range(2_000):
        pool.run("lookup-crm", done.release)
    for _ in range(2_000):
        assert done.acquire(timeout=WITHIN_S)


def _meet(together: threading.Barrier) -> None:
    together.wait(WITHIN_S)


def _until_free(pool: Threads) -> None:
    """The thread has said that its work is done before it says that it is free."""
    met = threading.Event()
    while not pool.is_one_free():
        met.wait(0.001)
