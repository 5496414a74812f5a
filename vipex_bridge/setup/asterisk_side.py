"""Asterisk's side of the plan: the AMI user, CDR and CEL, the dialplan's routines, the AGI scripts. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from vipex_bridge.config.presets import CDR_PRESETS, CEL_COLUMNS
from vipex_bridge.setup.conf import Conf, is_true
from vipex_bridge.setup.found import AMI_USER
from vipex_bridge.setup.plan import WRITTEN, Draft, Own, Table
from vipex_bridge.setup.tables import shipped_conf, table

USERNAME = "vipex"
SCRIPTS = ("vipex-lookup", "vipex-notify", "vipex_agi.py")
_READ = ("system", "call", "agent", "dialplan")
_WRITE = ("reporting",)
_AGI_LISTEN = "127.0.0.1:4573"
_STRFTIME = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%D": "%m/%d/%y", "%R": "%H:%M"}
"""What Asterisk's date formats have for short."""


@dataclass(frozen=True, slots=True)
class AmiUser:
    """How the bridge logs in. The secret is kept apart."""

    host: str
    port: int
    username: str = USERNAME


def known_secret(draft: Draft) -> str | None:
    """The secret that the AMI user has already."""
    user = draft.found.ami_user
    return user.value(USERNAME, "secret") or draft.conf("manager.conf").value(USERNAME, "secret")


def ami(draft: Draft, secret: str) -> AmiUser:
    """Plans the AMI user, with `secret` unless it is the operator's own."""
    conf = draft.conf("manager.conf")
    bound = conf.value("general", "bindaddr") or ""
    host = "127.0.0.1" if bound in ("", "0.0.0.0", "::", "[::]", "*") else bound  # noqa: S104 -- is compared
    port = conf.value("general", "port") or ""
    if not conf.exists:
        general = "[general]\nenabled = yes\nbindaddr = 127.0.0.1\ntimestampevents = yes\n"
        own = f'{WRITTEN}{general}#include "{AMI_USER}"\n'
        draft.own.append(Own(conf.path, own, "the manager interface, for this machine alone"))
    if conf.has(USERNAME):
        draft.by_hand += permissions_lacking(conf, USERNAME)
    else:
        text = draft.shipped[AMI_USER].replace("secret = change-me", f"secret = {secret}", 1)
        if not _is_loopback(host):
            text = text.replace("permit = ", f"permit = {host}\npermit = ", 1)
        if conf.exists:
            text += _manager_general(draft)
            draft.include("manager.conf", AMI_USER)
        draft.own.append(Own(draft.path(AMI_USER), text, "the AMI user, with a secret of its own", 0o640))
    draft.commands.append("manager reload")
    return AmiUser(host, int(port) if port.isdecimal() and 0 < int(port) < 65_536 else 5038)


def permissions_lacking(manager: Conf, username: str) -> Iterator[str]:
    """What an AMI user may not do although the bridge needs it: where it is written, and what to write."""
    for key, wanted in (("read", _READ), ("write", _WRITE)):
        said = [s for s in manager.settings(username) if s.key.lower() == key]
        granted = {part.strip() for s in said for part in s.value.lower().split(",")}
        if "all" not in granted and not granted.issuperset(wanted):
            place = said[0].place if said else manager.path
            yield f"{place}: [{username}] needs `{key} = {','.join(wanted)}`"


def _manager_general(draft: Draft) -> str:
    """What [general] of manager.conf lacks, as our own file can add it; else it is told."""
    return _lacking(draft, "manager.conf", AMI_USER, {"enabled": "yes", "timestampevents": "yes"})


def _lacking(draft: Draft, name: str, own: str, wanted: dict[str, str]) -> str:
    """Lines for `own` that set in [general] of `name` what is not set there.

    What is set otherwise is left, and told.
    """
    conf = draft.conf(name)
    missing: list[str] = []
    for key, value in wanted.items():
        said = conf.setting("general", key)
        if said is None:
            missing.append(f"{key} = {value}\n")
        elif is_true(said.value) != is_true(value):
            draft.by_hand.append(f"{said.place}: write `{key} = {value}` in place of `{key} = {said.value}`")
    if not missing:
        return ""
    if "general" in draft.known_before(name, own):
        return f"[general](+)\n{''.join(missing)}"
    if not conf.has("general"):
        return f"[general]\n{''.join(missing)}"
    draft.by_hand.append(f"{conf.path}: add to [general]: {', '.join(line.strip() for line in missing)}")
    return ""


def cdr(draft: Draft) -> Table | None:
    """Plans the CDR's settings and its table."""
    conf = draft.conf("cdr.conf")
    if not conf.exists:
        draft.own.append(
            Own(conf.path, draft.shipped["cdr.conf"], "unanswered calls are written, and at once")
        )
    else:
        wanted = {s.key: s.value for s in shipped_conf(draft.shipped["cdr.conf"]).settings("general")}
        lines = _lacking(draft, "cdr.conf", "vipex_cdr.conf", wanted)
        if lines:
            what = "unanswered calls are written, and at once"
            if draft.found.back_ends:
                what += f" (also by {', '.join(draft.found.back_ends)})"
            draft.own.append(Own(draft.path("vipex_cdr.conf"), WRITTEN + lines, what))
            draft.include("cdr.conf", "vipex_cdr.conf")
    found = table(draft, "cdr", frozenset(CDR_PRESETS["sqlite3_custom"].columns))
    draft.commands.insert(0, "module reload cdr")
    return found


def cel(draft: Draft) -> Table | None:
    """Plans channel event logging and its table."""
    found = table(draft, "cel", frozenset(CEL_COLUMNS))
    if found is None:
        return None
    conf = draft.conf("cel.conf")
    draft.commands.append("module reload cel")
    what = "what the bridge reads of calls that AMI did not see whole"
    if not conf.exists:
        draft.own.append(Own(conf.path, draft.shipped["cel.conf"], what))
        return found
    lines = _lacking(draft, "cel.conf", "vipex_cel.conf", {"enable": "yes"})
    lists = [f"{key} = {','.join(lacks)}\n" for key in ("apps", "events") if (lacks := _unlisted(draft, key))]
    if lists:
        if not lines:
            known = "general" in draft.known_before("cel.conf", "vipex_cel.conf")
            lines = "[general](+)\n" if known else "[general]\n"
        # Asterisk adds up what several lines name (cel.c, `events_handler` and `apps_handler`).
        lines += "".join(lists)
    if lines:
        draft.own.append(Own(draft.path("vipex_cel.conf"), WRITTEN + lines, what))
        draft.include("cel.conf", "vipex_cel.conf")
    dateformat = conf.value("general", "dateformat")
    if dateformat:
        for short, long in _STRFTIME.items():
            dateformat = dateformat.replace(short, long)
        return Table(found.file, found.name, found.columns, dateformat)
    return found


def _unlisted(draft: Draft, key: str) -> list[str]:
    """Which of the shipped apps or events cel.conf does not name."""
    shipped = shipped_conf(draft.shipped["cel.conf"]).value("general", key) or ""
    settings = (s for s in draft.conf("cel.conf").settings("general") if s.key.lower() == key)
    named = {name.strip().lower() for s in settings for name in s.value.split(",")}
    return [name for name in shipped.split(",") if name.lower() not in named and "all" not in named]


def dialplan(draft: Draft) -> str:
    """Plans the routines; gives where the dialplan will look for the bridge, `HOST:PORT`."""
    conf = draft.conf("extensions.conf")
    name = "extensions_vipex.conf"
    draft.own.append(
        Own(draft.path(name), draft.shipped[name], "the routines vipex-lookup, vipex-notify, ...")
    )
    draft.include("extensions.conf", name)
    draft.commands.append("dialplan reload")
    address = conf.value("globals", "VIPEX_AGI") or ""
    return address.removeprefix("agi://").partition("/")[0] or _AGI_LISTEN


def scripts(draft: Draft, python: str) -> None:
    """Plans the AGI scripts, run by that Python."""
    for name in SCRIPTS:
        first, _, rest = draft.shipped[name].partition("\n")
        text = f"#!{python} -I\n{rest}" if first.startswith("#!") else draft.shipped[name]
        what = "for AGI(vipex-lookup,...)" if name != "vipex-notify" else "for AGI(vipex-notify,...)"
        mode = 0o644 if name.endswith(".py") else 0o755
        draft.own.append(Own(f"{draft.found.agi_bin}/{name}", text, what, mode))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
