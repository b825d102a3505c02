"""The link `request_id`."""

from __future__ import annotations

import re
from typing import Any
from wsgiref.validate import validator

import pytest
from bascule_middleware.links.exceptions import Exceptions
from bascule_middleware.links.proxy_headers import ProxyHeaders
from bascule_middleware.links.request_id import RequestId
from bascule_middleware.settings import SettingError
from hypothesis import given
from hypothesis import strategies as st

from tests.middleware import hostile
from tests.middleware.gateway import respond

MADE = re.compile(r"[0-9a-f]{32}")


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("", ["unix"]),
        ("10.1.2.3", ["10.0.0.0/8"]),
        ("::ffff:10.1.2.3", ["10.0.0.0/8"]),
        ("fd00::1", ["unix", "fd00::/8"]),
        ("192.0.2.7", ["192.0.2.7"]),
    ],
)
def test_a_trusted_peers_id_is_taken_over_and_not_sent_back(peer: str, trusted: list[str]) -> None:
    link = RequestId(hostile.greets, trusted=trusted)
    response = respond(validator(link), REMOTE_ADDR=peer, HTTP_X_REQUEST_ID="from-nginx")
    assert response.environ["bascule.request_id"] == "from-nginx"
    assert response.fields == hostile.TEXT


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("", []),
        ("", ["0.0.0.0/0", "::/0"]),
        ("127.0.0.1", ["unix"]),
        ("11.1.2.3", ["10.0.0.0/8"]),
        ("fe80::1%eth0", ["fd00::/8"]),
        ("not an address", ["0.0.0.0/0", "::/0", "unix"]),
    ],
)
def test_another_peers_id_is_replaced_by_a_made_one(peer: str, trusted: list[str]) -> None:
    link = RequestId(hostile.greets, trusted=trusted)
    response = respond(validator(link), REMOTE_ADDR=peer, HTTP_X_REQUEST_ID="from-nginx")
    assert MADE.fullmatch(response.field("X-Request-ID"))


def test_a_server_that_names_no_peer_is_not_trusted() -> None:
    def forget_peer(environ: dict[str, Any], start_response: Any) -> Any:
        del environ["REMOTE_ADDR"]
        return RequestId(hostile.greets)(environ, start_response)

    response = respond(forget_peer, HTTP_X_REQUEST_ID="from-nginx")
    assert MADE.fullmatch(response.field("X-Request-ID"))


@given(st.text(st.characters(max_codepoint=255)))
def test_only_a_well_formed_id_is_taken_over(text: str) -> None:
    response = respond(RequestId(hostile.greets), HTTP_X_REQUEST_ID=text)
    used = response.environ["bascule.request_id"]
    if re.fullmatch(r"[A-Za-z0-9._-]{1,128}", text):
        assert used == text
    else:
        assert MADE.fullmatch(used)


@pytest.mark.parametrize("text", ["", "a b", "a\n", "ü", "a" * 129, 'a"b', "a/b"])
def test_a_malformed_id_is_replaced(text: str) -> None:
    response = respond(RequestId(hostile.greets), HTTP_X_REQUEST_ID=text)
    assert MADE.fullmatch(response.field("X-Request-ID"))


def test_made_ids_differ() -> None:
    ids = {respond(RequestId(hostile.greets)).field("X-Request-ID") for _ in range(100)}
    assert len(ids) == 100


def test_the_application_sees_the_id() -> None:
    response = respond(RequestId(hostile.greets), HTTP_X_REQUEST_ID="the-id", REMOTE_ADDR="::1")
    made = response.field("X-Request-ID")
    assert response.environ["bascule.request_id"] == made
    assert response.environ["HTTP_X_REQUEST_ID"] == made


def test_the_applications_own_field_is_replaced_and_its_list_left_alone() -> None:
    fields = [*hostile.TEXT, ("x-request-id", "mine"), ("X-Request-Id", "mine too")]

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", fields)
        return []

    for _ in range(2):
        response = respond(RequestId(application))
        made = response.environ["bascule.request_id"]
        assert response.fields == [*hostile.TEXT, ("X-Request-ID", made)]
    assert len(fields) == 3


@pytest.mark.parametrize("application", hostile.RAISING_IN_TIME)
def test_a_500_has_the_id_too(application: Any) -> None:
    chain = RequestId(Exceptions(ProxyHeaders(application)))
    response = respond(validator(chain))
    assert response.status == "500 Internal Server Error"
    assert MADE.fullmatch(response.field("X-Request-ID"))


def test_the_peer_is_judged_not_the_client_whom_a_proxy_names() -> None:
    chain = RequestId(ProxyHeaders(hostile.greets), trusted=["unix"])
    fields = {"HTTP_X_REQUEST_ID": "the-id", "HTTP_X_FORWARDED_FOR": "192.0.2.1"}
    assert respond(chain, **fields).environ["bascule.request_id"] == "the-id"
    made = respond(chain, REMOTE_ADDR="::1", **fields).environ["bascule.request_id"]
    assert MADE.fullmatch(made)


@pytest.mark.parametrize(
    ("peer", "message"),
    [
        ("10.0.0.0/33", '"10.0.0.0/33" is not a network; write an address, a network as in'),
        ("10.0.0.1/8", '"10.0.0.1/8" is not a network; did you mean "10.0.0.0/8"?'),
        ("localhost", '"localhost" is not a network'),
    ],
)
@pytest.mark.parametrize("link", [RequestId, ProxyHeaders])
def test_a_peer_that_is_no_network_is_refused(link: Any, peer: str, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        link(hostile.greets, trusted=["unix", peer])
    assert str(caught.value).startswith(f'setting "trusted": {message}')
