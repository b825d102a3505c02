"""A worker that sends requests to a rate limit as fast as it can.

    python -m tests.middleware.hammer REQUESTS SETTINGS    (SETTINGS: those of the link, as JSON)

Says "ready", waits for a line, then writes a byte for each response: `+` admitted, `-` refused,
`!` anything else.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from bascule_middleware.links.ratelimit.ratelimit import RateLimit

from tests.middleware.gateway import respond

SIGNS = {"200 OK": b"+", "429 Too Many Requests": b"-"}


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def main() -> None:
    requests, settings = int(sys.argv[1]), json.loads(sys.argv[2])
    link = RateLimit(application, **settings)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(requests):
        status = respond(link, REMOTE_ADDR="192.0.2.1").status
        os.write(1, SIGNS.get(status, b"!"))


if __name__ == "__main__":
    main()
