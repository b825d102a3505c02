"""Opens as many files as the process may, and keeps them.

/all  takes all descriptors that are left
/     takes none
"""

from __future__ import annotations

import os

KEPT = []


def application(environ, start_response):
    """Take, then answer."""
    try:
        while environ["PATH_INFO"] == "/all":
            KEPT.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    start_response(
        "200 OK",
        [("X-Application", "hoards"), ("Content-Type", "text/plain"), ("Content-Length", "5")],
    )
    return [b"full\n"]
