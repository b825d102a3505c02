"""Until when a certificate is good, read from the file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from bascule_ops.observe.asking import SourceError
from bascule_ops.observe.certificates import read

# Made by: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30
# (the second: -days 18250, whose end RFC 5280 has written with four digits of the year).
SHOP = """\
-----BEGIN CERTIFICATE-----
MIIBpjCCAU2gAwIBAgIUUWvtCYyklqYfWnphMbTrraX5uaYwCgYIKoZIzj0EAwIw
KTEQMA4GA1UECgwHRXhhbXBsZTEVMBMGA1UEAwwMc2hvcC5leGFtcGxlMB4XDTI2
MTEyMTE4MjMzOVoXDTI2MTIyMTE4MjMzOVowKTEQMA4GA1UECgwHRXhhbXBsZTEV
MBMGA1UEAwwMc2hvcC5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
DxtuSw/dLC59LtBaKSVlOc6zqGGQz5cCh/0ltsAG9ZtEAEE1iU3mGOj/TfyP4sSf
c2PzRWQ2JP64PPb3OwHRK6NTMFEwHQYDVR0OBBYEFEZrxmUDSoACDJgRNCap3u2C
SpaEMB8GA1UdIwQYMBaAFEZrxmUDSoACDJgRNCap3u2CSpaEMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgDNDJH1Hl7oHexwUU9S07+S95VBPAkAcs
nD73EG2lZwcCIBERYcHU8keQGogJVfx4FFLTEp0PRPR0l7fB5qSBWf0V
-----END CERTIFICATE-----
"""
FAR = """\
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUVKisqBL+HbqY58p3VxiCO0jQ+L0wCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLZmFyLmV4YW1wbGUwIBcNMjYxMTIxMTgyMzM5WhgPMjA3NjEx
MDgxODIzMzlaMBYxFDASBgNVBAMMC2Zhci5leGFtcGxlMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEXmQ4TVsZpFwHA8K3BDt302aODUZRGcmD3ZR/aZp4d15zbw4n
JaHFFAjxYe+UJvJ6s1gNdCrtPnp6PO1yFeJOa6NTMFEwHQYDVR0OBBYEFCy1dEy5
EyZwofvcEPk4lUMowR2BMB8GA1UdIwQYMBaAFCy1dEy5EyZwofvcEPk4lUMowR2B
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAPTs+kJVtKr9966c
18GM9jsAAv30hpX6ncfR8rnTd+anAiATDRFXcWeUJtpoj+OWupGvL5XSNyJNbmPk
+vdfcgznhw==
-----END CERTIFICATE-----
"""
NOW = datetime(2026, 12, 11, 18, 23, 39, tzinfo=UTC)


def test_every_certificate_of_a_chain_is_told_with_its_name_and_its_end(tmp_path: Path) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_text(f"subject: anything\n{SHOP}{FAR}")
    assert read(chain, NOW) == [
        {
            "path": str(chain),
            "subject": "shop.example",
            "not_after": "2026-12-21T18:23:39Z",
            "days_left": 10.0,
        },
        {
            "path": str(chain),
            "subject": "far.example",
            "not_after": "2076-11-08T18:23:39Z",
            "days_left": 18230.0,
        },
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has no certificate in it"),
        (SHOP.replace("MIIB", "////"), "has a certificate that cannot be read"),
        (SHOP.replace("MIIB", "MIIA"), "has a certificate that cannot be read"),
        (
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
            "has a certificate that cannot be read",
        ),
    ],
)
def test_what_is_no_certificate_is_said_to_be_none(
    tmp_path: Path, content: str, words: str
) -> None:
    path = tmp_path / "site.pem"
    path.write_text(content)
    with pytest.raises(SourceError, match=words):
        read(path, NOW)


def test_every_way_to_cut_a_certificate_short_is_survived(tmp_path: Path) -> None:
    lines = SHOP.splitlines()
    body = "".join(lines[1:-1])
    path = tmp_path / "site.pem"
    for end in range(0, len(body), 4):
        path.write_text(f"{lines[0]}\n{body[:end]}\n{lines[-1]}\n")
        with pytest.raises(SourceError):
            read(path, NOW)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.pem cannot be read: No such file"):
        read(tmp_path / "none.pem", NOW)
