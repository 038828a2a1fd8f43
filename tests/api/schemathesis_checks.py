"""What `make schemathesis` checks in addition, and where Schemathesis cannot know how things are meant."""

import json
import os
import re
import uuid

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection

OWNERS = json.loads(os.environ["AUTOMETTE_OWNERS"])  # of ids: the Authorization header of their team
IDENTIFYING = {"id", "self", "url", "job_id", "render_id", "template_id"}
SENT_BY_CALLERS = {"data", "example_data", "source"}
ID = re.compile(r"\bc[0-9a-z]{24}\b")


def ids_in(value):
    """Every id by which an answer tells of a thing; what callers have sent may hold any."""
    if isinstance(value, list):
        for each in value:
            yield from ids_in(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in IDENTIFYING and isinstance(each, str):
                yield from ID.findall(each)
            elif key not in SENT_BY_CALLERS:
                yield from ids_in(each)


@schemathesis.check
def tells_nothing_of_the_other_team(ctx, response, case):
    """An id belongs to whom it was told first."""
    key = (response.request.headers or {}).get("Authorization", "")
    if 200 <= response.status_code < 300:
        for id_ in ids_in(response.json()):
            owner = OWNERS.setdefault(id_, key)
            assert owner == key, f"{id_} was told to another team"


@schemathesis.check
def refuses_wrong_json(ctx, response, case):
    """The check of the package for bodies that are not forms: in a form null and 1 are texts like any other."""
    sent = response.request.headers.get("Content-Type") or ""
    return None if sent.startswith("multipart/form-data") else negative_data_rejection(ctx, response, case)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Let no request repeat another with its Idempotency-Key: it would be told of what was deleted meanwhile."""
    name = "Idempotency-Key"
    key = (case.headers or {}).get(name)
    if isinstance(key, str) and re.fullmatch(r"[A-Za-z0-9_\-:.]{8,255}", key):
        case.headers[name] = str(uuid.uuid4())
