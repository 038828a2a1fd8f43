"""Blobs in a real store, and the copies that this machine keeps."""

import datetime as dt
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection, transaction

from automette.lib import store
from automette.lib.ids import new_id
from templates_app import blobs
from templates_app.models import Asset, Font, TemplateVersion
from templates_app.tasks import delete_unused_blobs
from tests.conftest import wait_until

YESTERDAY = dt.timedelta(hours=25)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def cache(database, settings, tmp_path) -> Path:
    """An empty cache of this test's own."""
    settings.AUTOMETTE_DATA = tmp_path
    return tmp_path / "cache" / "blobs"


@pytest.fixture
def team_id(api) -> str:
    return api.team.id


def test_blob_is_put_by_its_digest_and_copied_under_it(cache, team_id):
    digest = blobs.put(team_id, b"hello")
    assert digest == sha256(b"hello")
    path = blobs.local_copy(team_id, digest)
    assert (path, path.read_bytes()) == (cache / team_id / digest, b"hello")
    assert path.is_absolute()


def test_path_is_absolute_where_the_data_folder_is_not(cache, team_id, settings, tmp_path):
    settings.AUTOMETTE_DATA = Path(os.path.relpath(tmp_path))
    assert blobs.local_copy(team_id, blobs.put(team_id, b"hello")).is_absolute()


def test_copy_is_made_once(cache, team_id):
    digest = blobs.put(team_id, b"hello")
    path = blobs.local_copy(team_id, digest)
    os.utime(path, (0, 0))
    store.delete([blobs.key_of(team_id, digest)])
    assert blobs.local_copy(team_id, digest) == path
    assert time.time() - path.stat().st_mtime < 60, "its use is noted"


def test_empty_blob_is_a_blob(cache, team_id):
    assert blobs.local_copy(team_id, blobs.put(team_id, b"")).read_bytes() == b""


def test_blob_of_another_team_is_missing_even_when_a_copy_is_here(cache, team_id, other_api):
    digest = blobs.put(team_id, b"mine")
    blobs.local_copy(team_id, digest)
    with pytest.raises(store.StoreUnavailableError, match="is missing"):
        blobs.local_copy(other_api.team.id, digest)


def test_damaged_object_is_refused_and_not_kept(cache, team_id):
    digest = blobs.put(team_id, b"right")
    store.put(blobs.key_of(team_id, digest), b"wrong", "text/plain", until=time.monotonic() + 60)
    with pytest.raises(store.StoreUnavailableError, match="is damaged"):
        blobs.local_copy(team_id, digest)
    assert [path for path in cache.glob("*/*") if path.is_file()] == []
    blobs.put(team_id, b"right")
    assert blobs.local_copy(team_id, digest).read_bytes() == b"right"


def test_store_that_is_away_is_told(cache, team_id, settings):
    digest = blobs.put(team_id, b"x")
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:9"
    for act in (lambda: blobs.put(team_id, b"y"), lambda: blobs.local_copy(team_id, digest)):
        with pytest.raises(store.StoreUnavailableError):
            act()


def test_full_disk_is_told_as_a_store_that_is_away(cache, team_id):
    digest = blobs.put(team_id, b"x")
    cache.mkdir(parents=True)
    (cache / team_id).write_text("in the way")
    with pytest.raises(store.StoreUnavailableError, match="the cache of files cannot be written"):
        blobs.local_copy(team_id, digest)


COPIER = """
import os, sys, threading
os.environ["DJANGO_SETTINGS_MODULE"] = "automette.settings"
import django
django.setup()
from templates_app import blobs
team_id, *digests = sys.argv[1:]
def copy():
    for _ in range(20):
        for digest in digests:
            path = blobs.local_copy(team_id, digest)
            assert len(path.read_bytes()) == 200_000, path
            path.unlink(missing_ok=True)
threads = [threading.Thread(target=copy) for _ in range(3)]
failed = []
threading.excepthook = lambda problem: failed.append(problem)
[thread.start() for thread in threads]
[thread.join() for thread in threads]
# a copy that another one removed between the call and the reading is this test's own doing
sys.exit(any(problem.exc_type is not FileNotFoundError for problem in failed))
"""


def test_processes_and_threads_copy_the_same_blobs_at_the_same_time(cache, team_id):
    digests = [blobs.put(team_id, bytes([number]) * 200_000) for number in range(3)]
    command = [sys.executable, "-c", COPIER, team_id, *digests]
    environment = {**os.environ, "AUTOMETTE_DATA": str(cache.parent.parent)}
    running = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(3)]
    told = [(process.communicate(timeout=100)[1], process.returncode) for process in running]
    assert [status for _, status in told] == [0, 0, 0], told
    for digest in digests:
        assert sha256(blobs.local_copy(team_id, digest).read_bytes()) == digest
    assert list(cache.glob("*/*.part")) == []


def fill(team_id: str, count: int, size: int, age: float) -> list[Path]:
    """Copies of `size` bytes, the first one unused for the longest."""
    paths = [blobs.local_copy(team_id, blobs.put(team_id, bytes([number]) * size)) for number in range(count)]
    for number, path in enumerate(paths):
        os.utime(path, (time.time() - age + number,) * 2)
    return paths


def test_cache_is_bounded_and_forgets_what_was_unused_longest(cache, team_id, settings):
    settings.BLOB_CACHE_MB = 2
    old = fill(team_id, 7, 300_000, age=3600)
    blobs.local_copy(team_id, old[0].name)
    new = blobs.local_copy(team_id, blobs.put(team_id, b"n" * 400_000))
    assert [path.exists() for path in old] == [True, False, False, True, True, True, True]
    assert new.exists()


def test_copies_in_use_stay_though_the_cache_is_too_large(cache, team_id, settings):
    settings.BLOB_CACHE_MB = 1
    paths = fill(team_id, 6, 300_000, age=500)
    assert all(path.exists() for path in paths)


def test_drafts_of_killed_processes_are_removed(cache, team_id):
    blobs.local_copy(team_id, blobs.put(team_id, b"x"))
    stale, fresh = (cache / team_id / f".{name}.part" for name in ("stale", "fresh"))
    stale.write_bytes(b"half")
    fresh.write_bytes(b"half")
    os.utime(stale, (time.time() - 3600,) * 2)
    blobs._shrink()
    assert (stale.exists(), fresh.exists()) == (False, True)


def test_use_during_the_look_saves_a_copy(cache, team_id):
    """The look sees an old copy, somebody begins to use it, and then it is to be removed."""
    path = fill(team_id, 1, 10, age=3600)[0]
    with blobs._locked(blobs.fcntl.LOCK_SH):
        removal = threading.Thread(target=blobs._remove_unused, args=[path])
        removal.start()
        removal.join(0.2)
        assert removal.is_alive(), "it waits for those who note a use"
        os.utime(path)
    removal.join(60)
    assert not removal.is_alive()
    assert path.exists()


# Whatever is stored now counts as old enough.
AT_ONCE = dt.timedelta(hours=-1)


def is_stored(team_id: str, digest: str) -> bool:
    return store.modified_at(blobs.key_of(team_id, digest)) is not None


def test_unused_blobs_are_deleted_and_used_ones_kept(api, other_api, team_id):
    template = api.team.templates.get(pk=api.template())
    kinds = ("asset", "font", "version", "deleted", "nobody's")
    digests = {kind: blobs.put(team_id, kind.encode()) for kind in kinds}
    theirs = blobs.put(other_api.team.id, b"asset")
    asset = {"team": api.team, "media_type": "text/plain", "size_bytes": 5}
    Asset.objects.create(**asset, name="a", sha256=digests["asset"])
    Asset.objects.create(**asset, name="b", sha256=digests["deleted"]).delete()
    Font.objects.create(team=api.team, filename="f.ttf", size_bytes=1, sha256=digests["font"])
    TemplateVersion.objects.create(template=template, number=2, files={"x/y.docx": digests["version"]})
    for _ in range(2):
        blobs.delete_unused(older_than=AT_ONCE)
        kept = [kind for kind, digest in digests.items() if is_stored(team_id, digest)]
        assert kept == ["asset", "font", "version"]
    assert not is_stored(other_api.team.id, theirs), "the row of one team keeps no blob of another"


def test_young_blobs_are_kept(team_id):
    digest = blobs.put(team_id, b"just uploaded, the row comes later")
    delete_unused_blobs()
    assert is_stored(team_id, digest)


def test_putting_again_makes_a_blob_young(team_id):
    digest = blobs.put(team_id, b"again")
    first = store.modified_at(blobs.key_of(team_id, digest))
    time.sleep(1.1)
    blobs.put(team_id, b"again")
    assert store.modified_at(blobs.key_of(team_id, digest)) > first


@pytest.fixture
def delete_late():
    """Start a deletion that has judged a blob old, and takes its last step once the blob was stored anew."""
    started = []

    def start(key: str, stored_anew: Callable[[], bool]) -> threading.Thread:
        judged = threading.Event()

        def delete() -> None:
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s::bigint)", [blobs._DELETING])
                    judged.set()
                    wait_until(stored_anew)
                    store.delete([key])
            finally:
                connection.close()

        started.append(threading.Thread(target=delete))
        started[0].start()
        assert judged.wait(60)
        return started[0]

    yield start
    for thread in started:
        thread.join(100)


def somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid)))")
        return cursor.fetchone()[0]


def test_blob_put_while_it_is_being_deleted_is_there_afterwards(team_id, delete_late):
    key = blobs.key_of(team_id, blobs.put(team_id, b"again"))
    deletion = delete_late(key, somebody_waits_for_us)  # `put` does after it has stored
    blobs.put(team_id, b"again")
    deletion.join(100)
    assert store.modified_at(key) is not None


def test_control_without_a_look_afterwards_such_a_blob_is_lost(team_id, delete_late):
    key, stored = blobs.key_of(team_id, blobs.put(team_id, b"again")), threading.Event()
    deletion = delete_late(key, stored.is_set)
    store.put(key, b"again", "text/plain", until=time.monotonic() + 60)
    stored.set()
    deletion.join(100)
    assert store.modified_at(key) is None


def test_deletion_asks_for_the_age_again(team_id):
    key = blobs.key_of(team_id, blobs.put(team_id, b"was old"))
    assert blobs._delete_if_old(key, dt.datetime.now(dt.UTC) - YESTERDAY) is False
    assert store.modified_at(key) is not None
    assert blobs._delete_if_old(key, dt.datetime.now(dt.UTC) + YESTERDAY) is True
    assert blobs._delete_if_old(key, dt.datetime.now(dt.UTC) + YESTERDAY) is False


def test_other_objects_are_left_alone(database):
    key = f"renders/{new_id()}.pdf"
    store.put(key, b"x", "text/plain", until=time.monotonic() + 60)
    blobs.delete_unused(older_than=AT_ONCE)
    assert store.modified_at(key) is not None
