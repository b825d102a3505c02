"""What a worker is told about the client is nginx's word; a client has no say."""

from __future__ import annotations

import json
import re

import pytest

from tests.harness.nginx import Nginx

pytestmark = pytest.mark.integration

FORGED = {
    "X-Request-ID": "forged",
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Host": "forged",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": "/forged",
    "X-Forwarded-Server": "forged",
    "X-Forwarded-Ssl": "forged",
    "X-Forwarded-Scheme": "forged",
    "X-Real-IP": "6.6.6.6",
    "X-Original-URL": "/forged",
    "X-Rewrite-URL": "/forged",
    "Forwarded": "for=6.6.6.6",
    "Proxy": "forged",
    "X_Forwarded_For": "6.6.6.6",
    "Connection": "close, x-forwarded-for",
    "Upgrade": "websocket",
}


def test_a_clients_forwarded_fields_and_request_id_never_arrive(nginx: Nginx) -> None:
    answer = nginx.request("/forged", fields=FORGED)
    fields = json.loads(answer.body)["fields"]
    assert "6.6.6.6" not in str(fields)
    assert "forged" not in str(fields)
    names = [name.lower() for name, _ in fields]
    assert len(names) == len(set(names))
    told = dict(fields)
    request_id = told.pop("X-Request-ID")
    assert re.fullmatch("[0-9a-f]{32}", request_id)
    assert answer.field("X-Request-ID") == request_id
    assert told == {
        "Host": f"127.0.0.1:{nginx.port}",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": f"127.0.0.1:{nginx.port}",
        "X-Forwarded-Port": str(nginx.port),
        "Accept-Encoding": "identity",
    }


def test_the_response_has_one_request_id_although_the_application_sent_another(
    nginx: Nginx,
) -> None:
    from tests.harness.nginx import response, tell

    for upstream in nginx.upstreams:
        upstream.answer = lambda _: response(200, b"", "X-Request-ID: the-applications")
    try:
        answer = nginx.request("/")
    finally:
        for upstream in nginx.upstreams:
            upstream.answer = tell
    ids = answer.fields.get_all("X-Request-ID") or []
    assert len(ids) == 1
    assert ids[0] != "the-applications"


def test_a_port_80_host_forwards_port_80(nginx: Nginx) -> None:
    body = nginx.request("/", fields={"Host": "example.org"}).body
    assert dict(json.loads(body)["fields"])["X-Forwarded-Port"] == "80"


def test_http_1_0_without_host_still_gets_a_host_towards_the_worker(nginx: Nginx) -> None:
    received = nginx.raw(b"GET /old HTTP/1.0\r\n\r\n")
    fields = dict(json.loads(received.split(b"\r\n\r\n", 1)[1])["fields"])
    assert fields["Host"]
