"""Bodies of 8 MiB, more than any socket buffer takes.

/list        one block
/length      one block with its length
/generator   blocks of 64 KiB
/file        wsgi.file_wrapper round a real file
/write       write() in blocks of 64 KiB
"""

from __future__ import annotations

import hashlib
import tempfile

BLOCK = hashlib.sha512(b"a block").digest() * 1024  # 64 KiB that do not look alike
BLOCKS = 128
SIZE = len(BLOCK) * BLOCKS


def application(environ, start_response):
    """Answer with SIZE bytes."""
    path = environ["PATH_INFO"]
    fields = [("X-Application", "big"), ("Content-Type", "application/octet-stream")]
    if path in ("/length", "/file"):
        fields.append(("Content-Length", str(SIZE)))
    write = start_response("200 OK", fields)
    if path == "/generator":
        return (BLOCK for _ in range(BLOCKS))
    if path == "/write":
        for _ in range(BLOCKS):
            write(BLOCK)
        return []
    if path == "/file":
        file = tempfile.TemporaryFile()  # the server closes it  # noqa: SIM115
        file.write(BLOCK * BLOCKS)
        file.seek(0)
        return environ["wsgi.file_wrapper"](file)
    return [BLOCK * BLOCKS]
