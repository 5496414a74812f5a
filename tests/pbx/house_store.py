"""Where a house's bridge keeps its state: a file of SQLite; VIPEX_LAB_STORE=postgresql: a database there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from laboratory import LaboratoryError
from sql_servers import SqlServer, postgresql

KIND = os.environ.get("VIPEX_LAB_STORE", "sqlite")
_open = ExitStack()
_servers: list[SqlServer] = []


@contextmanager
def new_store(folder: Path) -> Iterator[str]:
    """The URL of an empty store for one house."""
    if KIND == "sqlite":
        yield f"sqlite:///{folder}/state.db"
    elif KIND == "postgresql":
        if not _servers:
            _servers.append(_open.enter_context(postgresql()))
        with _servers[0].database() as url:
            yield url
    else:
        raise LaboratoryError(f"VIPEX_LAB_STORE is sqlite or postgresql, not {KIND}")


def close_servers() -> None:
    """Ends the server that all houses of this process had their databases in, if there was one."""
    _servers.clear()
    _open.close()
