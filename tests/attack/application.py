"""What is attacked: a bare WSGI application that says hello, takes uploads and sends a file."""

from __future__ import annotations

from collections.abc import Iterable

from tests.bench.applications import Environ, StartResponse, download, hello, upload

LARGE_PATH = "/large"


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer by method and path."""
    if environ["REQUEST_METHOD"] == "POST":
        return upload(environ, start_response)
    if environ["PATH_INFO"] == LARGE_PATH:
        return download(environ, start_response)
    return hello(environ, start_response)
