"""The sites that tests/bench/run serves by frameworks, and the floor in C that calls them."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path

import pytest

from tests.bench import api_clients, browsers, native, shop
from tests.bench.applications import Environ, StartResponse
from tests.harness.client import Client
from tests.harness.ports import free_port
from tests.harness.servers import ServerProcess, scratch

HAS_HEADERS = Path(sysconfig.get_path("include"), "Python.h").exists()
pytestmark = pytest.mark.skipif(
    not HAS_HEADERS and os.environ.get("CI") != "true", reason="Python's headers are not here"
)

Serve = Callable[[str], AbstractContextManager[Client]]


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """Serve an application by the floor; yields a connection to it."""
    with scratch() as directory:
        native.build_extension("application_floor", directory)
        shop.create(directory / "shop.sqlite")

        @contextmanager
        def serving(application: str) -> Iterator[Client]:
            address = ("127.0.0.1", free_port())
            command = [
                *(sys.executable, "-m", "tests.bench.embedded", "application_floor", application),
                *(f"{address[0]}:{address[1]}", "1"),
            ]
            paths = [str(directory), os.environ.get("PYTHONPATH", "")]
            env = {
                "PYTHONPATH": os.pathsep.join(paths),
                shop.DATABASE_VARIABLE: str(directory / "shop.sqlite"),
            }
            with ServerProcess(command, address, env=env) as server:
                server.wait_until_it_answers()
                with server.client() as client:
                    yield client

        yield serving


class Pieces(list[bytes]):
    """A body, and how many of its kind were closed."""

    closed = 0

    def close(self) -> None:
        Pieces.closed += 1


def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with what was given, in two pieces, and how many answers were closed before."""
    body = environ["wsgi.input"].read().decode()
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    content = json.dumps({"environ": seen, "body": body, "closed": Pieces.closed}).encode()
    start_response("201 Created", [("X-Own", "1")])
    return Pieces([content[:5], content[5:]])


def test_the_floor_calls_an_application_as_pep_3333_has_it(serve: Serve) -> None:
    with serve(f"{__name__}:echo") as client:
        message = (
            b"POST /a%20b/%C3%A9%2f?x=1&y=%20 HTTP/1.1\r\nHost: h.example\r\n"
            b"content-type: text/plain\r\nX-Two-Words:  a: b\r\ncontent-length: 5\r\n\r\nhello"
        )
        first, second = client.request(message), client.request(message)
    assert (first.status, first.reason) == (201, "Created")
    assert ("X-Own", "1") in first.fields
    told, again = json.loads(first.body), json.loads(second.body)
    assert again["closed"] == told["closed"] + 1
    assert told["body"] == "hello"
    expected = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/a b/\xc3\xa9/",
        "QUERY_STRING": "x=1&y=%20",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "5",
        "HTTP_HOST": "h.example",
        "HTTP_X_TWO_WORDS": "a: b",
        "SCRIPT_NAME": "",
        "wsgi.url_scheme": "http",
    }
    assert {name: told["environ"].get(name) for name in expected} == expected


@pytest.mark.parametrize("site", ["flask_site", "django_site"])
def test_a_site_answers_every_request_of_both_populations(serve: Serve, site: str) -> None:
    with serve(f"tests.bench.{site}:application") as client:
        for request in islice(browsers.requests(1, 150), 150):
            reply = client.request(request.forwarded("0" * 32))
            assert reply.status == 200, request
            assert b"<p>Visit " in reply.body
            assert reply.body.count(b"Product &lt;") == shop.SHOWN
            assert "set-cookie" in {name.lower() for name, _ in reply.fields}
        for request in islice(api_clients.requests(1, 60), 60):
            reply = client.request(request.forwarded("0" * 32))
            assert reply.status == 200, request
            sent = json.loads(request.body) if request.body else None
            assert json.loads(reply.body)["sent"] == sent
