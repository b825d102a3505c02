"""What a gateway's upstream can be asked for, below any prefix.

/pid            the process that answers, after a few milliseconds
/length/N       N MiB, length known
/chunked/N      N MiB, length not known
/swallow        reads the body; answers with how many bytes it had
"""

from __future__ import annotations

import os
import time

BLOCK = b"0123456789abcdef" * 4096  # 64 KiB
BLOCKS_A_MEBIBYTE = 16
WORK = 0.005  # seconds; so that a process that is killed has requests under way


def application(environ, start_response):
    """Answer as the path says."""
    *_, name, argument = ["", *environ["PATH_INFO"].split("/")]
    fields = [("X-Application", "upstream"), ("Content-Type", "text/plain")]
    if name in ("length", "chunked"):
        blocks = int(argument) * BLOCKS_A_MEBIBYTE
        if name == "length":
            fields.append(("Content-Length", str(blocks * len(BLOCK))))
        start_response("200 OK", fields)
        return (BLOCK for _ in range(blocks))
    if argument == "swallow":
        size = 0
        while block := environ["wsgi.input"].read(1 << 20):
            size += len(block)
        body = str(size).encode()
    else:
        time.sleep(WORK)
        body = str(os.getpid()).encode()
    start_response("200 OK", [*fields, ("Content-Length", str(len(body)))])
    return [body]
