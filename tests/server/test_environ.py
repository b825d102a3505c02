"""The environ dictionary: every variable that PEP 3333 requires, and their exact types."""

from __future__ import annotations

import io
import logging
from typing import Any
from wsgiref.validate import check_environ

import pytest
from bascule.http.body import NO_BODY
from bascule.wsgi import environ
from bascule.wsgi.file_wrapper import FileWrapper

from tests.rfc9112.feeding import read

SERVER = ("127.0.0.1", "8000")
PEER = ("192.0.2.7", "54321")

REQUIRED = {
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "wsgi.version",
    "wsgi.url_scheme",
    "wsgi.input",
    "wsgi.errors",
    "wsgi.multithread",
    "wsgi.multiprocess",
    "wsgi.run_once",
}


def built(
    line: bytes = b"GET / HTTP/1.1",
    fields: bytes = b"",
    content: bytes = b"",
    peer: tuple[str, str] | None = PEER,
    multithread: bool = True,
) -> dict[str, Any]:
    """Return the environ of a request that is given as bytes."""
    shared = environ.template(SERVER, multithread=multithread)
    if peer:
        shared |= {"REMOTE_ADDR": peer[0], "REMOTE_PORT": peer[1]}
    message = line + b"\r\nHost: a.example:81\r\n" + fields + b"\r\n" + content
    outcome = read([message], shared=shared)
    assert outcome.body is not None
    if outcome.body:
        environ.add_body(outcome.environ, io.BytesIO(outcome.body), len(outcome.body))
    return outcome.environ


def test_every_variable_that_pep_3333_requires_is_there() -> None:
    assert set(built()) >= REQUIRED


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        (b"", b""),
        (b"Content-Type: a/b\r\nContent-Length: 3\r\n", b"abc"),
        (b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
    ],
)
def test_the_standard_library_s_own_check_finds_nothing(fields: bytes, content: bytes) -> None:
    check_environ(built(b"GET /a HTTP/1.1", fields, content))


def test_it_is_a_builtin_dictionary_of_native_strings() -> None:
    found = built(b"GET /a?b HTTP/1.1", b"X-A: b\r\nContent-Type: c/d\r\n")
    assert type(found) is dict
    others = {name for name, value in found.items() if type(value) is not str}
    assert others == {name for name in found if name.startswith("wsgi.")} - {"wsgi.url_scheme"}


def test_the_request_line_is_told_apart() -> None:
    found = built(b"PURGE /a%20b/c?d=%20&e HTTP/1.1")
    assert found["REQUEST_METHOD"] == "PURGE"
    assert found["SCRIPT_NAME"] == ""
    assert found["PATH_INFO"] == "/a b/c"
    assert found["QUERY_STRING"] == "d=%20&e"
    assert found["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert found["RAW_URI"] == "/a%20b/c?d=%20&e"


def test_a_query_is_empty_where_there_is_none() -> None:
    assert built()["QUERY_STRING"] == ""


@pytest.mark.parametrize(
    ("version", "protocol"), [(b"1.0", "HTTP/1.0"), (b"1.1", "HTTP/1.1"), (b"1.7", "HTTP/1.1")]
)
def test_the_protocol_is_the_one_that_is_spoken(version: bytes, protocol: str) -> None:
    assert built(b"GET / HTTP/" + version)["SERVER_PROTOCOL"] == protocol


@pytest.mark.parametrize("target", ["/小明".encode(), b"/%E5%B0%8F%E6%98%8E"])
def test_a_path_is_its_bytes_as_latin_1_characters(target: bytes) -> None:
    found = built(b"GET " + target + b" HTTP/1.1")
    assert found["PATH_INFO"].encode("latin-1").decode("utf-8") == "/小明"


def test_the_server_and_the_client_have_their_addresses() -> None:
    found = built()
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == SERVER
    assert (found["REMOTE_ADDR"], found["REMOTE_PORT"]) == PEER
    assert found["SERVER_SOFTWARE"].startswith("bascule/")


def test_a_client_of_a_unix_socket_has_none() -> None:
    found = built(peer=None)
    assert found["REMOTE_ADDR"] == ""
    assert "REMOTE_PORT" not in found


@pytest.mark.parametrize("multithread", [True, False])
def test_the_wsgi_variables_say_how_the_application_is_called(multithread: bool) -> None:
    found = built(multithread=multithread)
    assert found["wsgi.version"] == (1, 0)
    assert found["wsgi.url_scheme"] == "http"
    assert found["wsgi.multithread"] is multithread
    assert found["wsgi.multiprocess"] is True
    assert found["wsgi.run_once"] is False
    assert found["wsgi.input_terminated"] is True
    assert found["wsgi.file_wrapper"] is FileWrapper


def test_fields_become_variables() -> None:
    found = built(fields=b"X-A-b: c\r\nx-a-B: d\r\nCookie: e=f\r\nCookie: g=h\r\n")
    assert found["HTTP_X_A_B"] == "c,d"
    assert found["HTTP_COOKIE"] == "e=f; g=h"
    assert found["HTTP_HOST"] == "a.example:81"


@pytest.mark.parametrize(
    ("field", "variable"),
    [
        (b"Wsgi.input: x", "wsgi.input"),
        (b"REMOTE_ADDR: x", "REMOTE_ADDR"),
        (b"Remote-Addr: x", "REMOTE_ADDR"),
        (b"Script-Name: /x", "SCRIPT_NAME"),
        (b"Request-Method: x", "REQUEST_METHOD"),
    ],
)
def test_no_field_sets_a_variable_of_the_server(field: bytes, variable: str) -> None:
    assert built(fields=field + b"\r\n")[variable] not in ("x", "/x")


def test_type_and_length_of_the_body_have_no_prefix() -> None:
    found = built(b"POST / HTTP/1.1", b"Content-Type: a/b\r\nContent-Length: 3\r\n", b"abc")
    assert (found["CONTENT_TYPE"], found["CONTENT_LENGTH"]) == ("a/b", "3")
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & set(found)
    assert found["wsgi.input"].read() == b"abc"


def test_they_are_absent_where_there_is_no_body() -> None:
    assert not {"CONTENT_TYPE", "CONTENT_LENGTH"} & set(built())


def test_a_chunked_body_has_a_length_and_no_coding_any_more() -> None:
    found = built(
        b"POST / HTTP/1.1", b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert found["CONTENT_LENGTH"] == "5"
    assert "HTTP_TRANSFER_ENCODING" not in found
    assert found["wsgi.input"].read() == b"abcde"


def test_two_requests_of_a_connection_share_nothing() -> None:
    shared = environ.template(SERVER, multithread=True)
    message = b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\n"
    read([message], shared=shared).environ.clear()
    second = read([message], shared=shared)
    assert (second.environ["HTTP_X_A"], second.environ["SCRIPT_NAME"]) == ("b", "")


def test_the_input_of_a_request_without_a_body_is_at_its_end() -> None:
    # PEP 3333: read, readline, readlines and iteration, with and without a size.
    assert NO_BODY.read() == NO_BODY.read(5) == NO_BODY.read(-1) == b""
    assert NO_BODY.readline() == NO_BODY.readline(5) == b""
    assert NO_BODY.readlines() == NO_BODY.readlines(5) == []
    assert list(NO_BODY) == []


def test_errors_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    print("from the application", file=built()["wsgi.errors"])
    assert "from the application" in caplog.messages
