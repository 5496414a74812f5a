"""One `AGI()` of the dialplan over a plain socket, for tests that are not asynchronous."""

from __future__ import annotations

import re
import socket

from fake_asterisk import environment


def agi(port: int, script: str, *arguments: str, uniqueid: str = "1700000000.1") -> dict[str, str]:
    """Plays Asterisk's side and gives the variables that the bridge set."""
    variables: dict[str, str] = {}
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(environment(script, *arguments, uniqueid=uniqueid))
        with connection.makefile("rw", encoding="utf-8", newline="\n") as stream:
            for line in stream:
                found = re.match(r'SET VARIABLE "?(\w+)"? "(.*)"$', line.strip())
                if found:
                    variables[found[1]] = found[2]
                stream.write("200 result=1 ()\n" if line.startswith("GET") else "200 result=1\n")
                stream.flush()
    return variables
