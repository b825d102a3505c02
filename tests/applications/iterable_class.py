"""A class as the application: calling it makes an instance, which is the iterable (PEP 3333)."""

from __future__ import annotations


class application:  # noqa: N801  # the name that every file here exports
    """One instance a request."""

    def __init__(self, environ, start_response):
        self._environ = environ
        self._start_response = start_response

    def __iter__(self):
        """Start the response, then yield its one block."""
        fields = [("X-Application", "iterable_class"), ("Content-Type", "text/plain")]
        self._start_response("200 OK", fields)
        yield self._environ["REQUEST_METHOD"].encode("latin-1") + b" by a class\n"
