"""The files that are shipped for Asterisk's side, as the package has them: `etc/` and `agi/`."""

from __future__ import annotations

from importlib import resources

_FOLDERS = {
    "asterisk": (
        "cdr.conf", "cdr_sqlite3_custom.conf", "cel.conf", "cel_sqlite3_custom.conf", "extensions_vipex.conf",
        "manager.d/vipex.conf",
    ),
    "vipex-bridge": ("config.yaml",),
    "agi": ("vipex-lookup", "vipex-notify", "vipex_agi.py"),
}  # fmt: skip


def texts() -> dict[str, str]:
    """Each file's text by its name, `manager.d/` included."""
    room = resources.files("vipex_bridge.setup") / "files"
    return {
        name: room.joinpath(folder, *name.split("/")).read_text("utf-8")
        for folder, names in _FOLDERS.items()
        for name in names
    }
