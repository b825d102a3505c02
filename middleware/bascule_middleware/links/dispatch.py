"""Leads requests to different applications, by host and path.

An application that is mounted at "/catalogue" is called with that part of the path moved from
PATH_INFO to SCRIPT_NAME (PEP 3333, "environ Variables"), so that it works wherever it is mounted.
Both are changed in place; what they say together stays the same for the links further out.

PATH_INFO is the decoded path: "/a%2Fb" is "/a/b" here, and a border between segments.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bascule_middleware.exchange.error_page import refuse
from bascule_middleware.exchange.forwarded import (
    DEFAULT_PORTS,
    Host,
    MalformedFieldError,
    parse_host,
)
from bascule_middleware.exchange.path_prefix import prefix_matcher
from bascule_middleware.imports import NameRefusedError, imported
from bascule_middleware.settings import SettingError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class Dispatch:
    """Call the application that is mounted where the request points to."""

    def __init__(
        self, application: WSGIApplication, *, mounts: Mapping[str, str], default: bool = True
    ) -> None:
        """Import the applications that are mounted.

        `mounts`: applications ("package.module:callable") by where they are mounted:
        "/path", "host/path" or "*.domain/path"; `default`: false answers 404 to what no mount
        matches, instead of calling the application further in.
        """
        self.mounts = mounts
        self._application = application if default else _not_found
        self._sites = _sites(mounts)
        self._asks_for_host = any(site.host for site in self._sites)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Move the mount's prefix to SCRIPT_NAME, and run its application."""
        path = environ.get("PATH_INFO", "")
        host = _host(environ) if self._asks_for_host else None
        for site in self._sites:
            if site.host is None or (host and site.serves(host)):
                found = site.match(path)
                if found:
                    prefix = found[0]
                    environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
                    environ["PATH_INFO"] = path[len(prefix) :]
                    return site.applications[prefix](environ, start_response)
        return self._application(environ, start_response)


@dataclass(frozen=True)
class _Site:
    """The mounts of one host; of all hosts, where it is None."""

    host: Host | None
    applications: Mapping[str, WSGIApplication]  # by prefix
    match: Callable[[str], re.Match[str] | None]  # to the longest prefix of a path

    def serves(self, host: Host) -> bool:
        """Return whether a request's host is this one, or in this domain."""
        if self.host is None:
            return True
        name, port = self.host
        same = host.name.endswith(name[1:]) if name.startswith("*") else host.name == name
        return same and port in (None, host.port)

    @property
    def rank(self) -> tuple[bool, bool, int, bool]:
        """Return what sorts the most exact host first."""
        name, port = self.host or Host("", None)
        return (not name, name.startswith("*"), -len(name), port is None)


def _sites(mounts: Mapping[str, str]) -> list[_Site]:
    """Import and sort the mounts: the most exact host first. Raises SettingError."""
    by_host: dict[Host | None, dict[str, WSGIApplication]] = {}
    for mount, name in mounts.items():
        host, prefix = _parsed(mount)
        applications = by_host.setdefault(host, {})
        if prefix in applications:
            raise SettingError("mounts", f'"{mount}" is mounted twice', mount)
        try:
            applications[prefix] = imported(name)
        except NameRefusedError as error:
            raise SettingError("mounts", f'"{mount}": {error}', mount) from error.__cause__
    sites = [_Site(host, prefixes, prefix_matcher(prefixes)) for host, prefixes in by_host.items()]
    return sorted(sites, key=lambda site: site.rank)


def _parsed(mount: str) -> tuple[Host | None, str]:
    """Return a mount's host and its prefix, as PATH_INFO spells it, without a slash at its end."""
    host, slash, path = mount.partition("/")
    segments = path.removesuffix("/").split("/") if path else []
    if not host and not segments:
        remedy = "the application further in has all that is not mounted; write a path or a host"
        raise SettingError("mounts", f'"{mount}": {remedy}', mount)
    if any(segment in ("", ".", "..") for segment in segments):
        raise SettingError("mounts", f'"{mount}": no segment may be empty, "." or ".."', mount)
    if re.search(r"[%?#]", path):
        remedy = 'write the path decoded, as in "/café", and without "%", "?" and "#"'
        raise SettingError("mounts", f'"{mount}": {remedy}', mount)
    prefix = slash.join(["", *segments]).encode().decode("latin-1")
    if not host:
        return None, prefix
    try:
        wildcard = "*." if host.startswith("*.") else ""
        name, port = _canonical(parse_host(host.removeprefix("*.")))
    except MalformedFieldError:
        remedy = 'a mount begins with "/", a host or "*." and a domain'
        raise SettingError("mounts", f'"{mount}": {remedy}', mount) from None
    return Host(wildcard + name, port), prefix


def _host(environ: WSGIEnvironment) -> Host | None:
    """Return the host that the client asked, with its port; None where that is none."""
    text = environ.get("HTTP_HOST")
    try:
        if not text:  # HTTP/1.0 (PEP 3333, "URL Reconstruction")
            return _canonical(Host(environ["SERVER_NAME"], environ["SERVER_PORT"]))
        name, port = _canonical(parse_host(text))
    except MalformedFieldError:
        return None
    return Host(name, port or DEFAULT_PORTS.get(environ["wsgi.url_scheme"]))


def _canonical(host: Host) -> Host:
    """Return the one spelling of a host: lower case, no dot at its end (RFC 3986 §3.2.2)."""
    name = host.name.lower().removesuffix(".")
    if name.startswith("["):
        name = f"[{ipaddress.IPv6Address(name[1:-1])}]"
    return Host(name, host.port)


def _not_found(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return refuse(environ, start_response, "404 Not Found")
