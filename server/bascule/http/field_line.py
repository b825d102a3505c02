"""Field lines of a request's head or trailer (RFC 9112 §5), and the limits on what clients send."""

from __future__ import annotations

from typing import Final, NamedTuple

from bascule.errors import ProtocolError
from bascule.http import grammar

FIELD_TOO_LARGE: Final = "a field of the request is too large"

# Names that are kept with their variables, and the characters that each may have: clients of many
# kinds use some 100. At most 200 KiB.
NAMES: Final = 1024
LONGEST_NAME: Final = 64


class HeadLimits(NamedTuple):
    """Limits on a head: ``line`` and ``field`` in bytes, ``fields`` as a count."""

    line: int
    fields: int
    field: int


def field_room(limits: HeadLimits) -> int:
    """Return how many bytes a field line may have; the limit of gunicorn's counts its end too."""
    return limits.field - len(b"\r\n")


def check_length(line: bytes, limit: int, status: int, message: str) -> None:
    """Refuse a line, or the beginning of one, for its length or for a bare line feed within it.

    Args:
        line: without its end.
        limit: bytes that it may have.
        status: for one that has more.
        message: for one that has more.

    Raises:
        ProtocolError: as told, or 400 for a line feed that comes before the limit.
    """
    if line.find(b"\n", 0, limit + 1) >= 0:
        raise ProtocolError(400, "a line feed without a carriage return before it")
    if len(line) > limit:
        raise ProtocolError(status, message)


def parse_field_line(line: bytes) -> tuple[str, str]:
    """Return a field's CGI name and its value (RFC 9112 §5).

    The name is empty for a field that is dropped: "X_Real_IP" would become the same variable as
    "X-Real-IP", and so forge it; nginx drops names with an underscore as well.

    Args:
        line: without its end; ``check_length`` has accepted it.

    Raises:
        ProtocolError: 400.
    """
    name, colon, value = line.partition(b":")
    if not colon or grammar.FIELD_NAME.fullmatch(name) is None:
        if line[:1] in (b" ", b"\t"):
            raise ProtocolError(400, "a field is continued on a second line (obs-fold)")
        if name.endswith((b" ", b"\t")):
            raise ProtocolError(400, "white space between a field's name and its colon")
        raise ProtocolError(400, "a field line is malformed")
    value = value.strip(b" \t")
    if grammar.NOT_IN_FIELD_VALUE.search(value):
        raise ProtocolError(400, "a control byte in a field's value")
    if b"_" in name:
        return "", ""
    variable = _variable(name.decode("ascii"))
    if variable == "HTTP_HOST" and grammar.HOST.fullmatch(value) is None:
        raise ProtocolError(400, "the Host field is malformed")
    if variable == "CONTENT_LENGTH" and grammar.CONTENT_LENGTH.fullmatch(value) is None:
        raise ProtocolError(400, "the Content-Length field is malformed")
    return variable, value.decode("latin-1")


def _variable(name: str) -> str:
    """Return the CGI name of a field (RFC 3875 §4.1)."""
    variable = name.upper().replace("-", "_")
    return variable if variable in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + variable


# Variables whose values are held to more than the grammar of field values; and a name not known.
_CHECKED: Final = frozenset({"", "HTTP_HOST", "CONTENT_LENGTH"})

# Names that browsers, other clients and proxies send, as they write them; HTTP/2 has them in lower
# case.
_USUAL: Final = """
    Host Connection User-Agent Accept Accept-Language Accept-Encoding Accept-Charset Cookie Referer
    Origin DNT Upgrade Upgrade-Insecure-Requests Cache-Control Pragma Priority Save-Data TE Via
    Sec-Fetch-Site Sec-Fetch-Mode Sec-Fetch-User Sec-Fetch-Dest Sec-GPC Sec-CH-UA Sec-CH-UA-Mobile
    Sec-CH-UA-Platform Content-Type Content-Length Content-Encoding Transfer-Encoding Expect Range
    If-Range If-Match If-None-Match If-Modified-Since If-Unmodified-Since Authorization From
    Proxy-Authorization Keep-Alive Forwarded X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host
    X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Server X-Real-IP X-Request-ID X-Requested-With
    X-CSRF-Token X-CSRFToken X-API-Key Idempotency-Key Traceparent Tracestate B3 Baggage
    Max-Forwards CF-Ray CF-Connecting-IP CF-IPCountry CF-Visitor CDN-Loop True-Client-IP
    X-Amzn-Trace-Id Access-Control-Request-Method Access-Control-Request-Headers
"""


class FieldNames(dict[str, str]):
    """CGI names of fields, by how their lines begin; names that were found valid are learnt.

    A line begins with the LF that ends the one before, and goes on up to its first space: that is
    how a head is cut at the least cost. What is no such beginning is a ``KeyError``. Clients send
    what they like: names that are long are not learnt, and where there are many all are forgotten
    but the usual ones.

    Attributes:
        looked_at: names and lines that had to be looked at by themselves, for whoever puts it back
            to 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.looked_at = 0
        self._begin()

    def _begin(self) -> None:
        self.clear()
        for name in _USUAL.split():
            self[_opening(name)] = self[_opening(name.lower())] = _variable(name)

    def __missing__(self, opening: str) -> str:
        name = opening[1:-1]
        is_name = grammar.NATIVE_FIELD_NAME.fullmatch(name) is not None
        if opening != _opening(name) or not is_name or "_" in name:
            raise KeyError(opening)
        self.looked_at += 1
        return self._learn(name, _variable(name))

    def _learn(self, name: str, variable: str) -> str:
        if len(name) <= LONGEST_NAME:
            if len(self) >= NAMES:
                self._begin()
            self[_opening(name)] = variable
        return variable

    def parse(self, line: bytes) -> tuple[str, str]:
        """Do as ``parse_field_line``, and learn the name."""
        if line.translate(None, grammar.TEXT):
            return parse_field_line(line)
        return self.read(line.decode("latin-1"))

    def read(self, line: str) -> tuple[str, str]:
        """Do so with a line that is decoded as latin-1, and has no control byte but HTAB."""
        name, colon, value = line.partition(":")
        variable = self.get(_opening(name), "")
        if colon and variable not in _CHECKED:
            return variable, value.strip(" \t")
        field = parse_field_line(line.encode("latin-1"))
        if field[0]:
            self._learn(name, field[0])
        return field


def _opening(name: str) -> str:
    return f"\n{name}:"
