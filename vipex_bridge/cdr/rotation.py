"""Files that a log rotation moved away from a CDR source's place: rows not yet read may be in them.

Asterisk goes on writing to a file that was renamed until its module is reloaded.
"""

from __future__ import annotations

from pathlib import Path

_SQLITE_HEAD = b"SQLite format 3\0"
_MOST_FILES = 30


def moved_away(path: Path) -> list[Path]:
    """The SQLite files beside `path` whose names begin as its does (master.db.1, master-20261123.db).

    The one written to last comes last; of very many only the latest.
    """
    try:
        beside = [
            file
            for file in path.parent.iterdir()
            if file.name != path.name and file.name.startswith(path.stem) and _is_sqlite(file)
        ]
        return sorted(beside, key=lambda file: file.stat().st_mtime)[-_MOST_FILES:]
    except OSError:
        return []


def _is_sqlite(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        return opened.read(len(_SQLITE_HEAD)) == _SQLITE_HEAD
