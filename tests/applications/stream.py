"""A generator: its length is unknown until it ends. Empty blocks stand between full ones."""

from __future__ import annotations


def application(environ, start_response):
    """Yield three lines and two empty blocks."""
    start_response("200 OK", [("X-Application", "stream"), ("Content-Type", "text/plain")])
    return blocks()


def blocks():
    """Yield the body."""
    yield b"one\n"
    yield b""
    yield b"two\n"
    yield b""
    yield b"three\n"
