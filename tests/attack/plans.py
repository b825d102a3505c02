"""The attacks: what many hostile connections send, how often, and what they read."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.attack.application import LARGE_PATH

NEVER: Final = float("inf")
HELLO: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
# What a connection sends in one go at the most, where it sends as fast as it can.
BLOCK: Final = 64 * 1024


class Reads(enum.Enum):
    """What a hostile client does with what it is sent."""

    ALL = "everything, at once"
    LITTLE = "a few bytes now and then"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack.

    Attributes:
        title: for people.
        connections: open at the same time, opened again where the server closes them.
        first: what each sends as soon as it is connected.
        then: what it sends after that: endless; None for nothing.
        interval: seconds between two of those; 0: as fast as the server takes them.
        after_answer: send the next when something has come back, not by the clock.
        reads: what it reads.
        lifetime: seconds after which the client resets the connection and begins anew.
        descriptors: limit of open files that the server gets; 0: enough.
    """

    name: str
    title: str
    connections: int
    first: bytes = b""
    then: Callable[[], Iterator[bytes]] | None = None
    interval: float = 0.0
    after_answer: bool = False
    reads: Reads = Reads.ALL
    lifetime: float = NEVER
    descriptors: int = 0


def _again(data: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: itertools.repeat(data)


def _bytes_of(request: bytes) -> Callable[[], Iterator[bytes]]:
    """Send requests one byte at a time."""
    return lambda: itertools.cycle(request[at : at + 1] for at in range(len(request)))


def _colliding_names(count: int) -> list[str]:
    """Return names with one value under the hash of many older interpreters.

    ``hash = hash * 33 + byte`` gives "Ez" and "FY" the same, and so every string made of as many
    of either.
    """
    pairs = itertools.product(("Ez", "FY"), repeat=7)
    return ["X-" + "".join(each) for each in itertools.islice(pairs, count)]


def _colliding() -> Iterator[bytes]:
    fields = "".join(f"{name}: 1\r\n" for name in _colliding_names(90))
    return itertools.repeat(f"GET / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode())


_numbers = itertools.count()


def _new_names() -> Iterator[bytes]:
    """Send requests whose every field has a name and a value that no request had before."""
    for number in _numbers:
        fields = "".join(f"X-{number:x}-{each}: {number * 90 + each}\r\n" for each in range(90))
        yield f"GET /{number:x} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode()


ATTACKS: Final = {
    attack.name: attack
    for attack in (
        Attack(
            "slow-head",
            "1,000 clients, each a field of a head that never ends every 0.5 s",
            1000,
            first=b"GET / HTTP/1.1\r\nHost: localhost\r\n",
            then=_again(b"X-A: b\r\n"),
            interval=0.5,
        ),
        Attack(
            "slow-body",
            "1,000 clients, each a byte of an upload of 1 MB every 0.5 s",
            1000,
            first=b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n",
            then=_again(b"x"),
            interval=0.5,
        ),
        Attack(
            "slow-read",
            "200 clients, each 64 bytes of a download of 64 MiB every 0.5 s",
            200,
            first=f"GET {LARGE_PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
            interval=0.5,
            reads=Reads.LITTLE,
        ),
        Attack("idle", "5,000 connections that send nothing", 5000),
        Attack(
            "trickle",
            "2,000 clients, each a byte of a valid request every 0.5 s",
            2000,
            then=_bytes_of(HELLO),
            interval=0.5,
        ),
        Attack(
            "flood",
            "3,000 connections that send nothing, and 1,024 descriptors",
            3000,
            descriptors=1024,
        ),
        Attack(
            "huge-heads",
            "32 clients, each heads without end as fast as they are taken",
            32,
            first=b"GET / HTTP/1.1\r\nHost: localhost\r\n",
            then=_again((b"X-A: " + b"x" * 8000 + b"\r\n") * 8),
        ),
        Attack(
            "many-fields",
            "32 clients, each heads of 10,000 fields as fast as they are taken",
            32,
            then=_again(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 10_000 + b"\r\n"),
        ),
        Attack(
            "colliding-names",
            "16 clients, each valid requests with 90 names of one hash, one after another",
            16,
            then=_colliding,
            after_answer=True,
        ),
        Attack(
            "new-names",
            "16 clients, each valid requests with 90 names never seen before, one after another",
            16,
            then=_new_names,
            after_answer=True,
        ),
        Attack(
            "pipeline",
            "16 clients, each requests as fast as they are taken, and no answer read",
            16,
            then=_again(HELLO * (BLOCK // len(HELLO))),
            reads=Reads.NOTHING,
            lifetime=1.0,
        ),
    )
}
