"""Finished renders whose files really lie in the store, made without a worker."""

import hashlib
import time

from automette.lib import store
from renders import statements
from renders.models import Render, object_key
from renders.statements import StoredFile

CONTENT = b"%PDF-1.7 of nobody"


def finish(render: Render, *, warning: str = "") -> Render:
    """Do what a worker does with a render: claim it, store its files, complete it."""
    taken = statements.claim(render.id, lease_seconds=3600)
    files = [_store(taken, extension) for extension in render.all_formats]
    assert statements.complete(taken, files=files, pages=1, report={"warnings": [warning]})
    return Render.objects.get(pk=render.pk)


def _store(taken: statements.Claim, extension: str) -> StoredFile:
    key = object_key(
        render_id=taken.render_id, visibility=taken.visibility, extension=extension, attempt=taken.attempt
    )
    content = CONTENT + extension.encode()
    store.put(key, content, "application/pdf", until=time.monotonic() + 60)
    return StoredFile(extension, key, "application/pdf", len(content), hashlib.sha256(content).hexdigest())
