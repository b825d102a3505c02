"""The CGI gateway: from meta-variables and standard input to ``Status``, fields and body."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from bascule.errors import ClientDisconnected
from bascule.wsgi.cgi import main, respond
from bascule.wsgi.cgi_request import Body
from hypothesis import given
from hypothesis import strategies as st

from tests.applications import cookies, echo, raises, write_callable

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
TEXT = ("Content-Type", "text/plain")
VARIABLES = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "REQUEST_METHOD": "GET",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
}


@dataclass
class Answer:
    """What came out of a CGI process, taken apart as RFC 3875 §6 says."""

    ok: bool
    output: bytes
    errors: str

    @property
    def fields(self) -> list[tuple[str, str]]:
        head = self.output.partition(b"\r\n\r\n")[0].decode("latin-1")
        return [tuple(line.split(": ", 1)) for line in head.split("\r\n")]  # type: ignore[misc]

    @property
    def status(self) -> str:
        name, value = self.fields[0]
        assert name == "Status"
        return value

    @property
    def body(self) -> bytes:
        return self.output.partition(b"\r\n\r\n")[2]


def answer(
    application: Application, body: bytes = b"", validated: bool = True, **variables: str | None
) -> Answer:
    """Answer one request; a variable that is None is not set."""
    given = VARIABLES | {"CONTENT_LENGTH": str(len(body)) if body else ""} | variables
    encoded = {
        name.encode("latin-1"): value.encode("latin-1")
        for name, value in given.items()
        if value is not None
    }
    output, errors = io.BytesIO(), io.StringIO()
    called = validator(application) if validated else application  # type: ignore[arg-type]
    ok = respond(lambda: called, encoded, io.BytesIO(body), output, errors)  # type: ignore[arg-type,return-value]
    return Answer(ok, output.getvalue(), errors.getvalue())


def answering(
    body: Iterable[bytes], *fields: tuple[str, str], status: str = "200 OK"
) -> Application:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, [TEXT, *fields])
        return body

    return application


def environ_of(**variables: str | None) -> dict[str, Any]:
    """Return what the application is called with."""
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.update(environ)
        return answering([b""])(environ, start_response)

    assert answer(application, **variables).ok
    return seen


class Stream:
    """An iterable that counts its closes, and fails where told to."""

    def __init__(self, *chunks: bytes | BaseException) -> None:
        self._chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk

    def close(self) -> None:
        self.closed += 1


# --- the environ ---------------------------------------------------------------------------------


def test_a_process_serves_one_request_alone_while_others_serve_theirs() -> None:
    environ = environ_of()
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.input_terminated"] is True
    assert environ["wsgi.run_once"] is True
    assert environ["wsgi.multithread"] is False
    assert environ["wsgi.multiprocess"] is True


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        ("on", "https"),
        ("ON", "https"),
        ("1", "https"),
        ("off", "http"),
        ("", "http"),
        (None, "http"),
    ],
)
def test_the_scheme_is_what_https_says(value: str | None, scheme: str) -> None:
    assert environ_of(HTTPS=value)["wsgi.url_scheme"] == scheme


def test_each_byte_of_a_variable_is_one_character() -> None:
    path = "/小明".encode().decode("latin-1")
    assert environ_of(PATH_INFO=path)["PATH_INFO"] == path


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "PATH_INFO", "QUERY_STRING"])
def test_what_a_host_may_leave_out_is_empty(name: str) -> None:
    assert environ_of(**{name: None})[name] == ""


@pytest.mark.parametrize(
    "name",
    ["HTTP_PROXY", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"],
)
def test_a_field_that_would_stand_for_something_else_is_no_variable(name: str) -> None:
    assert name not in environ_of(**{name: "http://evil.example", "CONTENT_LENGTH": "0"})


@pytest.mark.parametrize(
    "name", ["REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL"]
)
def test_a_host_that_leaves_out_what_it_must_set_is_told_so(name: str) -> None:
    result = answer(answering([b""]), **{name: None})
    assert result.status == "500 Internal Server Error"
    assert f"does not set {name}" in result.errors
    assert not result.ok


# --- the request's body --------------------------------------------------------------------------


@pytest.mark.parametrize("way", echo.VALID)
@pytest.mark.parametrize("body", [b"", b"one\ntwo\nthree and more", b"\n" * 20, b"x" * 100_000])
def test_the_body_is_read_in_every_way_of_pep_3333(way: str, body: bytes) -> None:
    result = answer(echo.application, body, PATH_INFO=way)
    expected = b",".join(echo.WAYS[way](io.BytesIO(body)))
    if way == "/readlines-hint":  # where it pauses is left to the stream
        assert result.body.replace(b",;", b"") == expected.replace(b",;", b"")
    else:
        assert result.body == expected
    assert result.ok


@given(body=st.binary(max_size=60), more=st.binary(), sizes=st.lists(st.integers(1, 20)))
def test_no_byte_past_the_length_is_read(body: bytes, more: bytes, sizes: list[int]) -> None:
    source = io.BytesIO(body + more)
    stream = Body(source, len(body))
    read = b"".join(stream.read(size) or b"" for size in sizes)
    assert body.startswith(read)
    assert read + (stream.read() or b"") == body
    assert source.tell() == len(body)


def test_half_a_body_is_not_taken_for_a_whole_one() -> None:
    with pytest.raises(ClientDisconnected):
        Body(io.BytesIO(b"half"), 8).read()
    result = answer(echo.application, b"half", CONTENT_LENGTH="8")
    assert result.status == "400 Bad Request"
    assert result.errors == ""


@pytest.mark.parametrize("length", ["-1", "+1", "1e3", "١", "ten", " 1"])
def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    length = length.encode().decode("latin-1")
    assert answer(answering([b""]), CONTENT_LENGTH=length).status == "400 Bad Request"


def test_a_chunked_body_without_a_length_is_refused() -> None:
    result = answer(answering([b""]), HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH=None)
    assert result.status == "411 Length Required"
    assert result.ok


def test_a_chunked_body_that_the_host_has_measured_is_read() -> None:
    result = answer(echo.application, b"body", HTTP_TRANSFER_ENCODING="chunked")
    assert result.body == b"body"


# --- the response --------------------------------------------------------------------------------


def test_status_and_fields_stand_before_the_body_as_rfc_3875_says() -> None:
    result = answer(answering([b"hello"]), validated=False)
    assert result.output == (
        b"Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
    )


def test_the_length_of_a_list_is_known_and_that_of_a_stream_is_not() -> None:
    whole = answer(answering([b"he", b"llo"]), validated=False)
    assert ("Content-Length", "5") in whole.fields
    assert whole.body == b"hello"
    stream = answer(answering(Stream(b"he", b"llo")))
    assert stream.body == b"hello"
    assert [name for name, _ in stream.fields] == ["Status", "Content-Type"]


def test_each_chunk_is_sent_before_the_next_is_made() -> None:
    output = io.BytesIO()
    seen = []

    def chunks() -> Iterator[bytes]:
        for chunk in (b"one", b"two", b"three"):
            seen.append(output.getvalue().partition(b"\r\n\r\n")[2])
            yield chunk

    encoded = {name.encode(): value.encode() for name, value in VARIABLES.items()}
    respond(lambda: answering(chunks()), encoded, io.BytesIO(), output, io.StringIO())  # type: ignore[arg-type,return-value]
    assert seen == [b"", b"one", b"onetwo"]


@pytest.mark.parametrize("chunks", [[], [b""], [b"", b""]])
def test_an_empty_body_has_a_head_all_the_same(chunks: list[bytes]) -> None:
    for body in (chunks, Stream(*chunks)):
        result = answer(answering(body))
        assert result.status == "200 OK"
        assert ("Content-Length", "0") in result.fields


@pytest.mark.parametrize("path", ["/write", "/mixed", "/with-length", "/inside", "/empty"])
def test_what_is_written_is_sent_in_its_order(path: str) -> None:
    written = {
        "/write": b"written\ntwice\n",
        "/mixed": b"written\niterated\nto the end\n",
        "/with-length": b"written\ntwice\n",
        "/inside": b"one\ntwo\nthree\n",
        "/empty": b"written\ntwice\n",
    }
    result = answer(write_callable.application, PATH_INFO=path)
    assert result.body == written[path]
    assert result.ok


def test_each_cookie_has_a_field_of_its_own() -> None:
    fields = answer(cookies.application).fields
    assert len([value for name, value in fields if name == "Set-Cookie"]) > 1


def test_a_file_is_sent_and_closed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"of a file")
    file = (tmp_path / "file").open("rb")

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [TEXT])
        return environ["wsgi.file_wrapper"](file)  # type: ignore[no-any-return]

    assert answer(application).body == b"of a file"
    assert file.closed


@pytest.mark.parametrize("stream", [False, True])
def test_head_has_the_fields_of_get_and_no_body(stream: bool) -> None:
    body = Stream(b"he", b"llo") if stream else [b"hello"]
    result = answer(answering(body, ("Content-Length", "5")), REQUEST_METHOD="HEAD")
    assert result.output.endswith(b"Content-Length: 5\r\n\r\n")
    assert result.ok


def test_a_body_that_has_no_reader_is_made_no_further_than_its_first_chunk() -> None:
    body = Stream(b"first", ValueError("nobody reads it"))
    assert answer(answering(body), REQUEST_METHOD="HEAD").ok


def test_head_tells_the_length_of_a_body_that_is_here_in_full() -> None:
    result = answer(answering([b"hello"]), validated=False, REQUEST_METHOD="HEAD")
    assert ("Content-Length", "5") in result.fields
    assert result.body == b""


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_status_that_has_no_body_gets_none(status: str) -> None:
    result = answer(answering([b"hello"], status=status), validated=False)
    assert result.status == status
    assert result.body == b""
    assert "Content-Length" not in dict(result.fields)


@pytest.mark.parametrize("iterable", [list, tuple, lambda chunks: Stream(*chunks)])
def test_close_is_called_once(iterable: Any) -> None:
    class Closing:
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            return iter(iterable([b"a", b"b"]))

        def close(self) -> None:
            self.closed += 1

    body = Closing()
    assert answer(answering(body)).body == b"ab"
    assert body.closed == 1


# --- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/call", "/started", "/first-block", "/not-iterable"])
def test_an_application_that_fails_early_is_answered_500_without_its_insides(path: str) -> None:
    result = answer(raises.application, validated=False, PATH_INFO=path)
    assert result.status == "500 Internal Server Error"
    assert b"Error: the application failed" in result.body
    assert b"Traceback" not in result.output
    assert "Traceback" in result.errors
    assert f"GET {path}: the application failed" in result.errors
    assert not result.ok


@pytest.mark.parametrize("path", ["/midstream", "/midstream-length", "/after-write", "/close"])
def test_a_response_that_has_begun_ends_where_it_failed(path: str) -> None:
    result = answer(raises.application, validated=False, PATH_INFO=path)
    assert result.status == "200 OK"
    assert result.body.count(b"\n") == 1
    assert "OnPurposeError" in result.errors
    assert not result.ok


def test_an_application_that_exits_is_answered_500() -> None:
    result = answer(answering(Stream(SystemExit(0))))
    assert result.status == "500 Internal Server Error"


def test_a_body_that_fails_is_closed_all_the_same() -> None:
    body = Stream(b"begun", ValueError("on purpose"))
    assert not answer(answering(body), validated=False).ok
    assert body.closed == 1


def test_a_path_cannot_forge_a_line_of_the_log() -> None:
    path = "/call\nfake: line\x1b[31m"
    result = answer(answering(Stream(ValueError())), SCRIPT_NAME="/at", PATH_INFO=path)
    assert result.errors.startswith(r"bascule: GET /at/call\nfake: line\x1b[31m: the application")


EARLY_BREACHES: dict[str, tuple[Iterable[Any], list[tuple[str, str]]]] = {
    "Content-Length is 5, and the body has 3 bytes": ([b"abc"], [("Content-Length", "5")]),
    "hop-by-hop": ([b"abc"], [("Connection", "close")]),
    "holds what no field may": ([b"abc"], [("X-A", "b\r\nSet-Cookie: c")]),
    "must be bytes, not str": (["abc"], []),
}


@pytest.mark.parametrize("message", EARLY_BREACHES)
def test_a_breach_of_pep_3333_is_answered_500(message: str) -> None:
    body, fields = EARLY_BREACHES[message]
    result = answer(answering(body, *fields), validated=False)
    assert result.status == "500 Internal Server Error"
    assert message in result.errors


LATE_BREACHES: dict[str, tuple[Iterable[Any], list[tuple[str, str]]]] = {
    "the body is 2 bytes shorter": (Stream(b"abc"), [("Content-Length", "5")]),
    "must be bytes, not str": (Stream(b"abc", "def"), []),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("message", LATE_BREACHES)
def test_a_breach_after_the_head_is_logged(message: str) -> None:
    body, fields = LATE_BREACHES[message]
    result = answer(answering(body, *fields), validated=False)
    assert result.body == b"abc"
    assert message in result.errors
    assert not result.ok


def test_a_body_longer_than_its_length_is_cut_there() -> None:
    result = answer(answering(Stream(b"abc", b"def"), ("Content-Length", "4")), validated=False)
    assert result.body == b"abcd"
    assert "longer than its Content-Length" in result.errors


def test_no_response_at_all_is_the_applications_error() -> None:
    result = answer(lambda environ, start_response: [b"abc"], validated=False)
    assert result.status == "500 Internal Server Error"
    assert "start_response was not called" in result.errors


def test_start_response_may_replace_a_head_that_has_not_been_sent() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [TEXT])
        try:
            raise ValueError
        except ValueError as error:
            exc_info = type(error), error, error.__traceback__
            start_response("503 Service Unavailable", [TEXT], exc_info)
        return [b"sorry"]

    result = answer(application)
    assert result.status == "503 Service Unavailable"
    assert result.body == b"sorry"


@pytest.mark.parametrize("has_traceback", [True, False])
def test_start_response_raises_again_what_comes_after_the_head(has_traceback: bool) -> None:
    raised: list[BaseException] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [TEXT])
        yield b"begun"
        error = ValueError("on purpose")
        try:
            raise error
        except ValueError:
            traceback = error.__traceback__ if has_traceback else None
        try:
            start_response("500 Internal Server Error", [TEXT], (ValueError, error, traceback))
        except BaseException as again:
            raised.append(again)
            raise
        yield b"never"

    result = answer(application, validated=False)
    assert result.body == b"begun"
    assert [str(each) for each in raised] == ["on purpose"]
    assert "ValueError: on purpose" in result.errors


def test_start_response_twice_is_refused() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [TEXT])
        return answering([b"again"])(environ, start_response)

    result = answer(application, validated=False)
    assert result.status == "500 Internal Server Error"
    assert "called twice" in result.errors


class Broken(io.BytesIO):
    """A pipe that nobody reads from the second write on."""

    def write(self, data: Any) -> int:
        if self.tell():
            raise BrokenPipeError
        return super().write(data)


@pytest.mark.parametrize("body", [[b"a", b"b"], (b"a", b"b")])
def test_a_host_that_hangs_up_is_no_error(body: Iterable[bytes]) -> None:
    stream = Stream(*body)
    encoded = {name.encode(): value.encode() for name, value in VARIABLES.items()}
    errors = io.StringIO()
    assert respond(lambda: answering(stream), encoded, io.BytesIO(), Broken(), errors)  # type: ignore[arg-type,return-value]
    assert errors.getvalue() == ""
    assert stream.closed == 1


def test_an_output_that_takes_little_at_a_time_gets_it_all() -> None:
    class Narrow(io.BytesIO):
        def write(self, data: Any) -> int:
            return super().write(bytes(data)[:3])

    encoded = {name.encode(): value.encode() for name, value in VARIABLES.items()}
    output = Narrow()
    respond(lambda: answering([b"hello"]), encoded, io.BytesIO(), output, io.StringIO())  # type: ignore[arg-type,return-value]
    assert output.getvalue().endswith(b"\r\n\r\nhello")


def test_the_applications_errors_go_to_wsgi_errors() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["wsgi.errors"].write("a note\n")
        return answering([b""])(environ, start_response)

    assert answer(application).errors == "a note\n"


# --- a process -----------------------------------------------------------------------------------

SCRIPT = """
import os
from bascule.wsgi.cgi import run_with_cgi

def application(environ, start_response):
    start_response("200 OK", [])
    os.write(1, b"printed")
    yield b"%r %r\\n" % (os.environ.get("HTTP_PROXY"), environ.get("HTTP_PROXY"))
    yield environ["wsgi.input"].read()
    int(environ["QUERY_STRING"])

run_with_cgi(application)
"""


def script(body: bytes = b"", stdout: int = subprocess.PIPE, **variables: str) -> Any:
    """Start a script that a host starts, and give it the body; it is awaited by who calls this."""
    given = VARIABLES | {"CONTENT_LENGTH": str(len(body)), "QUERY_STRING": "0"} | variables
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | given,
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )
    assert process.stdin
    process.stdin.write(body)
    process.stdin.close()
    process.stdin = None
    return process


def test_a_script_answers_with_what_the_host_gives_it() -> None:
    """And nothing in it sees a proxy that a client has named (CVE-2016-5385)."""
    process = script(b"the body", HTTP_PROXY="http://evil.example")
    output, errors = process.communicate()
    assert output.startswith(b"Status: 200 OK\r\n")
    assert output.endswith(b"\r\n\r\nNone None\nthe body")
    assert (process.returncode, errors) == (0, b"printed")


def test_a_script_that_fails_says_so_to_its_host() -> None:
    process = script(QUERY_STRING="no number")
    output, errors = process.communicate()
    assert output.endswith(b"None None\n")
    assert b"ValueError" in errors
    assert process.returncode == 1


def test_a_host_s_pipe_that_does_not_block_is_made_to() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    process = script(stdout=writer)
    process.communicate()
    assert process.returncode == 0
    assert os.get_blocking(writer)
    assert os.read(reader, 100).endswith(b"None None\n")
    for each in (reader, writer):
        os.close(each)


def test_without_the_application_s_name_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main([])
    assert ending.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bascule: no application given; name one: python -m bascule.wsgi.cgi ")
