"""X-Request-ID twice, from a client or from the application: one arrives, and nothing is refused."""

from __future__ import annotations

import json
import re

import pytest

from tests.harness.nginx import Nginx

pytestmark = pytest.mark.integration


def test_a_client_s_two_ids_become_one_of_nginx_s(nginx: Nginx) -> None:
    request = (
        b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n"
        b"X-Request-ID: one\r\nX-Request-ID: two\r\n\r\n"
    )
    head, _, body = nginx.raw(request).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    (given,) = re.findall(rb"(?im)^x-request-id: (\S+)\r?$", head)
    told = dict(json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])["fields"])
    assert told["X-Request-ID"] == given.decode()
