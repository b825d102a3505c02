"""Counts how often close() of its iterables was called: /count answers with the counts as JSON.

/list        an iterable object with a complete body
/generator   a generator; its finally clause counts
/head        the same object, for HEAD requests
/no-content  a body that a 204 must not have
/raises      an iterator that raises at its second block
/wrong-type  an iterator that yields a str
/short       less than the stated length
/long        more than the stated length
/file        wsgi.file_wrapper round a file object that counts its close()
/unread      a file_wrapper whose first byte is never asked for, in a 304
"""

from __future__ import annotations

import collections
import io
import json
import threading

counts: collections.Counter[str] = collections.Counter()
counting = threading.Lock()


def count(path):
    """Note one close() for `path`."""
    with counting:
        counts[path] += 1


class Body:
    """An iterable that counts its close()."""

    def __init__(self, path, blocks):
        self._path = path
        self._blocks = blocks

    def __iter__(self):
        """Yield the blocks; an exception among them is raised."""
        for block in self._blocks:
            if isinstance(block, Exception):
                raise block
            yield block

    def close(self):
        """Count."""
        count(self._path)


class File(io.BytesIO):
    """A file object in memory that counts its close()."""

    path = ""

    def close(self):
        """Count once for each call while open, as the server is asked to call it once."""
        if not self.closed:
            count(self.path)
        super().close()


def generator(path):
    """Yield two blocks; count when closed or finished."""
    try:
        yield b"one\n"
        yield b"two\n"
    finally:
        count(path)


BLOCKS = {
    "/raises": [b"one\n", RuntimeError("on purpose")],
    "/wrong-type": ["text"],
}
LENGTHS = {"/short": "100", "/long": "3"}
STATUSES = {"/no-content": "204 No Content", "/unread": "304 Not Modified"}


def application(environ, start_response):
    """Answer with an iterable that counts, or with the counts."""
    path = environ["PATH_INFO"]
    fields = [("X-Application", "closes")]
    status = STATUSES.get(path, "200 OK")
    if status == "200 OK":
        fields.append(("Content-Type", "application/json" if path == "/count" else "text/plain"))
    if path in LENGTHS:
        fields.append(("Content-Length", LENGTHS[path]))
    start_response(status, fields)
    if path == "/count":
        with counting:
            return [json.dumps(counts).encode()]
    if path == "/generator":
        return generator(path)
    if path in ("/file", "/unread"):
        file = File(b"from a file\n")
        file.path = path
        return environ["wsgi.file_wrapper"](file)
    return Body(path, BLOCKS.get(path, [b"one\n", b"two\n"]))
