"""Typst as anybody would call it, without any guard of ours, for the controls of the hostile templates.

    python -I bare_typst.py ROOT FORMAT < SOURCE

Prints what came out as JSON: `bytes` and `megabytes` (the most memory that was in use), or `message`.
Catches what a careful caller would catch: Exception.
"""

import json
import resource
import sys

import typst

root, format_name = sys.argv[1:]
try:
    made = typst.compile(sys.stdin.buffer.read(), root=root, format=format_name)
except Exception as error:  # noqa: BLE001 - whatever Typst raises as an ordinary error
    told = {"message": str(error)}
else:
    told = {"bytes": len(made) if isinstance(made, bytes) else sum(map(len, made))}
told["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
print(json.dumps(told))
