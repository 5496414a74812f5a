"""The laboratory's Asterisk with CSV files as its only place for CDRs and channel events."""

from __future__ import annotations

import shutil
from pathlib import Path

from laboratory import SHIPPED, Asterisk

_CSV_SECTION = "\n[csv]\nusegmtime = no\nloguniqueid = yes\nnewcdrcolumns = yes\n"
"""What docs/sources.md says that cdr.conf needs."""
_SOURCES = """
  cdr: {{source: 'csv://{cdr.parent}/FOLDER/Master.csv', poll: 250ms, settle: 1s}}
  cel: {{source: 'csv://{cdr.parent}/cel-custom/Master.csv', poll: 250ms}}
"""
_SQLITE = ("cdr_sqlite3_custom", "cel_sqlite3_custom")


class WrittenToFiles:
    """Has Asterisk write its CDR by that module (`cdr_csv` or `cdr_custom`), and CEL by `cel_custom`."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.folder = module.replace("_", "-")

    @property
    def sources(self) -> str:
        """The bridge's configuration of them; `cdr` is the file that the laboratory's table would be."""
        return _SOURCES.replace("FOLDER", self.folder)

    def files(self, asterisk: Asterisk) -> list[Path]:
        """The CDR's file and that of channel events."""
        log = asterisk.cdr_database.parent
        return [log / self.folder / "Master.csv", log / "cel-custom/Master.csv"]

    def rows(self, asterisk: Asterisk) -> int:
        """How many CDR rows Asterisk has written since the file was begun."""
        file = self.files(asterisk)[0]
        return file.read_bytes().count(b"\n") if file.exists() else 0

    def prepare(self, folder: Path) -> None:
        """Writes Asterisk's files."""
        etc = folder / "etc"
        modules = (etc / "modules.conf").read_text("utf-8")
        for name in _SQLITE:
            modules = modules.replace(f"load => {name}.so\n", "")
        loaded = "".join(f"load => {name}.so\n" for name in (self.module, "cel_custom"))
        (etc / "modules.conf").write_text(modules + loaded, "utf-8")
        shutil.copy(SHIPPED / "cel_custom.conf", etc)
        if self.module == "cdr_custom":
            shutil.copy(SHIPPED / "cdr_custom.conf", etc)
        else:
            with (etc / "cdr.conf").open("a", encoding="utf-8") as conf:
                conf.write(_CSV_SECTION)
        for name in ("cdr-csv", "cdr-custom", "cel-custom"):
            (folder / "log" / name).mkdir(exist_ok=True)
