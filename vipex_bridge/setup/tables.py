"""The CDR and CEL tables that Asterisk writes into SQLite files, by its own configuration. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vipex_bridge.setup.conf import Category, Conf, read
from vipex_bridge.setup.plan import Draft, Own, Table

_VALUE = re.compile(r"'((?:[^'\\]|\\.)*)'")
_NEEDED = {
    "cdr": (("uniqueid",), ("channel",), ("start", "end")),
    "cel": tuple(
        (name,) for name in ("eventtype", "eventtime", "channame", "uniqueid", "linkedid", "eventextra")
    ),
}
"""What the bridge cannot do without: one of each."""


class _OneFile:
    """A text as the only file there is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def text(self, path: str) -> str | None:
        """The text, whatever the path."""
        del path
        return self._text

    def matching(self, pattern: str) -> list[str]:
        """None: it includes nothing."""
        del pattern
        return []


def shipped_conf(text: str) -> Conf:
    """One of the shipped files, read."""
    return read("shipped", "/", _OneFile(text))


def table(draft: Draft, kind: str, ours: frozenset[str]) -> Table | None:
    """The table for `kind` (cdr or cel), of which the bridge reads the columns `ours`.

    The one that Asterisk writes already, else the shipped one, which is then planned; None where there
    can be none, and `by_hand` says why.
    """
    module = f"{kind}_sqlite3_custom"
    name = f"{module}.conf"
    shipped = shipped_conf(draft.shipped[name])
    master = next(category for category in shipped.categories)
    if draft.found.modules and module not in draft.found.modules:
        draft.by_hand.append(
            f"{module}.so is not in {draft.found.modules_folder}: install it (it comes with Asterisk's "
            f"modules), then run this again: without it there is no {kind.upper()} to read"
        )
        return None
    conf = draft.conf(name)
    if conf.faults:
        draft.by_hand += [f"{fault}. Until then there is no {kind.upper()} table" for fault in conf.faults]
        return None
    _loading(draft, module)
    written = next((c for c in conf.categories if not c.is_template and _of(conf, c, "columns")), None)
    if written is not None:
        return _written(draft, conf, written, kind, _pairs(shipped, master), ours)
    _plan_table(draft, name, conf)
    return Table(f"{draft.found.log}/master.db", kind, {})


def _plan_table(draft: Draft, name: str, conf: Conf) -> None:
    text = draft.shipped[name]
    what = "the table that the bridge reads"
    if not conf.exists:
        draft.own.append(Own(draft.path(name), text, what))
    else:
        own = f"vipex_{name}"
        if "master" in draft.known_before(name, own):
            text = text.replace("[master]\n", "[master](+)\n", 1)
        draft.own.append(Own(draft.path(own), text, what))
        draft.include(name, own)
    module = name.removesuffix(".conf")
    draft.commands += [f"module load {module}.so", f"module reload {module}.so"]


def _loading(draft: Draft, module: str) -> None:
    """Sees to it that Asterisk loads the module at its start."""
    found = draft.found
    if not found.modules or module in found.loaded:
        return
    conf = draft.conf("modules.conf")
    unwanted = next(
        (
            s
            for s in conf.settings("modules")
            if s.key.lower() == "noload" and s.value.removesuffix(".so") == module
        ),
        None,
    )
    if unwanted is not None:
        draft.by_hand.append(
            f"{unwanted.place}: take out `noload => {module}.so`: the bridge reads what it writes"
        )
        return
    # Newer versions of the two modules stand on this one, and autoload is what would have brought it.
    wanted = [
        name for name in ("res_cdrel_custom", module) if name in found.modules and name not in found.loaded
    ]
    own = "vipex_modules.conf"
    known = "modules" in draft.known_before("modules.conf", own)
    before = next(
        (o.text for o in draft.own if o.path == draft.path(own)), f"[modules]{'(+)' if known else ''}\n"
    )
    lines = [f"load => {name}.so\n" for name in wanted if f"load => {name}.so\n" not in before]
    draft.own.append(
        Own(draft.path(own), before + "".join(lines), "modules that Asterisk loads at its start")
    )
    draft.include("modules.conf", own)
    draft.commands += [f"module load {name}.so" for name in wanted]


def _written(
    draft: Draft, conf: Conf, category: Category, kind: str, meaning: Mapping[str, str], ours: frozenset[str]
) -> Table | None:
    """The table that Asterisk writes already, with what its columns hold by their values."""
    columns = [name.strip() for name in _of(conf, category, "columns").split(",")]
    values, fields = _of(conf, category, "values"), _of(conf, category, "fields")
    place = f"{conf.path}, [{category.name}]"
    if values:
        held = [meaning.get(value.strip(), "") for value in _VALUE.findall(values)]
    else:
        held = [said.strip().lower().partition("(")[0] for said in fields.split(",")]
    if len(held) != len(columns):
        draft.by_hand.append(
            f"{place}: {len(columns)} columns and {len(held)} values: Asterisk refuses the table"
        )
        return None
    named = {what: column for what, column in zip(held, columns, strict=True) if what in ours}
    for needed in _NEEDED[kind]:
        if not any(what in named for what in needed):
            draft.by_hand.append(
                f"{place}: no column holds {' or '.join(needed)}, without which the bridge cannot read it: "
                f"add it there and to the table (etc/asterisk/{kind}_sqlite3_custom.conf has an example)"
            )
            return None
    lacking = sorted(ours - named.keys())
    if lacking:
        draft.by_hand.append(
            f"{place}: the bridge would also read {', '.join(lacking)}: add what you want of it there and to "
            "the table"
        )
    other = {what: named.get(what) for what in sorted(ours) if named.get(what, "") != what}
    name = category.name if category.name.startswith("/") else f"{draft.found.log}/{category.name}.db"
    return Table(name, _of(conf, category, "table") or kind, other)


def _pairs(conf: Conf, category: Category) -> dict[str, str]:
    """What stands for which of our columns, by the shipped file."""
    columns = [name.strip() for name in _of(conf, category, "columns").split(",")]
    return dict(zip(_VALUE.findall(_of(conf, category, "values")), columns, strict=True))


def _of(conf: Conf, category: Category, key: str) -> str:
    return next((s.value for s in conf.all_of(category) if s.key.lower() == key), "")
