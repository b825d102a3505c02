"""`gate`, mounted at its last path segment: below whatever prefix a gateway leaves in the path."""

from __future__ import annotations

from . import gate


def application(environ, start_response):
    """Move what comes before the last segment to SCRIPT_NAME."""
    prefix, _, last = environ["PATH_INFO"].rpartition("/")
    environ["SCRIPT_NAME"] += prefix
    environ["PATH_INFO"] = f"/{last}"
    return gate.application(environ, start_response)
