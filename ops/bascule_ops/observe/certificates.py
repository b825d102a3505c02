"""Until when nginx's certificates are good, and which one a client is shown.

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
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bascule_ops.observe.asking import SilentError, SourceError, connect

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
    return [{"path": str(path), **_judged(der, str(path), now)} for der in in_file(path)]


def in_file(path: Path) -> list[bytes]:
    """The DER form of every certificate of a PEM file. Raises `SourceError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None
    try:
        found = [base64.b64decode(match[1]) for match in PEM.finditer(content)]
    except binascii.Error:
        raise SourceError(f"{path} has a certificate that cannot be read") from None
    if not found:
        raise SourceError(f"{path} has no certificate in it")
    return found


def shown(address: str, limit: float) -> bytes:
    """The DER form of the certificate that nginx shows a client.

    It is looked at, not believed: it may be for any name, and out of date.

    Args:
        address: of nginx, ``HOST:PORT``.
        limit: seconds.

    Raises `SourceError`.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    deadline = time.monotonic() + limit
    with connect(address, deadline) as sock:
        sock.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            with context.wrap_socket(sock) as secure:
                return secure.getpeercert(binary_form=True) or b""
        except TimeoutError:
            raise SilentError("it does not answer a TLS handshake") from None
        except OSError as error:
            raise SourceError(f"its TLS handshake fails: {error.strerror or error}") from None


def served(path: Path, address: str, now: datetime, limit: float) -> dict[str, Any]:
    """What a client is shown, and whether it is the first certificate of a file.

    Raises `SourceError`.
    """
    der = shown(address, limit)
    is_in_file = der == in_file(path)[0]
    return {"address": address, "is_in_file": is_in_file, **_judged(der, address, now)}


def _judged(der: bytes, place: str, now: datetime) -> dict[str, Any]:
    try:
        subject, not_after = decode(der)
    except (ValueError, IndexError):
        raise SourceError(f"{place} has a certificate that cannot be read") from None
    return {
        "subject": subject,
        "not_after": not_after.isoformat().replace("+00:00", "Z"),
        "days_left": round((not_after - now).total_seconds() / DAY, 1),
    }
