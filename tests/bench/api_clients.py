"""The population of an API: programs with bearer tokens, ETags and small JSON bodies.

Clients and objects are drawn by Zipf's law. Four of five clients have lower-case names of fields,
as HTTP/2 has them and most libraries for JavaScript send them.
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.bench.population import Fields, Request, Zipf, distinct

CLIENTS: Final = 2000
OBJECTS: Final = 5000
CLIENT_EXPONENT: Final = 0.8
OBJECT_EXPONENT: Final = 1.0

POST_SHARE: Final = 0.3
DELETE_SHARE: Final = 0.02
QUERY_SHARE: Final = 0.4  # of those that GET
CONDITIONAL_SHARE: Final = 0.2  # of those that GET
LOWER_CASE_SHARE: Final = 0.8

HOST: Final = "api.example.org"
COLLECTIONS: Final = ("orders", "customers", "invoices", "products", "carts", "events", "users")
ALPHABET: Final = string.ascii_letters + string.digits

# What each library sends in which order; the values are the client's.
ORDERS: Final = (
    ("Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "traceparent",
     "Accept-Language", "Sec-Fetch-Mode", "User-Agent", "Accept-Encoding"),
    ("User-Agent", "Accept-Encoding", "Accept", "Authorization", "If-None-Match", "X-Api-Version",
     "traceparent", "tracestate", "Content-Type", "Idempotency-Key"),
    ("Authorization", "X-Client-Id", "X-Device-Id", "X-App-Version", "Content-Type",
     "Idempotency-Key", "If-None-Match", "Accept", "Accept-Encoding", "User-Agent"),
)  # fmt: skip
AGENTS: Final = (
    "node",
    "axios/1.{}.{}",
    "okhttp/4.{}.{}",
    "Go-http-client/2.0",
    "python-requests/2.{}.{}",
    "ExampleApp/5.{}.{} (iOS; build 4711)",
    "Example.Sdk/3.{}.{} (.NET 8.0; Linux)",
)


@dataclass(frozen=True, slots=True)
class Client:
    """One program, with what it sends each time."""

    order: tuple[str, ...]
    address: str
    fields: dict[str, str]
    lower_case: bool
    traces: bool


def requests(seed: int, count: int) -> Iterator[Request]:
    """Yield the population's requests, no two alike; the same seed, the same ones."""
    rng = random.Random(seed)
    objects = [(f"/v1/{rng.choice(COLLECTIONS)}", _text(rng, 12)) for _ in range(OBJECTS)]
    etags = [f'"{rng.getrandbits(96):x}"' for _ in range(OBJECTS)]
    clients = [_client(rng) for _ in range(CLIENTS)]
    by_object, by_client = Zipf(OBJECTS, OBJECT_EXPONENT), Zipf(CLIENTS, CLIENT_EXPONENT)

    def draw() -> Request:
        client, index = clients[by_client.draw(rng)], by_object.draw(rng)
        collection, name = objects[index]
        return _request(rng, client, collection, name, etags[index])

    return distinct(draw, count)


def _request(rng: random.Random, client: Client, collection: str, name: str, etag: str) -> Request:
    has = dict(client.fields)
    method, target, body = "GET", f"{collection}/{name}", b""
    kind = rng.random()
    if kind < POST_SHARE:
        method, target, body = "POST", collection, _json(rng)
        has["Content-Type"] = "application/json"
        has["Idempotency-Key"] = _uuid(rng)
    elif kind < POST_SHARE + DELETE_SHARE:
        method = "DELETE"
    else:
        if rng.random() < QUERY_SHARE:
            target = f"{collection}?{_query(rng)}"
        if rng.random() < CONDITIONAL_SHARE:
            has["If-None-Match"] = etag
    if client.traces:
        has["traceparent"] = f"00-{rng.getrandbits(128):032x}-{rng.getrandbits(64):016x}-01"
    fields: Fields = tuple((each, has[each]) for each in client.order if each in has)
    return Request(
        method=method,
        target=target,
        host=HOST,
        fields=fields,
        address=client.address,
        body=body,
        lower_case=client.lower_case,
    )


def _query(rng: random.Random) -> str:
    found = [f"limit={rng.choice((10, 20, 50, 100))}"]
    match rng.randrange(3):
        case 0:
            found.append(f"cursor={_text(rng, 24)}%3D%3D")
        case 1:
            found.append(f"offset={rng.randrange(100_000)}&sort=-created_at")
        case _:
            found.append(f"filter%5Bstatus%5D=open&updated_after={rng.randrange(10**9)}")
    return "&".join(found)


def _json(rng: random.Random) -> bytes:
    """Return an object of 60 to 400 bytes."""
    content: dict[str, object] = {"id": _uuid(rng), "quantity": rng.randrange(1000)}
    for _ in range(rng.randrange(8)):
        name = _text(rng, 6).lower()
        content[name] = rng.choice((_text(rng, rng.randrange(4, 40)), rng.random() < 0.5, None))
    return json.dumps(content, separators=(",", ":")).encode("ascii")


def _client(rng: random.Random) -> Client:
    fields = {
        "Accept": rng.choice(("application/json", "application/json, text/plain, */*", "*/*")),
        "Accept-Encoding": rng.choice(("gzip", "gzip, deflate, br", "gzip, compress, deflate, br")),
        "Accept-Language": "*",
        "Authorization": f"Bearer {_token(rng)}",
        "Sec-Fetch-Mode": "cors",
        "User-Agent": rng.choice(AGENTS).format(rng.randrange(30), rng.randrange(9)),
        "X-Api-Version": f"2025-0{rng.randrange(1, 10)}-01",
        "X-App-Version": f"5.{rng.randrange(40)}.{rng.randrange(9)}",
        "X-Client-Id": _text(rng, 20),
        "X-Device-Id": _uuid(rng),
        "tracestate": f"vendor={_text(rng, 16)}",
    }
    return Client(
        order=rng.choice(ORDERS),
        address=f"{rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{rng.randrange(1, 255)}",
        fields=fields,
        lower_case=rng.random() < LOWER_CASE_SHARE,
        traces=rng.random() < 0.6,
    )


def _token(rng: random.Random) -> str:
    """Return a bearer token: an opaque one, or one that carries its claims (RFC 7519)."""
    if rng.random() < 0.4:
        return _text(rng, 40)
    parts = (36, rng.randrange(120, 420), 256)
    return ".".join(
        base64.urlsafe_b64encode(rng.randbytes(length)).rstrip(b"=").decode() for length in parts
    )


def _uuid(rng: random.Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _text(rng: random.Random, length: int) -> str:
    return "".join(rng.choices(ALPHABET, k=length))
