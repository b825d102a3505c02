"""What `forward` writes onto the wire, whatever a client sent, read back strictly."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from bascule_middleware.links.forward.forward import Forward
from bascule_middleware.links.forward.intermediary import (
    EndsHereError,
    Outgoing,
    RefusedError,
    outgoing,
    request_target,
    response_fields,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.middleware.gateway import Gateway, respond
from tests.middleware.upstream import Upstream

# method SP origin-form SP HTTP-version CRLF *( field-line CRLF ) CRLF (RFC 9112 §2.1)
REQUEST = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[!-~]*) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t \x21-\x7e\x80-\xff]*\r\n)+)\r\n(.*)",
    re.DOTALL,
)
byte_text = st.text(st.characters(max_codepoint=255), max_size=30)
# Text as attackers write it, and any other.
odd_text = st.one_of(
    byte_text,
    st.lists(
        st.sampled_from(
            ["/", "//", "..", ".", "%", "%2e", "%0d%0a", "#", "?", "@", ":", "*", "a", "\\"]
        )
        | st.sampled_from(
            ["http://", "evil.example", "Host: x", "\r\n", "\n", "\0", " ", "\x85", "\xff"]
        ),
        max_size=8,
    ).map("".join),
)


def environ(**variables: Any) -> dict[str, Any]:
    return Gateway(None, **variables).environ  # type: ignore[arg-type]


def made(**variables: Any) -> Outgoing:
    return outgoing(environ(**variables), host="", via="here", family="x-forwarded")


def refused(**variables: Any) -> str:
    with pytest.raises(RefusedError) as caught:
        made(**variables)
    return caught.value.status


# --- the target ------------------------------------------------------------------------------


@given(odd_text, odd_text, st.none() | odd_text)
def test_a_target_says_what_the_environ_says_and_nothing_else(
    path: str, query: str, raw: str | None
) -> None:
    variables = {"PATH_INFO": "/" + path, "QUERY_STRING": query}
    try:
        target = request_target(environ(**variables, **({} if raw is None else {"RAW_URI": raw})))
    except RefusedError:
        assert {".", ".."} & set(path.split("/"))
        return
    assert re.fullmatch(r"/[!-~]*", target)
    assert "#" not in target
    sent_path, _, sent_query = target.partition("?")
    assert unquote_to_bytes(sent_path) == ("/" + path).encode("latin-1")
    assert unquote_to_bytes(sent_query) == unquote_to_bytes(query.encode("latin-1"))


@pytest.mark.parametrize(
    ("path", "raw", "target"),
    [
        ("/a/b", "/a%2Fb?x", "/a%2Fb"),  # as the client wrote it
        ("/a/b", "/a%2fb", "/a%2fb"),
        ("/a/b", "/other", "/a/b"),  # a link has changed the path
        ("/a", "http://evil.example/a", "/a"),
        ("/a", "//evil.example/a", "/a"),
        ("//evil.example/a", "//evil.example/a", "//evil.example/a"),
        ("/a b", "/a b", "/a%20b"),
        ("/\r\nHost: evil", "/%0D%0AHost:%20evil", "/%0D%0AHost:%20evil"),
        ("/\r\nHost: evil", "", "/%0D%0AHost:%20evil"),
        ("/?#", "", "/%3F%23"),
        ("/caf\xc3\xa9", "/caf\xc3\xa9", "/caf%C3%A9"),
        ("", "", "/"),
    ],
)
def test_a_path_is_sent_as_the_client_wrote_it_where_that_is_safe(
    path: str, raw: str, target: str
) -> None:
    assert request_target(environ(PATH_INFO=path, RAW_URI=raw)) == target


@pytest.mark.parametrize(
    "path",
    ["/..", "/../x", "/a/../b", "/a/./b", "/a/..", "x", "*", "http://evil.example/", "/\u0100"],
)
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    assert refused(PATH_INFO=path) == "400 Bad Request"


# --- the fields ------------------------------------------------------------------------------


def test_fields_about_the_connection_end_here() -> None:
    fields = made(
        HTTP_CONNECTION="close, X-Secret, , te",
        HTTP_X_SECRET="1",
        HTTP_KEEP_ALIVE="300",
        HTTP_PROXY_CONNECTION="keep-alive",
        HTTP_PROXY_AUTHORIZATION="Basic x",
        HTTP_TE="trailers",
        HTTP_TRAILER="X",
        HTTP_UPGRADE="websocket",
        HTTP_EXPECT="100-continue",
        HTTP_PROXY="http://evil.example",
        HTTP_ACCEPT="text/html",
    ).fields
    assert {name.lower() for name in fields} == {
        "accept",
        "host",
        "via",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
    }


def test_a_client_cannot_have_our_own_fields_removed() -> None:
    fields = made(
        HTTP_CONNECTION="X-Forwarded-For, X-Request-Id, Host, Content-Length, Via",
        HTTP_VIA="1.1 before",
        CONTENT_LENGTH="4",
        REMOTE_ADDR="192.0.2.7",
        **{"bascule.request_id": "the-id"},
    ).fields
    assert fields["X-Forwarded-For"] == "192.0.2.7"
    assert fields["X-Request-Id"] == "the-id"
    assert fields["Host"] == "server:8000"
    assert fields["Content-Length"] == "4"
    assert fields["Via"] == "1.1 before, 1.1 here"


def test_forwarded_fields_of_the_clients_own_are_replaced() -> None:
    variables = {
        "HTTP_X_FORWARDED_FOR": "127.0.0.1",
        "HTTP_X_REAL_IP": "127.0.0.1",
        "HTTP_FORWARDED": "for=127.0.0.1",
        "REMOTE_ADDR": "2001:db8::7",
    }
    fields = made(**variables).fields
    assert fields["X-Forwarded-For"] == "2001:db8::7"
    assert not {"X-Real-Ip", "Forwarded"} & set(fields)
    fields = outgoing(environ(**variables), host="", via="here", family="forwarded").fields
    assert fields["Forwarded"] == 'for="[2001:db8::7]";proto=http;host="server:8000"'
    assert "X-Forwarded-For" not in fields


def test_a_client_at_a_unix_socket_is_unknown() -> None:
    fields = outgoing(environ(), host="", via="here", family="forwarded").fields
    assert fields["Forwarded"].startswith("for=unknown;")
    assert "X-Forwarded-For" not in made().fields


def test_the_host_is_the_configured_one_else_the_clients_else_the_servers() -> None:
    assert made().fields["Host"] == "server:8000"
    assert made(HTTP_HOST="").fields["Host"] == "server:8000"
    assert made(HTTP_HOST="", SERVER_NAME="::1").fields["Host"] == "[::1]:8000"
    configured = outgoing(environ(HTTP_HOST="a"), host="b", via="here", family="forwarded")
    assert configured.fields["Host"] == "b"


@pytest.mark.parametrize(
    "variables",
    [
        {"HTTP_HOST": "a b"},
        {"HTTP_HOST": "a\r\nX: y"},
        {"HTTP_HOST": "a/b"},
        {"HTTP_HOST": "a@b"},
        {"HTTP_X": "a\r\nY: b"},
        {"HTTP_X": "a\nb"},
        {"HTTP_X": "a\0b"},
        {"HTTP_X": "\u0100"},
        {"HTTP_X Y": "a"},
        {"HTTP_X:Y": "a"},
        {"HTTP_": "a"},
        {"HTTP_VIA": "1.1 a\r\nX: y"},
        {"CONTENT_TYPE": "a\r\nb"},
        {"CONTENT_LENGTH": "+4"},
        {"CONTENT_LENGTH": "4, 4"},
        {"CONTENT_LENGTH": "-1"},
        {"CONTENT_LENGTH": "1_0"},
        {"CONTENT_LENGTH": "\u0664"},
        {"CONTENT_LENGTH": "9" * 30},
        {"CONTENT_LENGTH": "4", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
        {"HTTP_TRANSFER_ENCODING": "gzip, chunked", "wsgi.input_terminated": True},
        {"HTTP_TRANSFER_ENCODING": "xchunked", "wsgi.input_terminated": True},
        {"REQUEST_METHOD": "GET /evil HTTP/1.1\r\nX:"},
        {"REQUEST_METHOD": ""},
        {"REQUEST_METHOD": "OPTIONS", "HTTP_MAX_FORWARDS": "-1"},
    ],
)
def test_what_cannot_be_written_safely_is_refused(variables: dict[str, Any]) -> None:
    assert refused(**variables) == "400 Bad Request"


def test_a_chunked_body_needs_a_server_that_decodes_it() -> None:
    assert refused(HTTP_TRANSFER_ENCODING="chunked") == "411 Length Required"


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
def test_tunnels_and_traces_are_not_forwarded(method: str) -> None:
    assert refused(REQUEST_METHOD=method) == "501 Not Implemented"


@pytest.mark.parametrize("via", ["1.1 here", "1.0 a (b), 1.1 here, 1.1 c", "HTTP/1.1 here (x)"])
def test_a_request_that_comes_round_again_is_a_loop(via: str) -> None:
    assert refused(HTTP_VIA=via) == "508 Loop Detected"
    assert made(HTTP_VIA="1.1 there").fields["Via"] == "1.1 there, 1.1 here"


def test_max_forwards_counts_down_and_ends_here() -> None:
    counted = made(REQUEST_METHOD="OPTIONS", HTTP_MAX_FORWARDS="3").fields
    assert counted["Max-Forwards"] == "2"
    assert "Max-Forwards" not in made(HTTP_MAX_FORWARDS="3").fields
    for variables in ({"HTTP_MAX_FORWARDS": "0"}, {"PATH_INFO": ""}):
        with pytest.raises(EndsHereError):
            made(REQUEST_METHOD="OPTIONS", **variables)
        link = Forward(None, upstreams=["http://nowhere.invalid"])
        assert respond(link, REQUEST_METHOD="OPTIONS", **variables).status == "204 No Content"


def test_response_fields_about_the_connection_end_here() -> None:
    passed = response_fields(
        [
            ("Content-Type", "text/plain"),
            ("Connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("Keep-Alive", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Trailer", "X"),
            ("Upgrade", "h2c"),
            ("Proxy-Authenticate", "Basic"),
            ("Status", "500"),
            ("Via", "1.1 behind"),
        ],
        version="1.0",
        via="here",
    )
    assert passed == [("Content-Type", "text/plain"), ("Via", "1.1 behind, 1.0 here")]


# --- the wire --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as listening:
        yield listening


class Sent:
    """The one request that the bytes are; an error where they are anything else."""

    def __init__(self, raw: bytes) -> None:
        match = REQUEST.fullmatch(raw)
        assert match, raw
        self.method, self.target = match[1].decode(), match[2].decode()
        lines = [line.split(": ", 1) for line in match[3].decode("latin-1").split("\r\n")[:-1]]
        self.fields = {name.lower(): value.strip(" \t") for name, value in lines}
        assert len(self.fields) == len(lines), "a field twice"
        self.body = match[4]


def test_the_library_changes_nothing_of_what_is_given_to_it(upstream: Upstream) -> None:
    upstream.requests.clear()
    link = Forward(None, upstreams=[upstream.name])
    skip = "@@@SKIP_HEADER@@@"  # what urllib3 takes for an instruction
    respond(
        link,
        PATH_INFO="/a//b/%41;c",
        QUERY_STRING="q=100%&x=%4a%%",
        HTTP_ACCEPT_ENCODING=skip,
        HTTP_USER_AGENT=skip,
        HTTP_X_SKIP=skip,
    )
    request = Sent(upstream.requests[0])
    assert request.target == "/a//b/%2541;c?q=100%25&x=%4A%25%25"
    for name in ("accept-encoding", "user-agent", "x-skip"):
        assert request.fields[name] == skip


requests = st.fixed_dictionaries(
    {
        "REQUEST_METHOD": st.sampled_from(["GET", "POST", "PUT", "OPTIONS", "PURGE"]) | odd_text,
        "PATH_INFO": odd_text.map("/".__add__),
        "QUERY_STRING": odd_text,
        "body": st.none() | st.binary(max_size=40),
    },
    optional={
        "RAW_URI": odd_text,
        "HTTP_HOST": st.just("shop.example") | odd_text,
        "HTTP_CONNECTION": odd_text,
        "HTTP_X_ANY": odd_text,
        "HTTP_USER_AGENT": odd_text,
        "HTTP_ACCEPT_ENCODING": odd_text,
        "HTTP_CONTENT_LENGTH": st.just("7"),
        "HTTP_TRANSFER_ENCODING": st.sampled_from(
            ["chunked", "Chunked ", "gzip", "chunked, chunked"]
        ),
        "HTTP_EXPECT": st.just("100-continue"),
        "CONTENT_TYPE": odd_text,
    },
)


@settings(max_examples=150, deadline=None)
@given(variables=requests)
def test_an_upstream_gets_the_one_request_that_the_environ_says_or_none(
    upstream: Upstream, variables: dict[str, Any]
) -> None:
    body = variables.pop("body")
    variables["wsgi.input"] = io.BytesIO(body or b"")
    variables["wsgi.input_terminated"] = True
    if body is not None:
        variables["CONTENT_LENGTH"] = str(len(body))
    upstream.requests.clear()
    response = respond(Forward(None, upstreams=[upstream.name]), **variables)
    if not upstream.requests:
        assert response.status[:3] in ("204", "400", "501")
        return
    assert response.status == "200 OK"
    (raw,) = upstream.requests
    request = Sent(raw)
    path = request.target.partition("?")[0]
    assert request.method == variables["REQUEST_METHOD"]
    assert unquote_to_bytes(path) == variables["PATH_INFO"].encode("latin-1")
    assert request.fields["host"] == (variables.get("HTTP_HOST") or "server:8000")
    assert not {"connection", "expect", "upgrade"} & set(request.fields)
    if "x-any" in request.fields:  # else named by Connection
        assert request.fields["x-any"] == variables["HTTP_X_ANY"].strip(" \t")
    if "transfer-encoding" in request.fields:
        assert body is None
        assert "content-length" not in request.fields
        assert (request.fields["transfer-encoding"], request.body) == ("chunked", b"0\r\n\r\n")
    else:
        assert request.fields.get("content-length", "0") == str(len(body or b""))
        assert request.body == (body or b"")
