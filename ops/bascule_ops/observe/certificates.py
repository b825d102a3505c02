"""Until when nginx's certificates are good.

The standard library decodes a certificate only for the peer of a verified connection, so
this walks the DER itself, as far as the dates and the name (RFC 5280 §4.1, X.690 §8.1):

    Certificate    ::= SEQUENCE { tbsCertificate, ... }
    TBSCertificate ::= SEQUENCE { [0] version OPTIONAL, serialNumber, signature, issuer,
                                  validity, subject, ... }
    Validity       ::= SEQUENCE { notBefore Time, notAfter Time }
    Time           ::= CHOICE { UTCTime, GeneralizedTime }
    Name           ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value }
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bascule_ops.observe.asking import SourceError

PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
VERSION = 0xA0
UTC_TIME = 0x17
COMMON_NAME = bytes.fromhex("550403")  # 2.5.4.3
DAY = 86400.0  # seconds


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The tags and contents of the elements that `data` is made of. Raises `IndexError`."""
    at = 0
    while at < len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            octets = length & 0x7F
            length = int.from_bytes(data[at : at + octets], "big")
            at += octets
        if at + length > len(data):
            raise IndexError("an element is longer than what holds it")
        yield tag, data[at : at + length]
        at += length


def _inside(data: bytes) -> list[bytes]:
    return [content for _, content in elements(data)]


def _moment(tag: int, content: bytes) -> datetime:
    pattern = "%y%m%d%H%M%SZ" if tag == UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(content.decode("ascii"), pattern).replace(tzinfo=UTC)


def _common_name(subject: bytes) -> str:
    for names in _inside(subject):
        for pair in _inside(names):
            kind, value = _inside(pair)
            if kind == COMMON_NAME:
                return value.decode("utf-8", "replace")
    return ""


def decode(certificate: bytes) -> tuple[str, datetime]:
    """The subject's common name (or nothing) and the end of validity of a DER certificate.

    Raises `ValueError` or `IndexError` where it is none.
    """
    (whole,) = _inside(certificate)
    parts = list(elements(_inside(whole)[0]))
    if parts[0][0] == VERSION:
        del parts[0]
    _serial, _signature, _issuer, (_, validity), (_, subject) = parts[:5]
    _, (tag, not_after) = elements(validity)
    return _common_name(subject), _moment(tag, not_after)


def read(path: Path, now: datetime) -> list[dict[str, Any]]:
    """Every certificate of a PEM file, the site's own first. Raises `SourceError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None
    found = []
    for match in PEM.finditer(content):
        try:
            subject, not_after = decode(base64.b64decode(match[1]))
        except (ValueError, IndexError, binascii.Error):
            raise SourceError(f"{path} has a certificate that cannot be read") from None
        left = (not_after - now).total_seconds() / DAY
        found.append(
            {
                "path": str(path),
                "subject": subject,
                "not_after": not_after.isoformat().replace("+00:00", "Z"),
                "days_left": round(left, 1),
            }
        )
    if not found:
        raise SourceError(f"{path} has no certificate in it")
    return found
