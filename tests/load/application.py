"""What the load asks of a stack: an answer that proves which request it belongs to.

The query says what is wanted: ``token`` comes back, ``seconds`` is how long the call takes,
``bytes`` is how much is sent after the first line. The first line is the token, and the length
and the SHA-256 of the request's body as it arrived.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

PIECE = 64 * 1024  # bytes read and sent at a time
# Bytes that each call keeps for good: a leak, for who wants to see --max-memory at work.
LEAK = int(os.environ.get("LOAD_LEAK", "0"))
leaked: list[bytes] = []


def first_line(token: str, length: int, digest: str) -> bytes:
    """Return what an answer begins with."""
    return f"{token} {length} {digest}\n".encode()


def filler(token: str, size: int) -> Iterator[bytes]:
    """Yield `size` bytes that no other token has."""
    block = hashlib.sha256(token.encode()).digest() * (PIECE // 32)
    while size > 0:
        yield block[:size]
        size -= len(block)


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with the token and what arrived."""
    if LEAK:
        leaked.append(b"x" * LEAK)
    query = parse_qs(environ.get("QUERY_STRING", ""))
    token = query.get("token", [""])[0]
    body = hashlib.sha256()
    length = 0
    while piece := environ["wsgi.input"].read(PIECE):
        body.update(piece)
        length += len(piece)
    time.sleep(float(query.get("seconds", ["0"])[0]))
    line = first_line(token, length, body.hexdigest())
    if size := int(query.get("bytes", ["0"])[0]):
        # Without a length: it is sent in chunks, whose end shows whether something is missing.
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return _download(line, token, size)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(line)))])
    return [line]


def _download(line: bytes, token: str, size: int) -> Iterator[bytes]:
    yield line
    yield from filler(token, size)
