"""The laboratory's telephones and trunks on chan_sip, as Asterisk up to 20 has it: `SIP/251-0000001a`."""

from __future__ import annotations

from pathlib import Path

from laboratory import HOSTS, Ports

_GENERAL = """[general]
context = nowhere
udpbindaddr = 127.0.0.1:{sip}
allowguest = no
disallow = all
allow = ulaw
directmedia = no
dtmfmode = info
session-timers = refuse
allowtransfer = yes
"""
_HOST = """[{name}]
type = friend
host = {address}
port = 5060
insecure = port,invite
qualify = no
context = {context}
"""
_TELEPHONE = """callerid = "Ext {name}" <{name}>
defaultuser = {name}
callgroup = 1
pickupgroup = 1
"""


def on_chan_sip(ports: Ports, folder: Path) -> None:
    """Has the Asterisk in that folder speak SIP by chan_sip alone."""
    etc = folder / "etc"
    hosts = [_GENERAL.format(sip=ports.sip)]
    for name in HOSTS:
        is_trunk = name.startswith("trunk")
        context = "from-trunk" if is_trunk else "from-internal"
        hosts.append(_HOST.format(name=name, address=ports.address(name), context=context))
        hosts += [] if is_trunk else [_TELEPHONE.format(name=name)]
    (etc / "sip.conf").write_text("\n".join(hosts), "utf-8")
    modules = (etc / "modules.conf").read_text("utf-8").splitlines()
    kept = [line for line in modules if "pjsip" not in line]
    (etc / "modules.conf").write_text("\n".join([*kept, "load => chan_sip.so", ""]), "utf-8")
    for file in etc.glob("*.conf"):
        text = file.read_text("utf-8")
        if "PJSIP/" in text:
            file.write_text(text.replace("PJSIP/", "SIP/"), "utf-8")
