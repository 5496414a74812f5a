"""`vipex-bridge run`, killed at a commit: `dying_bridge.py PLACES WHEN PLACE NUMBER CONFIG`.

WHEN is `before` or `after` the commit; PLACE is the function that makes it, as `room.module.function`;
NUMBER counts the commits of that place from 1. The place of every commit is added to the file PLACES.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.default import DefaultDialect

from vipex_bridge.cli.main import main
from vipex_bridge.store.engine import WRITING

PLACES = Path(sys.argv[1])
WHEN, PLACE, NUMBER, CONFIG = sys.argv[2:]

_made: Counter[str] = Counter()
_counting = threading.Lock()
_committing = threading.local()
_commit: Callable[[DefaultDialect, Any], None] = DefaultDialect.do_commit


def _place() -> str:
    """The function whose transaction this is: outside of the store, or the store's own."""
    frame = sys._getframe()
    place = "nowhere"
    while frame.f_back is not None:
        frame = frame.f_back
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith("vipex_bridge."):
            place = f"{name.removeprefix('vipex_bridge.')}.{frame.f_code.co_name}"
            # A context manager that only hands a transaction on is not its place.
            if not name.startswith("vipex_bridge.store.") and frame.f_code.co_name not in (
                "_writing",
                "writing",
            ):
                break
    return place


def _reach(when: str) -> None:
    if _committing.place == PLACE and _committing.number == int(NUMBER) and when == WHEN:
        os.kill(os.getpid(), signal.SIGKILL)


@event.listens_for(Engine, "commit")
def _begins(connection: Connection) -> None:
    _committing.place = None
    if not connection.get_execution_options().get(WRITING):
        return
    _committing.place = place = _place()
    with _counting:
        _made[place] += 1
        _committing.number = _made[place]
        with PLACES.open("a", encoding="utf-8") as places:
            places.write(f"{place}\n")
    _reach("before")


def _dies_after(self: DefaultDialect, connection: Any) -> None:
    _commit(self, connection)
    if getattr(_committing, "place", None) is not None:
        _reach("after")


DefaultDialect.do_commit = _dies_after  # type: ignore[method-assign]
sys.argv = ["vipex-bridge", "run", "--config", CONFIG]
sys.exit(main())
