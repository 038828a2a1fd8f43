"""The folder that one stack works in: its lock, its secrets, its logs, the addresses of its servers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automette.stack.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automette.stack.children import Wait

TEMPORARY_PREFIX = "automette-stack-"
UNIX_SOCKET_PATH_BYTES = 107  # sun_path of sockaddr_un holds 108 with the closing NUL (unix(7))
SOCKET_NAME_BYTES = len("/.s.PGSQL.5432")
LOG_BYTES_KEPT = 10 << 20
SECONDS_FOR_ORPHANS = 60.0  # PostgreSQL writes everything down before it ends; a busy disk takes its time


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made once per data directory: what the servers and the application hide behind."""

    secret_key: str
    redis_password: str
    s3_access_key_id: str
    s3_secret_access_key: str


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """An opened and locked data directory.

    `lock` is a file descriptor that every server inherits and keeps open, so the lock is free only once the
    last server of an earlier run has ended, even if that run was killed.
    """

    path: Path
    lock: int
    temporary: bool
    secrets: Secrets
    sockets: Path

    def log(self, name: str) -> Path:
        """The log file of that name; one that has grown too big is set aside first."""
        log = self.path / "logs" / f"{name}.log"
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_size > LOG_BYTES_KEPT:
                log.rename(log.with_suffix(".log.1"))
        log.touch(mode=0o600)
        return log

    def publish(self, addresses: dict[str, str]) -> None:
        """Let other commands of this user find the servers that run here."""
        _write_private(self.path / "servers.json", json.dumps({"pid": os.getpid(), "environment": addresses}))

    def withdraw(self) -> None:
        """Take the addresses back, before the servers stop."""
        (self.path / "servers.json").unlink(missing_ok=True)


def default_path() -> Path:
    """The data directory that the environment asks for: `AUTOMETTE_DATA`, else `.local`."""
    return Path(os.environ.get("AUTOMETTE_DATA") or ".local").absolute()


@contextlib.contextmanager
def open_data_directory(path: Path | None, *, wait: Wait) -> Iterator[DataDirectory]:
    """Open and lock `path`, or a fresh temporary directory (None) that is removed at the end.

    Raises StackError if another stack is at work in it.
    """
    temporary = path is None
    if path is None:
        _remove_abandoned_temporary_directories()
        path = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX))
    with contextlib.ExitStack() as cleanup:
        if temporary:
            cleanup.callback(shutil.rmtree, path, ignore_errors=True)
        _make_folders(path)
        lock = _acquire_lock(path, wait)
        cleanup.callback(os.close, lock)
        sockets = _make_socket_directory(path)
        cleanup.callback(_remove_socket_directory, path)
        (path / "servers.json").unlink(missing_ok=True)
        yield DataDirectory(path, lock, temporary, _load_secrets(path), sockets)


def running_servers(path: Path, *, wait: Wait, seconds: float = 30.0) -> dict[str, str] | None:
    """The addresses of the servers that a stack runs in `path`, None if none does.

    One that is still starting is waited for, and so are the last servers of one that was killed.
    """
    deadline = time.monotonic() + seconds
    while _is_locked(path):
        with contextlib.suppress(FileNotFoundError):
            stored = json.loads((path / "servers.json").read_text())
            if _is_alive(stored["pid"]):
                addresses: dict[str, str] = stored["environment"]
                return addresses
        if time.monotonic() > deadline:
            raise StackError(f"{_in_use(path)} Its servers have not come up within {seconds:.0f} s.")
        wait(0.05)
    return None


def _make_folders(path: Path) -> None:
    # PostgreSQL runs under another account when we are root; it must be able to walk through, not to list.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
        owner = path.stat().st_uid
        if owner != os.geteuid() and any(path.iterdir()):
            raise StackError(
                f"{path} belongs to another user (uid {owner}). Run as that user, or choose another folder: "
                "AUTOMETTE_DATA=folder."
            )
        path.chmod(mode)
        (path / "logs").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StackError(f"The data folder {path} cannot be used: {error.strerror}.") from error


def _acquire_lock(path: Path, wait: Wait) -> int:
    """Lock the directory; servers of a killed stack that are still shutting down are waited for."""
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + SECONDS_FOR_ORPHANS
    while not _try_lock(lock):
        if _is_alive(_holder(lock)) or time.monotonic() > deadline:
            holder = _holder(lock)
            os.close(lock)
            raise StackError(_in_use(path, holder))
        wait(0.05)
    os.truncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_locked(path: Path) -> bool:
    try:
        lock = os.open(path / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(lock)
    finally:
        os.close(lock)


def _holder(lock: int) -> int | None:
    text = os.pread(lock, 20, 0)
    return int(text) if text.isdigit() else None


def _is_alive(pid: int | None) -> bool:
    if pid is None:
        return True  # it has the lock and is about to write its number
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def _in_use(path: Path, holder: int | None = None) -> str:
    process = f" (process {holder})" if holder else ""
    return (
        f"Another Automette stack{process} is at work in {path}. Stop it, or choose another folder: "
        "AUTOMETTE_DATA=folder."
    )


def _load_secrets(path: Path) -> Secrets:
    file = path / "secrets.json"
    if not file.exists():
        made = {
            "secret_key": secrets.token_urlsafe(48),
            "redis_password": secrets.token_hex(24),
            "s3_access_key_id": secrets.token_hex(10),
            "s3_secret_access_key": secrets.token_hex(24),
        }
        _write_private(file, json.dumps(made, indent=1))
    return Secrets(**json.loads(file.read_text()))


def _write_private(file: Path, text: str) -> None:
    """Write whole or not at all, readable for the owner only."""
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text)
    draft.rename(file)


def _make_socket_directory(path: Path) -> Path:
    """`run/`; where that path is too long for a socket, a short temporary folder that `run` links to."""
    _remove_socket_directory(path)
    run = path / "run"
    if len(os.fsencode(run)) + SOCKET_NAME_BYTES <= UNIX_SOCKET_PATH_BYTES:
        run.mkdir(mode=0o700)
        return run
    for parent in (None, "/tmp"):  # noqa: S108  mkdtemp makes a private folder in it
        short = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=parent))
        if len(os.fsencode(short)) + SOCKET_NAME_BYTES <= UNIX_SOCKET_PATH_BYTES:
            run.symlink_to(short)
            return short
        short.rmdir()
    raise StackError("No folder with a path short enough for a unix socket was found; set TMPDIR to a short one.")


def _remove_socket_directory(path: Path) -> None:
    run = path / "run"
    if run.is_symlink():
        shutil.rmtree(run.readlink(), ignore_errors=True)
        run.unlink()
    else:
        shutil.rmtree(run, ignore_errors=True)


def _remove_abandoned_temporary_directories() -> None:
    """Remove what a `--temporary` stack left behind that was killed: ours, with a lock that nobody holds."""
    for path in Path(tempfile.gettempdir()).glob(f"{TEMPORARY_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = path.stat()
            starting = time.time() - status.st_mtime < SECONDS_FOR_ORPHANS
            if status.st_uid == os.geteuid() and not starting and (path / "lock").exists() and not _is_locked(path):
                _remove_socket_directory(path)
                shutil.rmtree(path, ignore_errors=True)
