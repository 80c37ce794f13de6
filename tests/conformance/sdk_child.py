"""Runs inside an SDK's own venv: does what a line of JSON on stdin says, answers with a line.

What it can do is in the file that it is given.  That and this import nothing but the standard
library and the SDK.
"""

import json
import runpy
import sys
import time
from typing import Any


def describe(error: Exception) -> dict[str, Any]:
    """What a user's `except` clause can see of an error."""
    return {
        "class": type(error).__name__,
        "message": str(error),
        **{
            name: getattr(error, name, None)
            for name in ("status_code", "code", "type", "param", "request_id", "body")
        },
    }


def obey(actions: dict[str, Any], order: dict[str, Any]) -> dict[str, Any]:
    """Does one order; whatever the user's code would have to catch is a result like any other."""
    sent = actions["SENT"]
    sent.clear()
    started = time.monotonic()
    try:
        result = actions["ACTIONS"][order["action"]](order)
    except Exception as error:  # noqa: BLE001 (whatever a user would see)
        result = {"error": error}
    return {"http_requests": len(sent), "seconds": time.monotonic() - started, **result}


def in_json(value: object) -> object:
    """What JSON has no form for: errors, as far as a user sees them, and the odd date."""
    return describe(value) if isinstance(value, Exception) else str(value)


def main() -> None:
    """Says which SDK this is, then obeys until stdin ends."""
    actions = runpy.run_path(sys.argv[1])
    print(json.dumps({"version": actions["VERSION"]}), flush=True)
    for line in sys.stdin:
        print(json.dumps(obey(actions, json.loads(line)), default=in_json), flush=True)


if __name__ == "__main__":
    main()
