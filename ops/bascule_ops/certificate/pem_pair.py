"""A certificate and its key: whether they are a pair, and what nginx shows of them.

Standard library only: with containers any Python of the machine does it.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bascule_ops.address import Address
from bascule_ops.observe.asking import SourceError
from bascule_ops.observe.certificates import decode, shown
from bascule_ops.program import named

WARN_DAYS = 14  # time to renew one by hand; status says the same
ANSWER = 2.0  # seconds for nginx to shake hands
LIMIT = 10.0  # seconds in which nginx takes up a new certificate
FIRST = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What matters of a certificate; `der` is all of it."""

    der: bytes
    subject: str
    not_after: datetime

    def days_left(self, now: datetime) -> float:
        """Days until it is no good any more; negative afterwards."""
        return (self.not_after - now).total_seconds() / 86400


def parse(der: bytes) -> Certificate:
    """A certificate from its DER form. Raises `ValueError`."""
    try:
        return Certificate(der, *decode(der))
    except IndexError as error:
        raise ValueError("it has no certificate that can be read") from error


def read(path: Path) -> Certificate:
    """The site's own certificate, the first of a PEM file. Raises `ValueError`."""
    try:
        match = FIRST.search(path.read_text("ascii"))
    except UnicodeDecodeError:
        match = None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    if not match:
        raise ValueError(f"{path}: no certificate in PEM form")
    try:
        return parse(ssl.PEM_cert_to_DER_cert(match[0]))
    except ValueError as error:
        raise ValueError(f"{path}: the certificate cannot be read") from error


def check(certificate: Path, key: Path, now: datetime) -> Certificate:
    """The certificate, where a server can use it with `key` at `now`. Raises `ValueError`."""
    found = read(certificate)

    def no_passphrase() -> bytes:
        raise ValueError(f"{key}: a passphrase protects it, and nginx has nobody to ask")

    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            certificate, key, no_passphrase
        )
    except ssl.SSLError as error:
        # The second is what OpenSSL says of a key of another kind, such as RSA with EC.
        if error.reason in ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
            raise ValueError(f"{key}: it is not the key of {certificate}") from error
        raise ValueError(f"{key}: no private key in PEM form") from error
    except OSError as error:
        raise ValueError(f"{key}: {error.strerror}") from error
    if found.days_left(now) <= 0:
        raise ValueError(f"{certificate}: it was good until {found.not_after:%Y-%m-%d}")
    return found


def served(at: Address) -> Certificate:
    """What a client is shown at an address of this machine. Raises `ValueError`."""
    try:
        return parse(shown(at.for_client, ANSWER))
    except SourceError as error:
        raise ValueError(f"nginx does not answer at port {at.port}: {error}") from error


def wait_until_served(certificate: Path, at: Address) -> bool:
    """Whether nginx shows the certificate of a file within `LIMIT` seconds."""
    wanted = read(certificate).der
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if served(at).der == wanted:
            return True
        time.sleep(0.05)
    return False


def show(certificate: Path, key: Path, at: Address, as_json: bool) -> bool:
    """Print what is in the files and what is served; whether all is well."""
    now = datetime.now(UTC)
    try:
        found, problem = check(certificate, key, now), ""
    except ValueError as error:
        found, problem = read(certificate), str(error)
    left = found.days_left(now)
    if not problem and left <= WARN_DAYS:
        problem = f"{certificate}: it is good for {left:.0f} days only; renew it"
    try:
        of_client = served(at)
    except ValueError as error:
        of_client, problem = None, str(error)
    is_served = of_client is not None and of_client.der == found.der
    if not problem and not is_served:
        problem = f"nginx still serves another one: {named('certificate')} reload"
    facts = {
        "certificate": str(certificate),
        "subject": found.subject,
        "not_after": f"{found.not_after:%Y-%m-%dT%H:%M:%SZ}",
        "days_left": round(left, 1),
        "served": is_served,
        "served_not_after": f"{of_client.not_after:%Y-%m-%dT%H:%M:%SZ}" if of_client else None,
        "problem": problem or None,
    }
    if as_json:
        print(json.dumps(facts))
        return not problem
    print(f"certificate  {certificate}")
    print(f"subject      {found.subject or '(no common name)'}")
    print(f"good until   {found.not_after:%Y-%m-%d %H:%M} UTC, {left:.0f} days")
    if of_client:
        another = f"another, until {of_client.not_after:%Y-%m-%d}"
        print(f"port {at.port:<7} serves {'this one' if is_served else another}")
    else:
        print(f"port {at.port:<7} does not answer")
    if problem:
        print(f"problem      {problem}")
    return not problem
