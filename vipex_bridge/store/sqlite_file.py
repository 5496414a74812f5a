"""The state database as an SQLite file: one bridge's own, with what is kept beside it for when it is lost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection, Engine

from vipex_bridge.errors import StoreDamaged
from vipex_bridge.store import calls, damage, engine, privacy, progress
from vipex_bridge.store.progress import Progress

_OWN_FILES = ("", "-wal")


class SqliteFile:
    """One file, for one node. See `store.database` for what each method is for."""

    def __init__(self, path: Path, node: str) -> None:
        self.path = path
        self.name = str(path)
        self._node = node
        self._known: Progress | None = None
        self._damage = ""
        self._to_compact, self._compacted_at = False, 0.0

    def trouble(self) -> str | None:
        """Why there is nothing to look into yet. Raises StoreError where no database can be."""
        engine.check_place(self.path)
        return None if self.path.exists() else "is not there yet: the bridge makes it at its first start"

    def holder(self) -> str | None:
        """The bridge that has it open."""
        return engine.holder(self.path)

    def open(self, undo: contextlib.ExitStack, *, alone: bool) -> Engine:
        """Locks it when `alone`, sets a damaged one aside, and opens it."""
        engine.check_place(self.path)
        if alone:
            undo.enter_context(engine.lock(self.path, self._node))
            self._known = progress.read(self.path)
            damage.clear_the_way(self.path, self._known, time.time())
        with self.failures():
            opened = engine.open_engine(self.path)
            undo.callback(opened.dispose)
        return opened

    def reading(self, opened: Engine) -> Engine:
        """The same: a look is a transaction, which no writer disturbs."""
        return opened

    def transactions(
        self, writing: Engine, undo: contextlib.ExitStack
    ) -> Callable[[], contextlib.AbstractContextManager[Connection]]:
        """All on one connection: to take one from the pool and give it back costs more than a commit."""
        kept = undo.enter_context(writing.connect())

        @contextlib.contextmanager
        def transaction() -> Iterator[Connection]:
            with kept.begin():
                yield kept

        return transaction

    @contextlib.contextmanager
    def preparing(self, connection: Connection) -> Iterator[None]:
        """Around the look at its tables; afterwards it goes on from where the bridge had come to."""
        yield
        damage.make_good(connection, self.path, self._node, self._known)

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """Whatever it raises as a StoreError of one line; damage is remembered."""
        try:
            with engine.failures_of(self.path):
                yield
        except StoreDamaged as error:
            self._damage = str(error)
            raise

    def keep(self, reading: Callable[[], contextlib.AbstractContextManager[Connection]]) -> None:
        """Writes beside it what the next start needs if it is lost.

        Raises StoreDamaged once damage was met, after noting that for the next start.
        """
        with engine.failures_of(self.path):
            if self._damage:
                before = progress.read(self.path) or Progress(1, time.time())
                progress.write(self.path, replace(before, damaged=self._damage))
                raise StoreDamaged(self._damage)
            with reading() as connection:
                made = Progress(calls.next_id(connection), calls.undelivered_since(connection, time.time()))
            progress.write(self.path, made)

    def may_take_over(self) -> bool:
        """Never: it is one bridge's own."""
        return False

    def tidy(self, dropped: int, now: float) -> None:
        """After data were dropped: out of the file's unused pages and out of its log with them."""
        self._to_compact |= dropped > 0
        is_due = self._to_compact and abs(now - self._compacted_at) >= privacy.COMPACT_EVERY_S
        hour = time.localtime(now).tm_hour
        if is_due and privacy.can_be_compacted(self.path.stat().st_size, hour):
            privacy.compact(self.path)
            self._to_compact, self._compacted_at = False, now
        privacy.empty_log(self.path)

    def size_bytes(self, connection: Connection) -> int:
        """What it takes on the disk."""
        del connection
        sizes = 0
        for ending in _OWN_FILES:
            with contextlib.suppress(OSError):
                sizes += self.path.with_name(self.path.name + ending).stat().st_size
        return sizes
