"""Certificates for tests, made by openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, PEM files."""

    certificate: Path
    key: Path

    @property
    def settings(self) -> dict[str, str]:
        """The settings of nginx that name them."""
        return {
            "NGINX_TLS_CERTIFICATE": str(self.certificate),
            "NGINX_TLS_CERTIFICATE_KEY": str(self.key),
        }


EC = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
RSA = ("rsa:2048",)


def make_pair(
    directory: Path, name: str = "localhost", days: int = 90, kind: tuple[str, ...] = EC
) -> Pair:
    """A self-signed certificate for localhost whose common name is `name`, and its key."""
    directory.mkdir(parents=True, exist_ok=True)
    pair = Pair(directory / "fullchain.pem", directory / "privkey.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-subj", f"/CN={name}", "-days", str(days)),
            *("-newkey", *kind),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(pair.key), "-out", str(pair.certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return pair
