"""The object store (S3): finished files are written once, read by presigned URLs or streamed through the app.

Uploads are presigned PUT requests sent by urllib3: a third of the CPU of boto3's own upload, and the signature
expires together with the worker's lease. So the store itself refuses the late upload of a worker that was
suspended, and the bytes of a finished render never change.
"""

import datetime as dt
import time
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

_CHUNK: Final = 256 * 1024


class StoreUnavailableError(Exception):
    """The store did not take or give the object; trying again may help."""


class ObjectMissingError(Exception):
    """There is no object of that name."""


@cache
def _client(endpoint: str | None) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=settings.S3_REGION,
        aws_access_key_id=settings.S3_ACCESS_KEY_ID,
        aws_secret_access_key=settings.S3_SECRET_ACCESS_KEY,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if endpoint else "auto"},
            connect_timeout=2,
            read_timeout=10,
            retries={"total_max_attempts": 2},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=32,
            proxies={},
        ),
    )


def _s3() -> Any:
    return _client(settings.S3_ENDPOINT_URL)


@cache
def _http() -> urllib3.PoolManager:
    return urllib3.PoolManager(
        maxsize=16, timeout=urllib3.Timeout(connect=2, read=15), retries=urllib3.Retry(1, redirect=False)
    )


def put(key: str, content: bytes, media_type: str, *, until: float) -> None:
    """Store an object; the permission to do so ends at `until` (monotonic time, give or take a second).

    Raises StoreUnavailableError when the store is away, refuses, or the permission has ended.
    """
    seconds = int(until - time.monotonic())
    if seconds < 1:
        raise StoreUnavailableError("the time to store it is over")
    parameters = {"Bucket": settings.S3_BUCKET, "Key": key, "ContentType": media_type}
    url = _s3().generate_presigned_url("put_object", Params=parameters, ExpiresIn=seconds)
    # Signing takes a second only if we were suspended meanwhile, and the permission counts from the signature.
    if time.monotonic() + seconds > until + 1:
        raise StoreUnavailableError("the time to store it was over before the upload was signed")
    try:
        answer = _http().request("PUT", url, body=content, headers={"Content-Type": media_type})
    except urllib3.exceptions.HTTPError as error:
        raise StoreUnavailableError(f"upload failed: {type(error).__name__}") from error
    if answer.status != 200:  # noqa: PLR2004 (S3 knows no other success of a PUT)
        raise StoreUnavailableError(f"upload refused: {answer.status} {answer.data[:300]!r}")


def stream(key: str, *, byte_range: str | None = None) -> tuple[dict[str, Any], Iterator[bytes]]:
    """Return the headers S3 knows of the object (`ContentLength`, `ContentRange`) and its bytes in chunks.

    `byte_range` is an HTTP Range value. Raises ObjectMissingError, StoreUnavailableError.
    """
    parameters = {"Bucket": settings.S3_BUCKET, "Key": key, **({"Range": byte_range} if byte_range else {})}
    try:
        answer = _s3().get_object(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            raise ObjectMissingError(key) from error
        raise StoreUnavailableError(str(error)) from error
    except BotoCoreError as error:
        raise StoreUnavailableError(str(error)) from error
    return answer, _Pieces(answer["Body"])


class _Pieces(Iterator[bytes]):
    """The bytes of an object, once, in chunks; closing gives up the rest, and the connection that brings it."""

    def __init__(self, body: Any) -> None:
        self._chunks = body.iter_chunks(_CHUNK)
        self.close = body.close

    def __next__(self) -> bytes:
        chunk: bytes = next(self._chunks)
        return chunk


def get(key: str) -> bytes:
    """Return a whole object, of a size that fits into memory. Raises ObjectMissingError, StoreUnavailableError."""
    _, chunks = stream(key)
    try:
        return b"".join(chunks)
    except BotoCoreError as error:
        raise StoreUnavailableError(str(error)) from error


def modified_at(key: str) -> dt.datetime | None:
    """Return when an object was last stored, by the store's clock; None when there is none of that name.

    Raises StoreUnavailableError.
    """
    try:
        at: dt.datetime = _s3().head_object(Bucket=settings.S3_BUCKET, Key=key)["LastModified"]
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return None
        raise StoreUnavailableError(str(error)) from error
    except BotoCoreError as error:
        raise StoreUnavailableError(str(error)) from error
    return at


def presigned_url(key: str, *, media_type: str, disposition: str, seconds: int) -> str:
    """Return a URL that gives the object without a key for `seconds`, under the given file name."""
    parameters = {
        "Bucket": settings.S3_BUCKET,
        "Key": key,
        "ResponseContentType": media_type,
        "ResponseContentDisposition": disposition,
    }
    url: str = _client(settings.S3_PUBLIC_ENDPOINT_URL).generate_presigned_url(
        "get_object", Params=parameters, ExpiresIn=seconds
    )
    return url


def delete(keys: Iterable[str]) -> None:
    """Remove objects; names that do not exist are no error. Raises StoreUnavailableError."""
    for key in keys:
        try:
            _s3().delete_object(Bucket=settings.S3_BUCKET, Key=key)
        except (ClientError, BotoCoreError) as error:
            raise StoreUnavailableError(str(error)) from error


def list_keys(prefix: str) -> list[str]:
    """Return the names below a prefix (for checks and clean-up)."""
    pages = _s3().get_paginator("list_objects_v2").paginate(Bucket=settings.S3_BUCKET, Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def keys_older_than(prefix: str, before: dt.datetime) -> Iterator[str]:
    """Give the names below a prefix, in order, of what was stored before that time. Raises StoreUnavailableError."""
    pages = _s3().get_paginator("list_objects_v2").paginate(Bucket=settings.S3_BUCKET, Prefix=prefix)
    try:
        for page in pages:
            yield from (item["Key"] for item in page.get("Contents", []) if item["LastModified"] < before)
    except (ClientError, BotoCoreError) as error:
        raise StoreUnavailableError(str(error)) from error


def check() -> None:
    """Raise StoreUnavailableError unless the bucket answers."""
    try:
        _s3().head_bucket(Bucket=settings.S3_BUCKET)
    except (ClientError, BotoCoreError) as error:
        raise StoreUnavailableError(str(error)) from error
