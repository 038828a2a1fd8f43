"""The object store through real S3 requests."""

import datetime as dt
import time

import pytest
import requests

from automette.lib import store
from automette.lib.ids import new_id


def soon() -> float:
    return time.monotonic() + 60


@pytest.fixture
def key(database) -> str:
    return f"tests/{new_id()}"


def read(key: str, **more) -> bytes:
    return b"".join(store.stream(key, **more)[1])


def test_object_is_read_back_whole_and_in_parts(key):
    store.put(key, b"0123456789", "text/plain", until=soon())
    headers, chunks = store.stream(key)
    assert (b"".join(chunks), headers["ContentLength"], headers["ContentType"]) == (b"0123456789", 10, "text/plain")
    assert read(key, byte_range="bytes=2-4") == b"234"


def test_missing_object_is_told_apart_from_a_store_that_is_away(key):
    with pytest.raises(store.ObjectMissingError):
        store.stream(key)


def test_deleting_twice_is_no_error(key):
    store.put(key, b"x", "text/plain", until=soon())
    for _ in range(2):
        store.delete([key])
    with pytest.raises(store.ObjectMissingError):
        store.stream(key)


def test_keys_are_listed_below_a_prefix(key):
    names = [f"{key}/{number}" for number in range(3)]
    for name in names:
        store.put(name, b"x", "text/plain", until=soon())
    assert store.list_keys(f"{key}/") == names


def test_whole_object_is_read_at_once(key):
    store.put(key, b"0123456789" * 100_000, "text/plain", until=soon())
    assert store.get(key) == b"0123456789" * 100_000
    with pytest.raises(store.ObjectMissingError):
        store.get(f"{key}x")


def test_time_of_an_object_is_known_and_none_without_one(key):
    second = dt.timedelta(seconds=1)  # which the store may leave out the parts of
    before = dt.datetime.now(dt.UTC)
    store.put(key, b"x", "text/plain", until=soon())
    assert before - second <= store.modified_at(key) <= dt.datetime.now(dt.UTC) + second
    assert store.modified_at(f"{key}x") is None


def test_keys_are_told_apart_by_age(key):
    names = [f"{key}/{number}" for number in range(3)]
    for name in names:
        store.put(name, b"x", "text/plain", until=soon())
    now = dt.datetime.now(dt.UTC)
    assert list(store.keys_older_than(f"{key}/", now + dt.timedelta(hours=1))) == names
    assert list(store.keys_older_than(f"{key}/", now - dt.timedelta(hours=1))) == []


def test_store_that_is_away_is_told_by_every_call(key, settings):
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:9"
    calls = [
        lambda: store.get(key),
        lambda: store.modified_at(key),
        lambda: list(store.keys_older_than(key, dt.datetime.now(dt.UTC))),
    ]
    for call in calls:
        with pytest.raises(store.StoreUnavailableError):
            call()


def test_presigned_url_gives_the_object_under_a_name(key):
    store.put(key, b"%PDF-", "application/pdf", until=soon())
    disposition = "inline; filename=\"a.pdf\"; filename*=UTF-8''%C3%A4.pdf"
    url = store.presigned_url(key, media_type="application/pdf", disposition=disposition, seconds=60)
    answer = requests.get(url, timeout=60)
    assert (answer.status_code, answer.content) == (200, b"%PDF-")
    assert answer.headers["Content-Disposition"] == disposition
    assert answer.headers["Content-Type"] == "application/pdf"


def test_upload_after_its_permission_has_ended_is_refused_by_the_store(key):
    """What keeps a worker out that was suspended while it uploaded: the signature ends with its lease."""
    store.put(key, b"in time", "text/plain", until=soon())
    signed = store._s3().generate_presigned_url(
        "put_object",
        Params={"Bucket": store.settings.S3_BUCKET, "Key": key, "ContentType": "text/plain"},
        ExpiresIn=1,
    )
    time.sleep(2.1)  # the store counts whole seconds
    late = requests.put(signed, data=b"late", headers={"Content-Type": "text/plain"}, timeout=60)
    assert late.status_code in {400, 403}
    assert read(key) == b"in time"


def test_upload_whose_time_is_over_is_not_begun(key):
    for until in (time.monotonic() - 1, time.monotonic() + 0.5):
        with pytest.raises(store.StoreUnavailableError, match="the time to store it is over"):
            store.put(key, b"x", "text/plain", until=until)
    with pytest.raises(store.ObjectMissingError):
        store.stream(key)


def test_bucket_that_answers_is_fine(database):
    store.check()
