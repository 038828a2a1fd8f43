"""Uploaded files by their content: `blobs/{team}/{sha256}` in the store, and a bounded cache of them on this machine.

A blob never changes, so a copy never goes stale, and rows name blobs by digest only. Teams do not share blobs:
whether somebody else has a file cannot be found out. What no row names any more is removed once it is a day old.
"""

import datetime as dt
import fcntl
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Final

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from automette.lib import store

log = structlog.get_logger(__name__)

_PREFIX: Final = "blobs/"
_UPLOAD_SECONDS: Final = 60.0
_TRIES: Final = 3
_KEPT_UNUSED: Final = dt.timedelta(days=1)
_DELETING: Final = 4_107_268_301  # the advisory lock of whoever deletes a blob; any number that nobody else uses
_IN_USE_SECONDS: Final = 600.0  # far longer than a render may take
_SHARE_BETWEEN_LOOKS: Final = 20  # the cache may be this part of its size too large, for each process


def key_of(team_id: str, sha256: str) -> str:
    """Return the name of a blob in the store."""
    return f"{_PREFIX}{team_id}/{sha256}"


def digest(content: bytes) -> str:
    """Return what names a blob with this content."""
    return hashlib.sha256(content).hexdigest()


def put(team_id: str, content: bytes) -> str:
    """Store a blob and return its SHA-256; one that is there already counts as new again, so it is safe for a day.

    Not to be called in a transaction. Raises store.StoreUnavailableError.
    """
    sha256 = digest(content)
    key = key_of(team_id, sha256)
    for _ in range(_TRIES):
        _store(key, content)
        _let_a_deletion_pass()
        if store.modified_at(key) is not None:
            return sha256
    raise store.StoreUnavailableError(f"blob {sha256} was stored and is not there")


def _store(key: str, content: bytes) -> None:
    """Upload, three times if need be: some stores fail when the same object is written by two at once.

    The media type stays out of it: the one that an asset shows is its row's.
    """
    for pause in (0.1, 0.4, None):
        try:
            store.put(key, content, "application/octet-stream", until=time.monotonic() + _UPLOAD_SECONDS)
        except store.StoreUnavailableError:
            if pause is None:
                raise
            time.sleep(pause)
        else:
            return


def _let_a_deletion_pass() -> None:
    """Wait for whoever found the blob old before it was stored anew and is deleting it now."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s::bigint)", [_DELETING])
    connection.close()


def local_copy(team_id: str, sha256: str) -> Path:
    """Return a file with the blob's content, named by its digest, that stays for at least ten minutes from now.

    Raises store.StoreUnavailableError, also when the blob is missing or damaged: the next attempt may not ask for it.
    """
    path = _cache() / team_id / sha256
    try:
        if _touch(path):
            return path
        _save(path, _fetch(team_id, sha256))
    except OSError as error:
        raise store.StoreUnavailableError(f"the cache of files cannot be written: {error.strerror}") from error
    return path


def keep(team_id: str, content: bytes) -> Path:
    """Put content into the cache only, which nobody else has to have; the file is as `local_copy` gives it.

    Raises store.StoreUnavailableError when the cache cannot be written.
    """
    path = _cache() / team_id / hashlib.sha256(content).hexdigest()
    try:
        if not _touch(path):
            _save(path, content)
    except OSError as error:
        raise store.StoreUnavailableError(f"the cache of files cannot be written: {error.strerror}") from error
    return path


def is_kept(path: Path) -> bool:
    """Return whether a file of the cache is still there; if so, it stays for another ten minutes."""
    return _touch(path)


def _cache() -> Path:
    return (settings.AUTOMETTE_DATA / "cache" / "blobs").absolute()


def _touch(path: Path) -> bool:
    """Note that a copy is used; False when there is none."""
    try:
        with _locked(fcntl.LOCK_SH):
            os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _fetch(team_id: str, sha256: str) -> bytes:
    try:
        content = store.get(key_of(team_id, sha256))
    except store.ObjectMissingError as error:
        raise store.StoreUnavailableError(f"blob {sha256} is missing") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise store.StoreUnavailableError(f"blob {sha256} is damaged")
    return content


def _save(path: Path, content: bytes) -> None:
    _cache().mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False)  # noqa: SIM115
    try:
        with draft:
            draft.write(content)
            draft.flush()
            os.fsync(draft.fileno())  # a power cut must not leave an empty file under a name that promises content
        Path(draft.name).rename(path)
    except BaseException:
        Path(draft.name).unlink(missing_ok=True)
        raise
    _growth.add(len(content))


class _Growth:
    """Looks at the whole cache only after this process has added a good part of its size."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._added: float = float("inf")

    def add(self, size: int) -> None:
        with self._lock:
            self._added += size
            if self._added < _cache_bytes() / _SHARE_BETWEEN_LOOKS:
                return
            self._added = 0
        _shrink()


_growth = _Growth()


def _cache_bytes() -> int:
    size: int = settings.BLOB_CACHE_MB << 20
    return size


def _shrink() -> None:
    """Remove copies, the longest unused first, until the cache has its size; drafts of killed processes as well."""
    found = [(path, status) for path in _cache().glob("*/*") if (status := _status(path))]
    total = sum(status.st_blocks * 512 for _, status in found)
    for path, status in sorted(found, key=lambda each: each[1].st_mtime):
        if (path.suffix == ".part" or total > _cache_bytes()) and _remove_unused(path):
            total -= status.st_blocks * 512


def _remove_unused(path: Path) -> bool:
    with _locked(fcntl.LOCK_EX):  # nobody can begin to use it between the look and the removal
        status = _status(path)
        if status is None or time.time() - status.st_mtime < _IN_USE_SECONDS:
            return False
        path.unlink()
        return True


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


@contextmanager
def _locked(kind: int) -> Iterator[None]:
    """Hold the lock of the cache, between threads as well: each opens the file for itself."""
    descriptor = os.open(_cache() / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def delete_unused(*, older_than: dt.timedelta = _KEPT_UNUSED) -> int:
    """Remove blobs from the store that no row names and that are a day old; return how many. Safe to repeat.

    A day, because a blob is stored before the row that names it.
    """
    before = timezone.now() - older_than
    deleted = 0
    for team_id, keys in groupby(store.keys_older_than(_PREFIX, before), key=lambda key: key.split("/")[1]):
        used = _used(team_id)
        deleted += sum(_delete_if_old(key, before) for key in keys if key.rpartition("/")[2] not in used)
    log.info("unused_blobs_deleted", count=deleted)
    return deleted


def _used(team_id: str) -> set[str]:
    """Return the digests that rows of the team name."""
    with connection.cursor() as cursor:
        cursor.execute(_USED, {"team": team_id})
        return {sha256 for (sha256,) in cursor.fetchall()}


_USED: Final = """
SELECT sha256 FROM templates_app_asset WHERE team_id = %(team)s
UNION SELECT sha256 FROM templates_app_font WHERE team_id = %(team)s
UNION SELECT file.value FROM templates_app_templateversion AS version
    JOIN templates_app_template AS template ON template.id = version.template_id,
    jsonb_each_text(version.files) AS file
WHERE template.team_id = %(team)s AND version.files <> '{}'
"""


def _delete_if_old(key: str, before: dt.datetime) -> bool:
    """Delete a blob unless it was stored anew meanwhile; `put` waits for the lock and looks whether it is there."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s::bigint)", [_DELETING])
        modified_at = store.modified_at(key)
        if modified_at is None or modified_at >= before:
            return False
        store.delete([key])
    return True
