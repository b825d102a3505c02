"""Fields of which there is to be one, given twice: by the client, or by the application."""

from __future__ import annotations

import pytest

from .project import served
from .requests import get

SITE = """
def application(environ, start_response):
    fields = [("Content-Type", "text/plain")]
    if environ["PATH_INFO"] == "/twice":
        fields += [("X-Request-ID", "one"), ("x-request-id", "two"), ("Date", "x"), ("date", "y"),
                   ("Server", "x"), ("server", "y")]
    start_response("200 OK", fields)
    return [repr(environ.get("HTTP_X_REQUEST_ID")).encode()]
"""
CHAIN = """
application = "site_:application"
[[links]]
use = "request_id"
"""
LOG = ("--access-logformat", "json")


def test_the_server_answers_and_the_application_sees_both_ids() -> None:
    with served(SITE, *LOG) as server, server.client() as client:
        for _ in range(2):  # the second time the head is known
            response = client.request(get("/", "X-Request-ID: one", "X-Request-ID: two"))
            assert (response.status, response.body) == (200, b"'one,two'")
            response = client.request(get("/twice"))
            assert response.status == 200
            assert response.all("X-Request-ID") == ["one", "two"]
            assert len(response.all("Date")) == 1
            assert response.all("Server") == ["bascule"]
        server.logged('"request_id": "one,two"')


@pytest.mark.parametrize("target", ["/", "/twice"])
def test_the_chain_gives_one_id(target: str) -> None:
    flags = ("--chain", "chain.toml", *LOG)
    files = {"chain.toml": CHAIN}
    with served(SITE, *flags, files=files) as server, server.client() as client:
        for _ in range(2):
            response = client.request(get(target, "X-Request-ID: one", "X-Request-ID: two"))
            assert response.status == 200
            (given,) = response.all("X-Request-ID")
            assert response.body == repr(given).encode()
            server.logged(f'"request_id": "{given}"')
