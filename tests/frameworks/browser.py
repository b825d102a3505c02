"""A client with cookies, over TCP to nginx or over a worker's unix socket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http.client import HTTPResponse
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from urllib3 import encode_multipart_formdata

from tests.harness.fetch import Connection, Reply, connect

LIMIT = 30.0  # seconds for any one step of a request


class Browser:
    """Keeps the cookies that it gets, and sends them with every request.

    Args:
        address: the port of nginx on 127.0.0.1, or the path of a worker's socket.
        fields: what every request carries.
    """

    def __init__(self, address: int | Path, **fields: str) -> None:
        self._address = address
        self._fields = fields
        self.cookies: dict[str, str] = {}

    def open(
        self,
        method: str,
        target: str,
        body: bytes | Iterator[bytes] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> tuple[Connection, HTTPResponse]:
        """Send a request; return its connection, for the caller to close, and its response.

        A body that is an iterator goes out chunked.
        """
        connection = connect(self._address, limit=LIMIT)
        sent = {**self._fields, **(fields or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection.request(method, target, body, sent)
        return connection, connection.getresponse()

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | Iterator[bytes] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request and read all of its response."""
        connection, response = self.open(method, target, body, fields)
        answer = Reply(response.status, response.headers, response.read())
        connection.close()
        for line in answer.fields.get_all("Set-Cookie") or []:
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.coded_value
        return answer

    def get(self, target: str, **fields: str) -> Reply:
        """Send a GET; an underscore in a field's name stands for a hyphen."""
        return self.ask("GET", target, fields=spelled(fields))

    def post_form(self, target: str, form: Mapping[str, str], **fields: str) -> Reply:
        """Send a form as browsers do by default."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", target, urlencode(form).encode(), kind | spelled(fields))

    def post_files(self, target: str, form: Mapping[str, Any], **fields: str) -> Reply:
        """Send a form with files: (name, content) pairs."""
        body, kind = encode_multipart_formdata(form)
        return self.ask("POST", target, body, {"Content-Type": kind} | spelled(fields))


def spelled(fields: Mapping[str, str]) -> dict[str, str]:
    """Return fields under the names that Python's keywords cannot have."""
    return {name.replace("_", "-"): value for name, value in fields.items()}
