"""Returns the request's body, read in the way that the path names.

/read              read() without a size: PEP 3333 allows it, wsgiref.validate does not
/sized             read(7) until it returns nothing
/one-byte          read(1) until it returns nothing
/zero              read(0), then all the rest
/negative          read(-1)
/readline          readline() until it returns nothing
/readline-sized    readline(5) until it returns nothing
/readlines         readlines()
/readlines-hint    readlines(6), again until it returns nothing
/iterate           for line in wsgi.input
/mixed             one line, four bytes, one line, the rest
/past              reads to the end, then three times more in different ways
/ignore            does not touch wsgi.input
/half              reads four bytes only
"""

from __future__ import annotations


def until_empty(read):
    """Return the list of what `read` gives, up to the first empty result."""
    parts = []
    while part := read():
        parts.append(part)
    return parts


def past(stream):
    """Return the whole body, and what three more calls give, as a visible text."""
    whole = stream.read(1 << 20)
    return [whole, b"|", stream.read(5), b"|", stream.readline(), b"|", *stream.readlines()]


WAYS = {
    "/read": lambda stream: [stream.read()],
    "/sized": lambda stream: until_empty(lambda: stream.read(7)),
    "/one-byte": lambda stream: until_empty(lambda: stream.read(1)),
    "/zero": lambda stream: [stream.read(0), b"|", stream.read(1 << 20)],
    "/negative": lambda stream: [stream.read(-1)],
    "/readline": lambda stream: until_empty(stream.readline),
    "/readline-sized": lambda stream: until_empty(lambda: stream.readline(5)),
    "/readlines": lambda stream: stream.readlines(),
    "/readlines-hint": lambda stream: [
        line for lines in until_empty(lambda: stream.readlines(6)) for line in [*lines, b";"]
    ],
    "/iterate": list,
    "/mixed": lambda stream: [
        stream.readline(), b"|", stream.read(4), b"|", stream.readline(), b"|", stream.read(1 << 20)
    ],
    "/past": past,
    "/ignore": lambda _: [b"ignored"],
    "/half": lambda stream: [stream.read(4)],
}  # fmt: skip

VALID = tuple(way for way in WAYS if way not in ("/read",))


def application(environ, start_response):
    """Answer with the body, parts read singly joined by a comma."""
    way = WAYS.get(environ["PATH_INFO"], WAYS["/sized"])
    body = b",".join(way(environ["wsgi.input"]))
    start_response(
        "200 OK",
        [
            ("X-Application", "echo"),
            ("Content-Type", "application/octet-stream"),
            ("Content-Length", str(len(body))),
        ],
    )
    return [body]
