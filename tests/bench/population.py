"""Populations of requests: what many clients send, of which no two requests are alike.

A population is a file of records, each a length of 4 bytes, big-endian, and the bytes of one
request. `load.c` replays it. Those made here come from a seed: the same one, the same bytes.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

# More than any server in Python answers in a measurement of a second: none sees one twice.
REQUESTS: Final = 100_000
SEED: Final = 17
LENGTH: Final = struct.Struct(">I")

Fields = tuple[tuple[str, str], ...]


class PopulationError(Exception):
    """A file is no population; the message says where it stops being one."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends to nginx.

    Attributes:
        host: the value of ``Host``, which is sent first.
        fields: the others, without ``Content-Length`` and the hop-by-hop ones, in order.
        address: the client's.
        lower_case: its names of fields are lower-case, as HTTP/2 has them (RFC 9113 §8.2.1).
    """

    method: str
    target: str
    host: str
    fields: Fields
    address: str
    body: bytes = b""
    lower_case: bool = False

    def sent(self) -> bytes:
        """Return the message from the client to nginx."""
        own = [("Host", self.host), *self.fields]
        if self.body:
            own.append(("Content-Length", str(len(self.body))))
        return self._message(self._spelled(own))

    def forwarded(self, request_id: str) -> bytes:
        """Return the message from nginx to a worker.

        The order is nginx's: what `nginx/snippets/forwarded.conf` sets, the length of the body,
        then the client's own fields. A test compares it with what a real nginx sends.
        """
        fields = [
            ("Host", self.host),
            ("X-Request-ID", request_id),
            ("X-Forwarded-For", self.address),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Host", self.host),
            ("X-Forwarded-Port", "80"),
        ]
        if self.body:
            fields.append(("Content-Length", str(len(self.body))))
        return self._message([*fields, *self._spelled(self.fields)])

    def _spelled(self, fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        if not self.lower_case:
            return list(fields)
        return [(name.lower(), value) for name, value in fields]

    def _message(self, fields: Iterable[tuple[str, str]]) -> bytes:
        lines = "".join([f"{name}: {value}\r\n" for name, value in fields])
        return f"{self.method} {self.target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + self.body


class Zipf:
    """Draws from a sequence by Zipf's law: the n-th is drawn in proportion to 1 / n ** exponent."""

    def __init__(self, length: int, exponent: float) -> None:
        self._weights = list(accumulate((n + 1) ** -exponent for n in range(length)))
        self._indices = range(length)

    def draw(self, rng: random.Random) -> int:
        """Return an index."""
        (index,) = rng.choices(self._indices, cum_weights=self._weights)
        return index


Draw = Callable[[], Request]


def distinct(draw: Draw, count: int) -> Iterator[Request]:
    """Yield so many requests of which no two are alike; what came before is drawn again."""
    seen: set[int] = set()
    while len(seen) < count:
        request = draw()
        known = hash((request.target, request.fields, request.body))
        if known not in seen:
            seen.add(known)
            yield request


def forwarded(requests: Iterable[Request], rng: random.Random) -> Iterator[bytes]:
    """Yield the messages that nginx makes of requests, each with an id of its own."""
    for request in requests:
        yield request.forwarded(f"{rng.getrandbits(128):032x}")


def sent(requests: Iterable[Request]) -> Iterator[bytes]:
    """Yield the messages from clients to nginx."""
    for request in requests:
        yield request.sent()


def write(path: Path, messages: Iterable[bytes]) -> None:
    """Write a population."""
    with path.open("wb") as file:
        for message in messages:
            file.write(LENGTH.pack(len(message)))
            file.write(message)


def read(content: bytes) -> Sequence[bytes]:
    """Return the messages of a population.

    Raises:
        PopulationError: it ends within a record, or has none.
    """
    messages: list[bytes] = []
    place = 0
    while place < len(content):
        if place + LENGTH.size > len(content):
            raise PopulationError(f"ends at byte {len(content)}, within a length")
        (length,) = LENGTH.unpack_from(content, place)
        place += LENGTH.size
        if place + length > len(content):
            raise PopulationError(f"ends at byte {len(content)}, within record {len(messages)}")
        messages.append(content[place : place + length])
        place += length
    if not messages:
        raise PopulationError("has no record")
    return messages
