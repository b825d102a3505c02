"""The link `proxy_headers`."""

from __future__ import annotations

import ipaddress
import logging
from typing import Any
from wsgiref.validate import validator

import pytest
from bascule_middleware.links.proxy_headers import (
    FORWARDED_FIELDS,
    MEMO_ENTRIES,
    MEMO_LENGTH,
    ProxyHeaders,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.middleware import hostile
from tests.middleware.gateway import Gateway, respond

TRUSTED = ["unix", "10.0.0.0/8", "fd00::/8"]
WHO = ("REMOTE_ADDR", "REMOTE_PORT")
WHERE = ("wsgi.url_scheme", "HTTP_HOST", "SERVER_NAME", "SERVER_PORT")


def seen(gateway: Gateway, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(gateway.environ.get(name) for name in names)


def x_forwarded(**variables: str) -> Gateway:
    return respond(validator(ProxyHeaders(hostile.greets, trusted=TRUSTED)), **variables)


def forwarded(value: str, **variables: str) -> Gateway:
    link = ProxyHeaders(hostile.greets, trusted=TRUSTED, fields="forwarded")
    return respond(validator(link), HTTP_FORWARDED=value, **variables)


def test_what_nginx_sends_over_a_unix_socket_is_believed() -> None:
    response = x_forwarded(
        HTTP_X_FORWARDED_FOR="192.0.2.1",
        HTTP_X_FORWARDED_PROTO="https",
        HTTP_X_FORWARDED_HOST="shop.example",
        HTTP_X_FORWARDED_PORT="443",
    )
    assert seen(response, WHO) == ("192.0.2.1", "")
    assert seen(response, WHERE) == ("https", "shop.example", "shop.example", "443")


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("192.0.2.1", ("192.0.2.1", "")),
        ("192.0.2.1:4711", ("192.0.2.1", "4711")),
        ("2001:DB8::1", ("2001:db8::1", "")),
        ("[2001:db8::1]:4711", ("2001:db8::1", "4711")),
        # What the client wrote itself stands at the left, and is not even parsed.
        ("127.0.0.1, 192.0.2.1", ("192.0.2.1", "")),
        ("<rubbish>, 192.0.2.1", ("192.0.2.1", "")),
        # Trusted proxies are walked through, whatever order of families they have.
        ("6.6.6.6, 192.0.2.1, 10.0.0.1, fd00::1", ("192.0.2.1", "")),
        ("192.0.2.1, ::ffff:10.0.0.1", ("192.0.2.1", "")),
        # Nobody but trusted proxies: the request comes from the first of them.
        ("10.0.0.1, 10.0.0.2", ("10.0.0.1", "")),
        # A proxy keeps its client secret: the last known hop stands for it.
        ("192.0.2.1, unknown, 10.0.0.1", ("10.0.0.1", "")),
        ("unknown", ("", None)),
        # Empty items of a list count for nothing (RFC 9110 §5.6.1.2).
        ("192.0.2.1, ,", ("192.0.2.1", "")),
        ("", ("", None)),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_trusted_proxy(
    value: str, client: tuple[str, str | None]
) -> None:
    assert seen(x_forwarded(HTTP_X_FORWARDED_FOR=value), WHO) == client


trusted_addresses = st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fd00::/8")
clients = st.ip_addresses(v=4).filter(lambda a: a not in ipaddress.ip_network("10.0.0.0/8"))


@given(st.text(st.characters(max_codepoint=255)), clients, st.lists(trusted_addresses))
def test_no_word_of_the_client_moves_its_address(
    word: str, client: ipaddress.IPv4Address, proxies: list[ipaddress.IPv4Address]
) -> None:
    items = [word, str(client), *map(str, proxies)]
    assert seen(x_forwarded(HTTP_X_FORWARDED_FOR=", ".join(items)), WHO) == (str(client), "")


@pytest.mark.parametrize("peer", ["127.0.0.1", "192.0.2.9", "::1", "10.0.0.1.example"])
@pytest.mark.parametrize("fields", ["x-forwarded", "forwarded"])
def test_a_peer_that_is_not_trusted_changes_nothing_and_its_fields_vanish(
    peer: str, fields: Any
) -> None:
    bare = Gateway(hostile.greets, REMOTE_ADDR=peer).environ
    link = ProxyHeaders(hostile.greets, trusted=TRUSTED, fields=fields)
    sent = dict.fromkeys(FORWARDED_FIELDS, "10.0.0.1")
    response = respond(validator(link), REMOTE_ADDR=peer, **sent)
    assert response.status == "200 OK"
    assert seen(response, WHO + WHERE) == tuple(bare.get(name) for name in WHO + WHERE)
    assert not set(FORWARDED_FIELDS) & set(response.environ)
    assert response.environ["bascule.proxy_headers.original"] == sent


def test_the_application_finds_no_forwarded_field_even_of_a_trusted_peer() -> None:
    response = x_forwarded(**dict.fromkeys(FORWARDED_FIELDS, ""))
    assert not set(FORWARDED_FIELDS) & set(response.environ)


def test_fields_of_other_conventions_vanish_too() -> None:
    others = {
        "HTTP_X_REAL_IP": "127.0.0.1",
        "HTTP_X_FORWARDED_SSL": "on",
        "HTTP_X_FORWARDED_SCHEME": "https",
        "HTTP_X_FORWARDED_PREFIX": "/admin",
        "HTTP_X_FORWARDED_SERVER": "a.example",
    }
    for peer in ("", "192.0.2.9"):
        response = x_forwarded(REMOTE_ADDR=peer, **others)
        assert not set(others) & set(response.environ)
        assert response.environ["wsgi.url_scheme"] == "http"


def test_the_originals_are_kept() -> None:
    response = x_forwarded(
        REMOTE_ADDR="10.0.0.1",
        REMOTE_PORT="999",
        HTTP_X_FORWARDED_FOR="192.0.2.1:80",
        HTTP_X_FORWARDED_PROTO="https",
    )
    assert seen(response, WHO) == ("192.0.2.1", "80")
    assert response.environ["bascule.proxy_headers.original"] == {
        "HTTP_X_FORWARDED_FOR": "192.0.2.1:80",
        "HTTP_X_FORWARDED_PROTO": "https",
        "REMOTE_ADDR": "10.0.0.1",
        "REMOTE_PORT": "999",
        "SERVER_PORT": "8000",
        "wsgi.url_scheme": "http",
    }


def test_without_forwarded_fields_nothing_is_touched() -> None:
    before = set(Gateway(hostile.greets).environ.items())
    after = respond(ProxyHeaders(hostile.greets)).environ
    assert {key for key, _ in before} == set(after)


@pytest.mark.parametrize(
    ("sent", "where"),
    [
        ({"PROTO": "HTTPS"}, ("https", "server:8000", "server", "443")),
        ({"PROTO": "http"}, ("http", "server:8000", "server", "80")),
        ({"HOST": "a.example:81"}, ("http", "a.example:81", "a.example", "81")),
        ({"HOST": "[::1]"}, ("http", "[::1]", "[::1]", "80")),
        ({"HOST": "a.example", "PORT": "81"}, ("http", "a.example", "a.example", "81")),
        ({"PORT": "8443"}, ("http", "server:8000", "server", "8443")),
        # The last item is the word of the proxy nearest to us.
        ({"PROTO": "http, https"}, ("https", "server:8000", "server", "443")),
        ({"HOST": "evil.example,a.example"}, ("http", "a.example", "a.example", "80")),
        ({"PROTO": "", "HOST": ",", "PORT": ""}, ("http", "server:8000", "server", "8000")),
    ],
)
def test_scheme_host_and_port_follow_the_fields(
    sent: dict[str, str], where: tuple[str, ...]
) -> None:
    response = x_forwarded(**{f"HTTP_X_FORWARDED_{name}": text for name, text in sent.items()})
    assert seen(response, WHERE) == where
    assert seen(response, WHO) == ("", None)


@pytest.mark.parametrize(
    ("value", "who", "where"),
    [
        (
            'for="[2001:db8::1]:4711";proto=https;host="shop.example:8443";by=_nginx',
            ("2001:db8::1", "4711"),
            ("https", "shop.example:8443", "shop.example", "8443"),
        ),
        (
            # Each element is one proxy's report: that of the outermost trusted one counts.
            "for=127.0.0.1;host=evil, for=192.0.2.1;proto=https;host=a.example, for=10.0.0.1",
            ("192.0.2.1", ""),
            ("https", "a.example", "a.example", "443"),
        ),
        ("for=192.0.2.1, for=_hidden, for=10.0.0.1", ("10.0.0.1", ""), None),
        ("for=unknown", ("", None), None),
        ("proto=https", ("", None), ("https", "server:8000", "server", "443")),
        ("", ("", None), None),
    ],
)
def test_forwarded_tells_client_scheme_and_host(
    value: str, who: tuple[str, str | None], where: tuple[str, ...] | None
) -> None:
    response = forwarded(value)
    assert seen(response, WHO) == who
    assert seen(response, WHERE) == (where or ("http", "server:8000", "server", "8000"))


def test_only_the_family_that_is_set_is_read() -> None:
    both = {"HTTP_X_FORWARDED_FOR": "192.0.2.1", "HTTP_X_FORWARDED_HOST": "a.example"}
    assert seen(x_forwarded(HTTP_FORWARDED="for=192.0.2.2", **both), WHO) == ("192.0.2.1", "")
    response = forwarded("for=192.0.2.2", **both)
    assert seen(response, WHO) == ("192.0.2.2", "")
    assert response.environ["HTTP_HOST"] == "server:8000"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("HTTP_X_FORWARDED_FOR", "nonsense", '"nonsense" is not an address'),
        ("HTTP_X_FORWARDED_FOR", "192.0.2.1, 10.0.0.x", '"10.0.0.x" is not an address'),
        ("HTTP_X_FORWARDED_PROTO", "ftp", '"ftp" is neither http nor https'),
        ("HTTP_X_FORWARDED_HOST", "a/b", '"a/b" is not a host'),
        ("HTTP_X_FORWARDED_PORT", "99999", '"99999" is not a port'),
    ],
)
def test_a_malformed_field_of_a_trusted_proxy_is_answered_400_and_logged(
    name: str, value: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = x_forwarded(**{name: value, "bascule.request_id": "the-id"})
    assert response.status == "400 Bad Request"
    assert response.body.decode() == f"Bad Request: the proxy sent malformed fields: {reason}\n"
    assert response.field("Content-Length") == str(len(response.body))
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("bascule.proxy_headers", logging.WARNING)
    assert reason in record.getMessage()
    assert value in record.getMessage()
    assert (vars(record)["event"], vars(record)["request_id"]) == (
        "forwarded_fields_refused",
        "the-id",
    )


def test_a_malformed_forwarded_is_answered_400_without_a_body_to_head() -> None:
    response = forwarded("for=a;for=b", REQUEST_METHOD="HEAD")
    assert (response.status, response.body) == ("400 Bad Request", b"")


def test_a_repeated_field_is_answered_as_at_its_first_time() -> None:
    link = ProxyHeaders(hostile.greets, trusted=TRUSTED)
    answers = {
        seen(respond(link, HTTP_X_FORWARDED_FOR="192.0.2.1", HTTP_X_FORWARDED_HOST="a:1"), WHO)
        for _ in range(3)
    }
    assert answers == {("192.0.2.1", "")}
    assert {respond(link, HTTP_X_FORWARDED_FOR="nonsense").status for _ in range(3)} == {
        "400 Bad Request"
    }


def test_what_an_application_writes_into_its_environ_stays_in_that_request() -> None:
    clients = []

    def greedy(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        clients.append((environ["REMOTE_ADDR"], environ["HTTP_HOST"]))
        environ["REMOTE_ADDR"] = environ["HTTP_HOST"] = "overwritten"
        return hostile.greets(environ, start_response)

    link = ProxyHeaders(greedy)
    for _ in range(2):
        respond(link, HTTP_X_FORWARDED_FOR="192.0.2.1", HTTP_X_FORWARDED_HOST="a.example")
    assert clients == [("192.0.2.1", "a.example")] * 2


def test_more_clients_than_the_memo_holds_are_all_told_apart() -> None:
    link = ProxyHeaders(hostile.greets)
    for number in range(MEMO_ENTRIES + 10):
        client = str(ipaddress.IPv4Address(0x08000000 + number))
        assert respond(link, HTTP_X_FORWARDED_FOR=client).environ["REMOTE_ADDR"] == client


def test_a_field_longer_than_the_memo_takes_is_read_all_the_same() -> None:
    hops = "192.0.2.1" + ", 10.0.0.1" * MEMO_LENGTH
    assert seen(x_forwarded(HTTP_X_FORWARDED_FOR=hops), WHO) == ("192.0.2.1", "")
