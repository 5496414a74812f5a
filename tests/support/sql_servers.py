"""Real SQL servers on 127.0.0.1, each with a data folder of its own, and a CDR table as Asterisk fills it."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pymysql
from free_ports import free_port

PASSWORD = "hunter2-secret"
USER = "vipex"
DATABASE = "asteriskcdrdb"
_numbers = itertools.count(1)


class ServerError(RuntimeError):
    """The server could not be started; the message has its own words."""


@dataclass
class SqlServer:
    """One running server."""

    kind: str
    """mariadb or postgresql"""
    port: int
    folder: Path
    command: list[str]
    user: str
    root: str
    """The user of the server who may do anything, by its socket."""
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        """As the bridge's user, who may only read."""
        return f"{self.kind}://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}"

    def run(self, *statements: str, values: Any = None) -> list[Any]:
        """Runs statements as Asterisk's user, each committed; gives the last one's rows."""
        with self.connection() as connection, connection.cursor() as cursor:
            connection.autocommit(True) if self.kind == "mariadb" else connection.set_autocommit(True)
            for statement in statements:
                cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """A driver's own connection as Asterisk's user: nothing is committed by itself."""
        if self.kind == "mariadb":
            made: Any = pymysql.connect(
                host="127.0.0.1", port=self.port, user="asterisk", password=PASSWORD, database=DATABASE
            )
        else:
            made = psycopg.connect(self.url.replace(f"//{USER}:", "//asterisk:"))
        try:
            yield made
        finally:
            made.close()

    @contextmanager
    def database(self) -> Iterator[str]:
        """A new, empty database that belongs to the bridge's user, for a while; its URL. PostgreSQL only."""
        name = f"state{next(_numbers)}"
        self._as_root(f"CREATE DATABASE {name} OWNER {USER}")
        try:
            yield f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{name}"
        finally:
            self._as_root(f"DROP DATABASE {name} WITH (FORCE)")

    def _as_root(self, statement: str) -> None:
        with psycopg.connect(
            host=str(self.folder), port=self.port, user=self.root, dbname="postgres", autocommit=True
        ) as owner:
            owner.execute(statement)

    def start(self) -> None:
        """Starts it and waits until it answers."""
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            _as_user(self.user, self.command), stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        log.close()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._answers():
                return
            time.sleep(0.05)
        raise ServerError((self.folder / "log").read_text("utf-8", "replace")[-2000:])

    def stop(self) -> None:
        """Ends it, at once for whoever is connected."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT if self.kind == "postgresql" else signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def freeze(self) -> None:
        """Stops all its processes where they are: it answers nothing, and its connections stay."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self.process is not None
        main = self.process.pid
        # The main process first: then no others come.
        os.kill(main, number)
        for child in Path(f"/proc/{main}/task/{main}/children").read_text("ascii").split():
            with suppress(ProcessLookupError):
                os.kill(int(child), number)

    def _answers(self) -> bool:
        try:
            if self.kind == "mariadb":
                # The driver leaves its socket open when nobody listens on a path yet.
                with socket.socket(socket.AF_UNIX) as tried:
                    tried.connect(str(self.folder / "s"))
                pymysql.connect(unix_socket=str(self.folder / "s"), user=self.root).close()
            else:
                psycopg.connect(
                    f"host={self.folder} port={self.port} user={self.root} dbname=postgres"
                ).close()
        except (OSError, pymysql.Error, psycopg.Error):
            return False
        return True


def _as_user(user: str, command: list[str]) -> list[str]:
    if os.geteuid() != 0:
        return command
    entry = pwd.getpwnam(user)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", *command]


@contextmanager
def _folder(user: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vipex-sql-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, user, user)
        yield folder


@contextmanager
def mariadb() -> Iterator[SqlServer]:
    """A MariaDB with Asterisk's user, who owns the database, and the bridge's, who may read."""
    own = pwd.getpwuid(os.getuid()).pw_name
    user = "mysql" if os.geteuid() == 0 else own
    with _folder(user) as folder:
        # One that starts deletes the temporary tables that it finds there, its neighbours' too.
        temporary = f"--tmpdir={folder}"
        made = subprocess.run(
            _as_user(
                user,
                ["mariadb-install-db", "--no-defaults", f"--datadir={folder}/data", temporary,
                 "--skip-test-db", "--auth-root-authentication-method=socket",
                 f"--auth-root-socket-user={own}"],
            ),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            raise ServerError(made.stdout[-1000:] + made.stderr[-1000:])
        port = free_port()
        command = [
            "mariadbd", "--no-defaults", f"--datadir={folder}/data", temporary, f"--socket={folder}/s",
            f"--pid-file={folder}/pid", "--bind-address=127.0.0.1", f"--port={port}",
            "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M", "--skip-log-bin",
        ]  # fmt: skip
        server = SqlServer("mariadb", port, folder, command, user, own)
        try:
            server.start()
            root = pymysql.connect(unix_socket=f"{folder}/s", user=own)
            with root.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4")
                cursor.execute(f"CREATE USER asterisk@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
                cursor.execute(f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
                cursor.execute(f"GRANT ALL ON {DATABASE}.* TO asterisk@'127.0.0.1'")
                cursor.execute(f"GRANT SELECT ON {DATABASE}.* TO {USER}@'127.0.0.1'")
            root.close()
            yield server
        finally:
            server.stop()


@contextmanager
def postgresql() -> Iterator[SqlServer]:
    """A PostgreSQL with the same two users."""
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    with _folder(user) as folder:
        made = subprocess.run(
            _as_user(
                user,
                [f"{binaries}/initdb", "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8",
                 "--locale=C.UTF-8", "--no-sync"],
            ),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            raise ServerError(made.stdout[-1000:] + made.stderr[-1000:])
        hba = folder / "data/pg_hba.conf"
        hba.write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        port = free_port()
        command = [
            f"{binaries}/postgres", "-D", f"{folder}/data", "-k", str(folder), "-p", str(port),
            "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=32MB",
        ]  # fmt: skip
        server = SqlServer("postgresql", port, folder, command, user, "postgres")
        try:
            server.start()
            owner = psycopg.connect(
                host=str(folder), port=port, user="postgres", dbname="postgres", autocommit=True
            )
            with owner.cursor() as cursor:
                cursor.execute(f"CREATE USER asterisk PASSWORD '{PASSWORD}'")
                cursor.execute(f"CREATE USER {USER} PASSWORD '{PASSWORD}'")
                cursor.execute(f"CREATE DATABASE {DATABASE} OWNER asterisk")
            owner.close()
            server.run(f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {USER}")
            yield server
        finally:
            server.stop()
