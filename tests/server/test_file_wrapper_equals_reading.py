"""wsgi.file_wrapper: the client gets what reading the file block by block would have given (PEP 3333)."""

from __future__ import annotations

import gzip
import io
import os
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pytest
from bascule.http.request import Request
from bascule.wsgi.file_wrapper import FileWrapper
from bascule.wsgi.gateway import Ending, Exchange
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.wsgi import _RangeWrapper

from tests.rfc9112.strict_reader import Response, read_response
from tests.server.transports import FakeTransport

CONTENT = bytes(range(256)) * 80  # more than twice what a buffered file reads ahead


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def exchanged(
    body: Iterable[bytes], fields: list[tuple[str, str]] | None = None, method: str = "GET"
) -> tuple[Ending, bytes]:
    """Have a body sent; return how the connection ends, and what was sent."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), *(fields or [])])
        return body

    transport = FakeTransport()
    request = Request(method, "/", "/", "", 1)
    exchange = Exchange(request, {"REQUEST_METHOD": method}, transport)
    exchange.run(application)  # type: ignore[arg-type]
    return exchange.ending, transport.data


def served(body: Iterable[bytes], fields: list[tuple[str, str]] | None = None) -> Response:
    """Have a body sent; return the whole response."""
    ending, data = exchanged(body, fields)
    assert ending is not Ending.ABORT
    return read_response(data)


def body_of(file: Any, *block_size: Any, **served_with: Any) -> bytes:
    return served(FileWrapper(file, *block_size), **served_with).body


# --- kinds of files × positions × block sizes × lengths ------------------------------------------------------


def written(path: Path) -> Path:
    path.write_bytes(CONTENT)
    return path


def named(file: IO[bytes]) -> IO[bytes]:
    file.write(CONTENT)
    file.seek(0)
    return file


class Shouting(io.FileIO):
    """A file that changes what it reads."""

    def read(self, size: int | None = -1, /) -> bytes:
        return bytes(255 - each for each in super().read(size) or b"")


class Sized:
    """Reads another file, and has a descriptor of a third one."""

    def __init__(self, path: Path) -> None:
        self._file = io.BytesIO(CONTENT)
        self._other = path.open("rb")

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def fileno(self) -> int:
        return self._other.fileno()

    def close(self) -> None:
        self._other.close()


class Numberless(io.BytesIO):
    """Has no descriptor, and says so in a way of its own."""

    def fileno(self) -> int:
        raise RuntimeError("no number")


def patched(path: Path, target: str) -> IO[bytes]:
    """Open a file whose object, or the one below it, was given a method of its own."""
    file = path.open("rb")
    if target == "read":
        read = file.read
        file.read = lambda size=-1: read(size).swapcase()  # type: ignore[method-assign]
    elif target == "readinto":
        file.raw.readinto = lambda buffer: 0  # type: ignore[attr-defined]
    else:
        file.fileno = lambda: 0  # type: ignore[method-assign]
    return file


def compressed(path: Path) -> IO[bytes]:
    with gzip.open(path, "wb") as file:
        file.write(CONTENT)
    return gzip.open(path)  # type: ignore[return-value]


def extended(path: Path) -> IO[bytes]:
    """A file open for both, with bytes at its end that are not written yet."""
    file = written(path).open("r+b")
    file.seek(0, os.SEEK_END)
    file.write(b"and more")
    return file


def overwritten(path: Path) -> IO[bytes]:
    """A file open for both, that has read ahead, with bytes in its middle that are not written yet."""
    file = written(path).open("r+b")
    file.read(100)
    file.seek(50)
    file.write(b"over" * 5)
    return file


def read_ahead(path: Path) -> IO[bytes]:
    """A file that was read before another one wrote over it."""
    file = written(path).open("rb")
    file.read(10)
    path.write_bytes(b"-" * len(CONTENT))
    return file


KINDS: dict[str, Callable[[Path], Any]] = {
    "read": lambda path: written(path).open("rb"),
    "unbuffered": lambda path: written(path).open("rb", 0),
    "read and write": lambda path: written(path).open("r+b"),
    "append": lambda path: written(path).open("a+b"),
    "unwritten at the end": extended,
    "unwritten in the middle": overwritten,
    "read ahead": read_ahead,
    "temporary": lambda path: named(tempfile.TemporaryFile()),  # noqa: SIM115
    "temporary with a name": lambda path: named(tempfile.NamedTemporaryFile()),  # noqa: SIM115
    "spooled": lambda path: named(tempfile.SpooledTemporaryFile()),  # noqa: SIM115
    "in memory": lambda path: io.BytesIO(CONTENT),
    "no number": lambda path: Numberless(CONTENT),
    "gzip": compressed,
    "changes": lambda path: Shouting(written(path)),
    "changes, buffered": lambda path: io.BufferedReader(Shouting(written(path))),
    "number of another": lambda path: Sized(written(path)),
    "a read of its own": lambda path: patched(written(path), "read"),
    "a readinto of its own": lambda path: patched(written(path), "readinto"),
    "a fileno of its own": lambda path: patched(written(path), "fileno"),
    "empty": lambda path: (path.write_bytes(b""), path.open("rb"))[1],
    "proc": lambda path: Path("/proc/self/maps").open("rb"),  # noqa: SIM115
    "proc, unbuffered": lambda path: Path("/proc/meminfo").open("rb", 0),  # noqa: SIM115
    "sysfs": lambda path: Path("/sys/kernel/mm/transparent_hugepage/enabled").open("rb"),  # noqa: SIM115
    "device": lambda path: Path("/dev/null").open("rb"),  # noqa: SIM115
}
# Of these two readings differ by themselves.
RESTLESS = {"proc", "proc, unbuffered"}
COMPARED = sorted(KINDS.keys() - RESTLESS)
POSITIONS = st.one_of(
    st.none(),
    st.integers(0, 3),
    st.integers(0, 2 * len(CONTENT)),
    st.sampled_from([8191, 8192, 8193, len(CONTENT) - 1, len(CONTENT), len(CONTENT) + 1]),
)


def at(file: Any, position: int | None, skipped: int) -> Any:
    """Put a file where the application might have left it: after a seek, and a read."""
    if position is not None and getattr(file, "seekable", bool)():
        file.seek(position)
    if skipped:
        file.read(skipped)
    return file


@pytest.mark.parametrize("kind", COMPARED)
@pytest.mark.parametrize("position", [None, 0, 4])
def test_each_kind_of_file_is_sent_as_it_is_read(
    tmp_path: Path, kind: str, position: int | None
) -> None:
    file = at(KINDS[kind](tmp_path / "file"), position, 0)
    expected = b"".join(iter(lambda: file.read(8192), b""))
    file.close()
    assert body_of(at(KINDS[kind](tmp_path / "file"), position, 0)) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    kind=st.sampled_from(COMPARED),
    position=POSITIONS,
    skipped=st.sampled_from([0, 0, 1, 100, 10_000]),
    block=st.one_of(st.integers(1, 40), st.sampled_from([0, -1, None, True, 8192, 65536])),
    length=st.one_of(st.none(), st.integers(0, len(CONTENT) + 8)),
    method=st.sampled_from(["GET", "GET", "HEAD"]),
)
def test_what_is_sent_is_what_reading_gives(
    *,
    tmp_path: Path,
    kind: str,
    position: int | None,
    skipped: int,
    block: Any,
    length: int | None,
    method: str,
) -> None:
    path = tmp_path / "file"
    file = at(KINDS[kind](path), position, skipped)
    expected = b"".join(iter(lambda: file.read(block), b""))
    file.close()
    fields = [] if length is None else [("Content-Length", str(length))]
    file = at(KINDS[kind](path), position, skipped)
    ending, data = exchanged(FileWrapper(file, block), fields, method)
    assert getattr(file, "closed", True)  # of those that say
    status, body = data[9:12], data.partition(b"\r\n\r\n")[2]
    if method == "HEAD":
        assert body == b""
    elif length is not None and length > len(expected):
        # It cannot be said in full: what the client gets is no whole response of this length.
        assert status == b"500" or (ending is Ending.ABORT and body == expected)
    else:
        assert (ending is not Ending.ABORT, status) == (True, b"200")
        assert read_response(data).body == expected[:length]


@pytest.mark.parametrize("kind", sorted(RESTLESS))
def test_a_file_of_proc_is_there_in_full(kind: str, tmp_path: Path) -> None:
    body = body_of(KINDS[kind](tmp_path / "file"))
    assert body.count(b"\n") > 5
    assert body.endswith(b"\n")


def test_a_file_of_proc_whose_length_is_announced_as_its_size_is_no_server_error(
    tmp_path: Path,
) -> None:
    file = Path("/proc/self/status").open("rb")  # noqa: SIM115
    ending, data = exchanged(FileWrapper(file), [("Content-Length", "0")])
    assert (ending, data[9:12]) == (Ending.PERSIST, b"200")


# --- what never ends, or cannot go back ---------------------------------------------------------------------


def test_of_a_pipe_nothing_is_read_past_the_length(cleanup: ExitStack) -> None:
    reader, writer = os.pipe()
    cleanup.callback(os.close, writer)  # which stays open: another read would wait for ever
    os.write(writer, b"0123456789")
    file = os.fdopen(reader, "rb", 0)
    assert body_of(file, 5, fields=[("Content-Length", "10")]) == b"0123456789"


def test_a_fifo_and_a_socket_are_read_to_their_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    with (tmp_path / "fifo").open("wb") as writer:
        writer.write(CONTENT[:1000])
    assert body_of(os.fdopen(reader, "rb")) == CONTENT[:1000]
    ours, theirs = socket.socketpair()
    with ours:
        theirs.sendall(CONTENT[:1000])
        theirs.close()
        assert body_of(ours.makefile("rb")) == CONTENT[:1000]


@pytest.mark.parametrize("mode", ["r", "w+b"])
def test_what_reading_refuses_is_answered_with_500(mode: str, tmp_path: Path) -> None:
    file: Any = written(tmp_path / "file").open(mode)
    if mode == "w+b":
        file.close()
    assert served(FileWrapper(file)).status == 500


def test_a_file_that_is_open_for_writing_only_is_answered_with_500(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb", 0) as file:
        file.write(CONTENT)
        file.seek(0)
        assert served(FileWrapper(file)).status == 500


# --- Content-Length ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["read", "in memory", "gzip"])
def test_a_part_of_a_file_is_no_error_of_the_application(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert (
        body_of(KINDS[kind](tmp_path / "file"), 64, fields=[("Content-Length", "100")])
        == (CONTENT[:100])
    )
    assert caplog.records == []


def test_after_write_a_file_goes_as_far_as_the_length(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", [("Content-Length", "9")])
        write(b"head ")
        return FileWrapper(written(tmp_path / "file").open("rb"))

    transport = FakeTransport()
    Exchange(Request("GET", "/", "/", "", 1), {}, transport).run(application)  # type: ignore[arg-type]
    assert read_response(transport.data).body == b"head " + CONTENT[:4]
    assert caplog.records == []


# --- middleware ---------------------------------------------------------------------------------------------


def test_a_wrapper_that_was_begun_goes_on_from_there(tmp_path: Path) -> None:
    wrapper = FileWrapper(written(tmp_path / "file").open("rb"), 100)
    assert next(iter(wrapper)) == CONTENT[:100]
    assert served(wrapper).body == CONTENT[100:]


def test_a_subclass_is_asked_for_what_it_makes_of_its_file(tmp_path: Path) -> None:
    class Reversing(FileWrapper):
        def __next__(self) -> bytes:
            return super().__next__()[::-1]

    reversing = Reversing(written(tmp_path / "file").open("rb"), 100_000)
    assert served(reversing).body == CONTENT[::-1]


def test_the_end_of_a_huge_file_is_sent_without_reading_what_comes_before(tmp_path: Path) -> None:
    size = 3 * 1024 * 1024 * 1024
    with (tmp_path / "file").open("wb") as sparse:
        sparse.seek(size - 10)
        sparse.write(b"0123456789")
    with (tmp_path / "file").open("rb", 0) as file:
        # What werkzeug, and so Flask, makes of "Range: bytes=-10".
        body = _RangeWrapper(FileWrapper(file), size - 10, 10)
        read_before = _bytes_read()
        assert b"".join(body) == b"0123456789"
        assert _bytes_read() - read_before < 1_000_000


def _bytes_read() -> int:
    """Return how many bytes this process has read (proc(5), ``rchar``)."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_a_wrapper_seeks_and_tells_as_its_file_does(tmp_path: Path) -> None:
    with written(tmp_path / "file").open("rb") as file:
        wrapper: Any = FileWrapper(file)
        assert wrapper.seekable()
        wrapper.seek(7)
        assert wrapper.tell() == file.tell() == 7


def test_what_its_file_cannot_do_a_wrapper_has_not() -> None:
    class Minimal:
        def read(self, size: int) -> bytes:
            return b""

    wrapper = FileWrapper(Minimal())  # type: ignore[arg-type]
    for name in ("seek", "seekable", "tell", "fileno", "readline"):
        assert not hasattr(wrapper, name)


# --- files that change while they are sent ---------------------------------------------------------------


def test_a_file_that_grows_ends_where_it_ended_when_its_length_was_told(tmp_path: Path) -> None:
    path = written(tmp_path / "file")

    class Growing(FakeTransport):
        def finish(self, data: bytes, more: Any) -> None:
            with path.open("ab") as file:
                file.write(b"more")
            super().finish(data, more)

    transport = Growing()

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return FileWrapper(path.open("rb"))

    Exchange(Request("GET", "/", "/", "", 1), {}, transport).run(application)  # type: ignore[arg-type]
    response = read_response(transport.data)
    assert response.values("content-length") == [str(len(CONTENT))]
    assert (response.body, response.rest) == (CONTENT, b"")
