"""What clients and applications send, made safe for a terminal."""

from __future__ import annotations

import json


def visible(text: object) -> str:
    """`text` with every character that is not plainly printed written out, as Python would.

    That is what could move a cursor, change a colour, end a line, or turn the direction of
    writing, so that a line showed something else than what was sent.
    """
    written = str(text)
    if written.isprintable():
        return written
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in written
    )


def visible_json(record: object) -> str:
    """A line of JSON that a terminal may be given: ASCII, without control characters."""
    return json.dumps(record).replace("\x7f", r"\u007f")
