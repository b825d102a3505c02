"""Has made something that lasts, and garbage in a cycle, while it was loaded.

Answers with what the collector of cycles has to look at: "lasting", "garbage", both or neither.
"""

from __future__ import annotations

import gc


class Lasting:
    """Is there for as long as the process."""


class Garbage:
    """Is known to nobody but itself."""

    def __init__(self) -> None:
        self.itself = self


LASTING = Lasting()
Garbage()


def application(environ, start_response):
    """Look for both."""
    kinds = {type(each) for each in gc.get_objects()}
    names = [kind.__name__.lower() for kind in (Lasting, Garbage) if kind in kinds]
    body = " ".join(names).encode()
    start_response(
        "200 OK",
        [
            ("X-Application", "lasts"),
            ("Content-Type", "text/plain"),
            ("Content-Length", str(len(body))),
        ],
    )
    return [body]
