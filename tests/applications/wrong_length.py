"""Content-Length that the body does not keep.

/short-list, /short-generator, /short-write   fewer bytes than stated
/long-list, /long-generator, /long-write      more bytes than stated
/not-a-number, /negative, /twice, /twice-alike  a length that is none
"""

from __future__ import annotations

STATED = {"/not-a-number": ["ten"], "/negative": ["-1"], "/twice": ["10", "11"]}


def application(environ, start_response):
    """State 10 bytes, or what the path says, and send 5 or 15."""
    path = environ["PATH_INFO"]
    stated = ["10", "10"] if path == "/twice-alike" else STATED.get(path, ["10"])
    fields = [("X-Application", "wrong_length"), ("Content-Type", "text/plain")]
    fields += [("Content-Length", value) for value in stated]
    write = start_response("200 OK", fields)
    if path not in STATED and path != "/twice-alike":
        blocks = [b"12345"] * (3 if path.startswith("/long") else 1)
    else:
        blocks = [b"1234567890"]
    if path.endswith("-write"):
        for block in blocks:
            write(block)
        return []
    return (block for block in blocks) if path.endswith("-generator") else blocks
