"""A check of ours for `make schemathesis`: no answer tells a team anything of the other."""

import json
import os

import schemathesis

WORDS = json.loads(os.environ["AUTOMETTE_WORDS"])


@schemathesis.check
def tells_nothing_of_the_other_team(ctx, response, case):
    key = (response.request.headers or {}).get("Authorization", "")
    sent = f"{response.request.url} {response.request.body!r}"
    for other, word in WORDS.items():
        if other != key and word not in sent:
            assert word not in response.text, f"{word} was told to another team"
