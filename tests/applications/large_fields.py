"""Many fields and one of 32 KiB: more than one packet of head."""

from __future__ import annotations


def application(environ, start_response):
    """Answer with 200 fields."""
    fields = [("X-Application", "large_fields"), ("Content-Type", "text/plain")]
    fields += [(f"X-Field-{number}", "v" * number) for number in range(200)]
    fields += [("X-Large", "L" * 32768), ("Content-Length", "3")]
    start_response("200 OK", fields)
    return [b"ok\n"]
