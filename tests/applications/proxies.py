"""Tells the HTTP_PROXY that it and the libraries in its process would obey."""

from __future__ import annotations

import os


def application(environ, start_response):
    """Answer with the variable of the environ and that of the process."""
    start_response("200 OK", [("X-Application", "proxies"), ("Content-Type", "text/plain")])
    return [f"{environ.get('HTTP_PROXY')} {os.environ.get('HTTP_PROXY')}".encode()]
