"""An instance with __call__ as the application."""

from __future__ import annotations


class Greeter:
    """Holds a greeting between requests."""

    def __init__(self, greeting):
        self._greeting = greeting

    def __call__(self, environ, start_response):
        """Answer with the greeting."""
        fields = [("X-Application", "callable_instance"), ("Content-Type", "text/plain")]
        fields.append(("X-Method", environ["REQUEST_METHOD"]))
        start_response("200 OK", [*fields, ("Content-Length", str(len(self._greeting)))])
        return [self._greeting]


application = Greeter(b"by an instance\n")
