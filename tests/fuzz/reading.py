"""What a parser makes of a stream of requests, in terms that every parser can be put in."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple


class Ending(enum.Enum):
    """Where reading a stream stopped."""

    BOUNDARY = "at the end of a request"
    WAITS = "waits for the rest of a request"
    REFUSED = "refused"
    CLOSED = "after a request that lets the connection close"
    SWITCHED = "left to another protocol (Upgrade)"


class Message(NamedTuple):
    """One request.

    Attributes:
        method: as sent.
        target: as sent, decoded as latin-1.
        minor: of the version, 0 or 1.
        variables: the fields under their CGI names, as ``bascule.http.request.Request`` has them.
        body: decoded; None while it is not complete.
        keep_alive: whether the connection persists; None where the parser does not say.
    """

    method: str
    target: str
    minor: int
    variables: dict[str, str]
    body: bytes | None = None
    keep_alive: bool | None = None


class Reading(NamedTuple):
    """A stream as one parser reads it; ``error`` and ``status`` say why it was refused."""

    messages: list[Message]
    ending: Ending
    error: str = ""
    status: int | None = None


def variables_of(fields: Iterable[tuple[bytes, bytes]], target: bytes) -> dict[str, str]:
    """Return the fields of another parser as a CGI environment has them (RFC 3875 §4.1).

    It shares no code with the server. Fields with an underscore are dropped, as docs/http.md
    says; the host of an absolute target replaces Host (RFC 9112 §3.2.2); white space around a
    value is no part of it (RFC 9112 §5.1), which llhttp leaves to its caller.
    """
    variables: dict[str, str] = {}
    for name, value in fields:
        if b"_" in name:
            continue
        variable = name.decode("latin-1").upper().replace("-", "_")
        if variable not in {"CONTENT_LENGTH", "CONTENT_TYPE"}:
            variable = "HTTP_" + variable
        text = value.strip(b" \t").decode("latin-1")
        if variable in variables:
            text = variables[variable] + ("; " if variable == "HTTP_COOKIE" else ",") + text
        variables[variable] = text
    _, scheme, rest = target.partition(b"://")
    if scheme and not target.startswith(b"/"):
        for delimiter in (b"/", b"?"):
            rest = rest.partition(delimiter)[0]
        variables["HTTP_HOST"] = rest.decode("latin-1")
    return variables
