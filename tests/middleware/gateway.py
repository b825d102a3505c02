"""The server side of PEP 3333, as small as the specification allows, to call applications with.

It sends the head with the first block that is not empty, honours exc_info, offers write(), and
closes the iterable once, whatever happens. It adds nothing: what the application gave is seen.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any
from wsgiref.util import FileWrapper


class Gateway:
    """One call of an application. `run` may be called once."""

    def __init__(self, application: Callable[..., Any], **variables: str) -> None:
        self.application = application
        self.environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "SERVER_NAME": "server",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "server:8000",
            "REMOTE_ADDR": "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": FileWrapper,
        } | variables
        self.status = ""
        self.fields: list[tuple[str, str]] = []
        self.blocks: list[bytes] = []
        self.head_is_sent = False
        self.iterable: Any = None

    def run(self, blocks: int | None = None) -> Gateway:
        """Serve the response, or no more than some blocks of it, as if the client then went."""
        self.iterable = self.application(self.environ, self.start_response)
        try:
            for number, block in enumerate(self.iterable):
                if number == blocks:
                    break
                self.write(block)
            else:
                assert self.status, "start_response was never called"
                self.head_is_sent = True
        finally:
            if hasattr(self.iterable, "close"):
                self.iterable.close()
        return self

    def start_response(
        self, status: str, fields: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        if exc_info:
            if self.head_is_sent:
                raise exc_info[1].with_traceback(exc_info[2])
        else:
            assert not self.status, "start_response was called twice"
        self.status, self.fields = status, list(fields)
        return self.write

    def write(self, block: bytes) -> None:
        assert self.status, "a block came before start_response"
        assert type(block) is bytes
        if block:
            self.head_is_sent = True
            self.blocks.append(block)

    @property
    def body(self) -> bytes:
        return b"".join(self.blocks)

    def field(self, name: str) -> str:
        """Return the value of the response field `name`, which must be there exactly once."""
        (value,) = (v for n, v in self.fields if n.lower() == name.lower())
        return value


def respond(application: Callable[..., Any], **variables: str) -> Gateway:
    """Return the answer to one request, whose environ has `variables` besides the usual."""
    return Gateway(application, **variables).run()
