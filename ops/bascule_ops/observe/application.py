"""The observer: a WSGI application (PEP 3333) that shows the stack to browsers and Prometheus.

nginx leads to it on its inside listener only (nginx/templates/40-status.conf.template). It
reads and changes nothing, so it serves whoever gets that far; what keeps others away is that
the listener has a loopback address, and that a name which merely resolves to one is refused:
a web page could otherwise have its own name point there and read what stands here (DNS
rebinding).
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bascule_ops.observe import snapshot, static_files
from bascule_ops.observe.settings import Settings, from_environ

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ALWAYS: Final = [
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]
METHODS: Final = ("GET", "HEAD")
NO_STORE: Final = ("Cache-Control", "no-store")
PLAIN: Final = "text/plain; charset=utf-8"
PAGE: Final = "/-/status"

Fields = list[tuple[str, str]]
Answer = tuple[str, Fields, bytes]


def is_own_name(host: str) -> bool:
    """Whether a Host field can be one of ours: an address, or a name without a public owner.

    Names without a dot (a compose service's) and those below ``localhost`` (RFC 6761 §6.3)
    and ``internal`` are given out by nobody on the Internet.
    """
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    name = name.removeprefix("[").removesuffix("]").removesuffix(".").lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        last = name.rpartition(".")[2]
        return "." not in name or last in ("localhost", "internal")
    return True


def _words(status: str, words: str) -> Answer:
    return status, [("Content-Type", PLAIN), NO_STORE], f"{words}\n".encode()


def _file(directory: Path, name: str, environ: WSGIEnvironment) -> Answer:
    found = static_files.find(name, directory)
    if found is None:
        return _words("404 Not Found", "There is no such page.")
    validators: Fields = [("Cache-Control", "no-cache"), ("ETag", found.etag)]
    sent = environ.get("HTTP_IF_NONE_MATCH", "")
    # nginx weakens the validator of what it compresses (RFC 9110 §13.1.2: compared weakly).
    if found.etag in (each.strip().removeprefix("W/") for each in sent.split(",")):
        return "304 Not Modified", validators, b""
    return "200 OK", [("Content-Type", found.media_type), *validators], found.content


class Application:
    """The WSGI application.

    Args:
        settings: of the stack that it looks at.
        directory: of the page's files.
    """

    def __init__(self, settings: Settings, directory: Path = static_files.DIRECTORY) -> None:
        self._settings = settings
        self._directory = directory

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        status, fields, body = self._answer(environ)
        if status[:3] != "304":
            fields = [*fields, ("Content-Length", str(len(body)))]
        start_response(status, [*fields, *ALWAYS])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, environ: WSGIEnvironment) -> Answer:
        if not is_own_name(environ.get("HTTP_HOST", "localhost")):
            return _words("421 Misdirected Request", "Ask for localhost, or for an address.")
        if environ["REQUEST_METHOD"] not in METHODS:
            status, fields, body = _words("405 Method Not Allowed", "GET or HEAD, please.")
            return status, [*fields, ("Allow", ", ".join(METHODS))], body
        return self._page(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""), environ)

    def _page(self, path: str, environ: WSGIEnvironment) -> Answer:
        match path:
            case "/-/metrics":
                return self._metrics()
            case "/-/status.json":
                body = json.dumps(self._snapshot()).encode()
                return "200 OK", [("Content-Type", "application/json"), NO_STORE], body
            case "/-/status":
                return _file(self._directory, "index.html", environ)
            case "/-/status/":
                status, fields, body = _words("308 Permanent Redirect", PAGE)
                return status, [*fields, ("Location", PAGE)], body
        return _file(self._directory, path.removeprefix(f"{PAGE}/"), environ)

    def _snapshot(self) -> dict[str, Any]:
        return snapshot.take(self._settings)

    def _metrics(self) -> Answer:
        # Here, because what nobody scrapes need not be in memory.
        from bascule_ops.observe import exposition  # noqa: PLC0415

        body = exposition.render(self._snapshot())
        return "200 OK", [("Content-Type", exposition.CONTENT_TYPE), NO_STORE], body


application = Application(from_environ())
