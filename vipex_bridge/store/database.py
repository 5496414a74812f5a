"""Which database system keeps the state, and what the store needs of any."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from vipex_bridge.errors import StoreError
from vipex_bridge.store import engine
from vipex_bridge.store.postgresql import PostgresqlServer
from vipex_bridge.store.sqlite_file import SqliteFile


class Database(Protocol):
    """One state database, for one node."""

    name: str
    """As the operator is told it, without a password."""

    def trouble(self) -> str | None:
        """Why there is nothing to look into yet, None when there is. Raises StoreError where none can be."""

    def holder(self) -> str | None:
        """The bridge that has it under this node's name; None when none has."""

    def open(self, undo: ExitStack, *, alone: bool) -> Engine:
        """Open it, `alone` as the one bridge of this node; `undo` closes it. Raises StoreError."""

    def reading(self, opened: Engine) -> Engine:
        """The same, for looks at the last commit."""

    def transactions(
        self, writing: Engine, undo: ExitStack
    ) -> Callable[[], AbstractContextManager[Connection]]:
        """What begins a transaction that writes; they come one after the other, from any thread."""

    def preparing(self, connection: Connection) -> AbstractContextManager[None]:
        """Around the first transaction, which makes the tables or brings them up to date."""

    def failures(self) -> AbstractContextManager[None]:
        """Make whatever the database raises a StoreError of one line that says what to do."""

    def keep(self, reading: Callable[[], AbstractContextManager[Connection]]) -> None:
        """Every few seconds: write down what must be known when this bridge, or its store, is lost.

        Raises StoreDamaged when the bridge has to start anew, StoreError.
        """

    def may_take_over(self) -> bool:
        """Whether other bridges may be judged by their silence now."""

    def tidy(self, dropped: int, now: float) -> None:
        """After so many calls and deliveries had their data dropped. Raises StoreError."""

    def size_bytes(self, connection: Connection) -> int:
        """How large it is."""


def of(url: str, node: str) -> Database:
    """The database that `store` names. Raises StoreError for what is no such URL; never shows the URL."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError(_WRITE) from None
    if parsed.get_backend_name() == "postgresql":
        if not parsed.database:
            raise StoreError("store names no database: write postgresql://USER:PASSWORD@HOST/DATABASE")
        return PostgresqlServer(parsed, node)
    return SqliteFile(engine.path_of(url), node)


_WRITE = "store is not a database URL: write sqlite:////path/to/state.db or postgresql://USER:PASSWORD@HOST/DATABASE"
