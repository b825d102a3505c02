"""The populations that scenarios replay, each made when first asked for."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Final

from tests.bench import api_clients, browsers
from tests.bench.population import REQUESTS, SEED, forwarded, sent, write

SLOW_PERCENT: Final = 5
SLOW_TARGET: Final = "/slow"


UPLOAD_BYTES: Final = 1024 * 1024


def _get(target: str, fields: str = "") -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode("ascii")


def _traffic() -> Iterable[bytes]:
    return forwarded(browsers.requests(SEED, REQUESTS), random.Random(SEED))


def _site() -> Iterable[bytes]:
    """The same as clients send it to nginx."""
    return sent(browsers.requests(SEED, REQUESTS))


def _api() -> Iterable[bytes]:
    return forwarded(api_clients.requests(SEED, REQUESTS), random.Random(SEED))


def _sites() -> Iterable[bytes]:
    """The two in turns, for applications that have views for both."""
    pairs = zip(
        browsers.requests(SEED, REQUESTS // 2),
        api_clients.requests(SEED, REQUESTS // 2),
        strict=True,
    )
    return forwarded(chain.from_iterable(pairs), random.Random(SEED))


def _hello() -> Iterable[bytes]:
    return [_get("/")]


def _closing() -> Iterable[bytes]:
    return [_get("/", "Connection: close\r\n")]


def _upload() -> Iterable[bytes]:
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {UPLOAD_BYTES}\r\n\r\n"
    return [head.encode("ascii") + bytes(UPLOAD_BYTES)]


def _mixed() -> Iterable[bytes]:
    rng = random.Random(SEED)
    targets = rng.choices(
        ("/", SLOW_TARGET), weights=(100 - SLOW_PERCENT, SLOW_PERCENT), k=REQUESTS
    )
    return map(_get, targets)


MADE: Final[Mapping[str, Callable[[], Iterable[bytes]]]] = {
    "traffic": _traffic,
    "api": _api,
    "site": _site,
    "sites": _sites,
    "hello": _hello,
    "closing": _closing,
    "upload": _upload,
    "mixed": _mixed,
}


def made(name: str, directory: Path) -> Path:
    """Return the file of a population, made in `directory` unless it is there."""
    path = directory / f"{name}.population"
    if not path.exists():
        write(path, MADE[name]())
    return path
