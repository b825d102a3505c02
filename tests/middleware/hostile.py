"""Applications that use every liberty of PEP 3333, or break it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

TEXT = [("Content-Type", "text/plain")]


def greets(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", list(TEXT))
    return [b"hello"]


def yields_nothing(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", list(TEXT))
    return []


def streams(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", list(TEXT))
    yield b""
    yield b"one"
    yield b"two"


def starts_late(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Call start_response with the first step of the iteration: a plain generator."""
    start_response("200 OK", list(TEXT))
    yield b"late"


def writes(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    write = start_response("200 OK", list(TEXT))
    write(b"written ")
    return [b"returned"]


def starts_twice(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", list(TEXT))
    try:
        raise LookupError("mended")
    except LookupError:
        start_response("503 Service Unavailable", list(TEXT), sys.exc_info())
    return [b"sorry"]


def raises_at_once(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    raise ValueError("<secret>")


def raises_after_start(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [*TEXT, ("Content-Length", "5"), ("Set-Cookie", "a=b")])
    raise ValueError("<secret>")


def raises_after_write(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", list(TEXT))(b"begun")
    raise ValueError("<secret>")


def raises_before_first_block(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", list(TEXT))
    yield b""  # sends nothing yet: PEP 3333 sends the head with the first block that is not empty
    raise ValueError("<secret>")


def raises_in_generator_before_start(environ: dict[str, Any], start_response: Any) -> Any:
    raise ValueError("<secret>")
    yield b""


def raises_midway(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", list(TEXT))
    yield b"begun"
    raise ValueError("<secret>")


def is_interrupted(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", list(TEXT))
    yield b"begun"
    raise KeyboardInterrupt


BEHAVED = (greets, yields_nothing, streams, starts_late, writes, starts_twice)
RAISING_IN_TIME = (
    raises_at_once,
    raises_after_start,
    raises_before_first_block,
    raises_in_generator_before_start,
)
RAISING_TOO_LATE = (raises_after_write, raises_midway)


class Closing:
    """A response that counts its closings, and may raise on any occasion."""

    def __init__(self, *, fails_in: str = "", sized: bool = False) -> None:
        self.closings = 0
        self.fails_in = fails_in
        if sized:
            self.__class__ = SizedClosing

    def __call__(self, _environ: dict[str, Any], start_response: Any) -> Closing:
        start_response("200 OK", list(TEXT))
        return self

    def __iter__(self) -> Iterator[bytes]:
        if self.fails_in == "iter":
            raise ValueError("<secret>")
        return self._blocks()

    def _blocks(self) -> Iterator[bytes]:
        yield b"one"
        if self.fails_in == "next":
            raise ValueError("<secret>")
        yield b"two"

    def close(self) -> None:
        self.closings += 1
        if self.fails_in == "close":
            raise ValueError("<secret>")


class SizedClosing(Closing):
    """The same, with a length."""

    def __len__(self) -> int:
        return 2
