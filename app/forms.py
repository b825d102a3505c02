"""The forms that a WSGI application may take besides the plain function in `app.hello`.

PEP 3333 asks for a callable with two arguments that returns an iterable of bytes. A class is such
a callable, and so is an instance with `__call__`. The iterable may be a list, a generator, or any
object with `__iter__`. And there is `write()`, for code from before all that.

Each greets as the hello application does; app/chain.toml mounts them under /forms/.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from app.hello import name_in

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

FIELDS = (("Content-Type", "text/html; charset=utf-8"),)


class Greeting:
    """A class as the application: calling it makes an instance, and that is the response.

    The server iterates it. A `close()` here would be called at the end, whatever happened.
    """

    def __init__(self, environ: WSGIEnvironment, start_response: StartResponse) -> None:
        """Take what every application is called with; the response begins with the iteration."""
        self.environ = environ
        self.start_response = start_response

    def __iter__(self) -> Iterator[bytes]:
        """Start the response, and give its body block by block."""
        self.start_response("200 OK", list(FIELDS))
        if self.environ["REQUEST_METHOD"] != "HEAD":
            yield greeting(self.environ)


class Greeter:
    """An instance as the application: it keeps settings, and one instance serves all requests.

    So it must not keep anything of a single request: many threads may be in `__call__` at a time.
    """

    def __init__(self, salutation: str) -> None:
        """Greet with a `salutation`."""
        self.salutation = salutation

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        start_response("200 OK", list(FIELDS))
        return [greeting(environ, self.salutation)] if environ["REQUEST_METHOD"] != "HEAD" else []


greeter = Greeter("Hello")


def generator(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """Answer by a generator function: each `yield` is a block, sent before the next is made."""
    start_response("200 OK", list(FIELDS))
    if environ["REQUEST_METHOD"] != "HEAD":
        yield greeting(environ)


def writer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer through `write()`, which PEP 3333 keeps for old code; new code should iterate."""
    write = start_response("200 OK", list(FIELDS))
    if environ["REQUEST_METHOD"] != "HEAD":
        write(greeting(environ))
    return []


def greeting(environ: WSGIEnvironment, salutation: str = "Hello") -> bytes:
    """Return the page for a request's path, as `app.hello` writes it."""
    name = name_in(environ.get("PATH_INFO", ""))
    return f"<h1>{html.escape(salutation)}, {html.escape(name)}!</h1>".encode()
