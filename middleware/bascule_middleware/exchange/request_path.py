"""The path that a client asked for, whatever part of it is in SCRIPT_NAME by now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


def full_path(environ: WSGIEnvironment) -> str:
    """Return the whole path in the form of PATH_INFO: decoded, its bytes as latin-1 characters."""
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return path


def path_text(environ: WSGIEnvironment) -> str:
    """Return the whole path as text, for a log; bytes that are not UTF-8 as escapes."""
    return _text(environ.get("SCRIPT_NAME", "")) + _text(environ.get("PATH_INFO", ""))


def _text(path: str) -> str:
    """Return the text of a path whose characters are bytes (PEP 3333, "Unicode Issues")."""
    try:
        return path.encode("latin-1").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return path  # some frameworks put the text itself into the environ
