"""Sends one entry of the corpus to one server and says what came back, aspect by aspect."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.harness.client import Client, Ending, Framing, MalformedResponse, Response

from .corpus import Entry

PROBE = b"GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n"

# What each server says of itself and of the moment, not of the request, whatever an application
# says.
NOT_COMPARED = ("server", "date")
# Compared under "framing" and "announces close" instead.
FRAMING_FIELDS = ("connection", "transfer-encoding", "content-length")

Aspects = dict[str, str]


@dataclass
class Exchange:
    """What one server did with one entry's bytes."""

    ports: dict[str, str]
    responses: list[Response] = field(default_factory=list)
    interim: list[int] = field(default_factory=list)
    ending: Ending = Ending.OPEN
    malformed: str = ""


def run(client: Client, entry: Entry, parts: Sequence[bytes] | None = None) -> Exchange:
    """Send the entry (in `parts`, by default in one write) and read everything that comes."""
    exchange = Exchange(ports_of(client))
    if parts is None:
        client.send(entry.sent)
    else:
        client.send_parts(parts)
    if entry.half_close:
        client.end_sending()
    try:
        for method in entry.methods:
            response = client.read(method=method)
            while response is not None and response.status < 200:
                exchange.interim.append(response.status)
                response = client.read(method=method)
            if response is None:
                break
            exchange.responses.append(response)
            if not response.complete:
                break
        exchange.ending = ending(client, entry, exchange)
    except MalformedResponse as error:
        exchange.malformed = str(error)
    return exchange


def ending(client: Client, entry: Entry, exchange: Exchange) -> Ending:
    """Find out whether the connection is kept: by its end, or by an answer to a probe."""
    answered = len(exchange.responses) == len(entry.methods) and not entry.half_close
    last = exchange.responses[-1] if exchange.responses else None
    if not answered or last is None or not last.complete or last.says_close:
        return client.read_ending()
    if last.framing is Framing.CLOSE:
        return client.read_ending()
    return client.still_open(PROBE)


def ports_of(client: Client) -> dict[str, str]:
    """Return the two ports, which differ from connection to connection, by variable."""
    return {
        "SERVER_PORT": str(client.socket.getpeername()[1]),
        "REMOTE_PORT": str(client.socket.getsockname()[1]),
    }


def made_by_application(response: Response) -> bool:
    """Whether the application made this answer, not the server in its place."""
    return bool(response.all("X-Application"))


def aspects(entry: Entry, exchange: Exchange) -> Aspects:
    """Return what can be compared, each part under its name.

    With several requests in one entry, the name begins with the response's number: "2: status".
    """
    found: Aspects = {
        "responses": str(len(exchange.responses)),
        "interim responses": " ".join(map(str, exchange.interim)) or "none",
        "connection": as_announced(entry, exchange),
    }
    if exchange.malformed:
        found["malformed"] = exchange.malformed
    for number, response in enumerate(exchange.responses, 1):
        prefix = f"{number}: " if len(entry.methods) > 1 else ""
        for name, value in response_aspects(response, exchange.ports):
            found[prefix + name] = value
    return found


def as_announced(entry: Entry, exchange: Exchange) -> str:
    """Say whether the connection ended or stayed as the last response said it would."""
    if not exchange.responses or exchange.malformed or entry.half_close:
        return "as announced"  # nothing was
    last = exchange.responses[-1]
    if not last.complete:
        return "broken off"
    closes = last.says_close or last.framing is Framing.CLOSE
    if closes is (exchange.ending is not Ending.OPEN):
        return "as announced"
    return "kept all the same" if closes else "ends all the same"


def response_aspects(response: Response, ports: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the aspects of one response; of a server's own answer only the status counts."""
    if not made_by_application(response):
        kept = "closes" if response.says_close else "keeps the connection"
        yield "status", f"{response.status} by the server, which {kept}"
        yield "error answer", f"{response.reason} {response.framing.name} {digest(response.body)}"
        return
    yield "status", f"{response.status} {response.reason}"
    yield "version", response.version
    if response.says_close:
        yield "persistence", "close"
    else:
        yield "persistence", ", ".join(response.all("Connection")).lower() or "not mentioned"
    yield "framing", framing(response)
    left_out = FRAMING_FIELDS + NOT_COMPARED
    compared = [
        (name.lower(), value) for name, value in response.fields if name.lower() not in left_out
    ]
    yield "order of fields", digest(" ".join(name for name, _ in compared).encode())
    for name in sorted({name for name, _ in compared}):
        values = [value for other, value in compared if other == name]
        yield f"field {name}", digest(" | ".join(values).encode())
    yield "complete", str(response.complete)
    if response.all("X-Application") == ["environ_dump"] and response.body:
        yield from environ_aspects(response, ports)
    else:
        yield "body", digest(response.body)


def framing(response: Response) -> str:
    """Say how the end is known; where there is no body, which length was stated all the same."""
    if response.framing is Framing.NONE:
        return f"no body, Content-Length: {response.one('Content-Length')}"
    if response.framing is Framing.LENGTH and response.all("X-Application") != ["environ_dump"]:
        return f"Content-Length: {response.one('Content-Length')}"
    return response.framing.value


def environ_aspects(response: Response, ports: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield one aspect for each key of the environ that the application saw."""
    report = json.loads(response.body)
    for key, described in report.pop("environ").items():
        kind, value = described
        if ports.get(key) == value:
            value = "the port of this connection"
        yield f"environ {key}", f"{kind} {digest(str(value).encode('utf-8'))}".strip()
    for part, value in report.items():
        yield f"environ dump's {part}", digest(str(value).encode("utf-8"))


def digest(data: bytes) -> str:
    """Return `data` as text, long data by its size and hash."""
    if len(data) <= 120:
        return data.decode("utf-8", "backslashreplace")
    return f"{len(data)} bytes, {hashlib.sha256(data).hexdigest()[:12]}"
