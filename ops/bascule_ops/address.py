"""An address at which nginx listens on this machine: in a setting, in a configuration, in a URL."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

EVERY: Final = "*"
_ALL: Final = (EVERY, "0.0.0.0", "::")  # noqa: S104 (they are recognised)
_FORM: Final = "set it to a port, 1 to 65535, or to ADDRESS:PORT, such as 127.0.0.1:8080"
_SETTING: Final = re.compile(r"(?:(?P<host>[^\[\]:]+|\[[^\[\]]+\]):)?(?P<port>[0-9]{1,5})")
_RANGE: Final = re.compile(r"[0-9]-[0-9]+\Z")


class Address(NamedTuple):
    """Where something listens.

    Attributes:
        host: an IP address; ``*``: every one.
        port: 0 where any free one will do.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.literal}:{self.port}"

    @property
    def literal(self) -> str:
        """The host as URLs and nginx write it."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def for_client(self) -> str:
        """``HOST:PORT`` for a client on this machine."""
        return f"127.0.0.1:{self.port}" if self.host in _ALL[:2] else f"{self.host}:{self.port}"

    def url(self, path: str, scheme: str = "http") -> str:
        """The URL of a path there, for whoever is on this machine."""
        host = "localhost" if self.host in _ALL else self.literal
        is_usual = (scheme, self.port) in (("http", 80), ("https", 443))
        return f"{scheme}://{host}{'' if is_usual else f':{self.port}'}{path}"


def read(setting: str, text: str) -> Address:
    """What a setting such as ``HTTP_PORT`` says. Raises `ValueError` with words for the user."""
    match = _SETTING.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        why = "it is a range, and one port is published" if _RANGE.search(text) else ""
        raise ValueError(f'{setting} is "{text}": {why or _FORM}')
    host = match["host"] or EVERY
    if host != EVERY:
        try:
            host = str(ipaddress.ip_address(host.strip("[]")))
        except ValueError:
            raise ValueError(f'{setting} is "{text}": {host} is no IP address; {_FORM}') from None
    return Address(host, int(match["port"]))


def published(text: str) -> Address:
    """What docker compose says of a port: ``127.0.0.1:8080``, ``:::80``."""
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]"), int(port))


def of_site(environ: Mapping[str, str]) -> Address:
    """Where nginx of a stack in local mode listens, by the stack's environment."""
    return Address(environ.get("NGINX_HOST", EVERY).strip("[]"), int(environ["NGINX_PORT"]))


def of_tls(environ: Mapping[str, str]) -> Address | None:
    """The same for TLS; None where there is none."""
    port = environ.get("NGINX_TLS_PORT", "")
    return Address(environ.get("NGINX_TLS_HOST", EVERY).strip("[]"), int(port)) if port else None
