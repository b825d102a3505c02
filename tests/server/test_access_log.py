"""The access log: both formats, what cannot be forged in them, and its file."""

from __future__ import annotations

import io
import json
import os
import re
import select
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from bascule import guard
from bascule.errors import ProtocolError, StartError
from bascule.http.request import Request
from bascule.told.access_log import AccessLog, JsonLines, Refusal, combined, is_healthy
from hypothesis import given
from hypothesis import strategies as st

from tests.rfc9112.feeding import Outcome, read

NOW = 784111777.5
SENT = 321, 0.0123456  # bytes, seconds


def a_request(line: bytes = b"GET /a?b=c HTTP/1.1", fields: bytes = b"") -> Outcome:
    outcome = read([line + b"\r\nHost: a.example\r\n" + fields + b"\r\n"])
    assert outcome.complete
    return outcome


def served(
    outcome: Outcome | None,
    environ: dict[str, Any] | None = None,
    status: int = 200,
    request_id: object = "abc",
) -> Refusal:
    """Return what was served; ``environ`` is what the application has changed in it."""
    request, found = (outcome.request, outcome.environ) if outcome else (None, {})
    changed = {"REMOTE_ADDR": "192.0.2.7"} if environ is None else environ
    named = {"HTTP_X_REQUEST_ID": request_id} if request_id else {}
    return Refusal(request, found | named | changed, status)


@pytest.mark.parametrize("left", ["", None, b"bytes", 5, ["list"]])
def test_a_request_id_that_is_no_text_is_left_out(left: object) -> None:
    line = json.loads(JsonLines("3")(served(a_request(), request_id=left), *SENT, NOW))
    assert line["request_id"] == ""


def test_a_json_line_says_who_asked_what_and_what_came_of_it() -> None:
    request = a_request(fields=b"User-Agent: curl/8\r\n")
    assert json.loads(JsonLines("3")(served(request), *SENT, NOW)) == {
        "time": "1994-11-06T08:49:37.500Z",
        "level": "info",
        "event": "request",
        "worker": "3",
        "request_id": "abc",
        "remote_addr": "192.0.2.7",
        "method": "GET",
        "target": "/a?b=c",
        "protocol": "HTTP/1.1",
        "host": "a.example",
        "user_agent": "curl/8",
        "status": 200,
        "bytes": 321,
        "duration_ms": 12.346,
    }


def test_a_json_line_of_a_refused_head_has_no_request() -> None:
    line = json.loads(JsonLines("")(served(None, status=400), *SENT, NOW))
    assert line["status"] == 400
    assert not {"method", "target", "worker"} & set(line)


def test_the_time_of_a_json_line_is_that_of_its_own_millisecond() -> None:
    """Which several lines share, and a clock may be set back."""
    render, entry = JsonLines(""), served(a_request())
    for now, expected in (
        (1.5, "01.500"),
        (1.5004, "01.500"),
        (1.25, "01.250"),
        (0.0005, "00.000"),
        (0.001, "00.001"),
    ):
        assert json.loads(render(entry, *SENT, now))["time"] == f"1970-01-01T00:00:{expected}Z"


def test_a_combined_line_has_apache_s_form() -> None:
    request = a_request(fields=b"User-Agent: curl/8\r\nReferer: http://b/\r\n")
    assert combined(served(request), *SENT, NOW) == (
        '192.0.2.7 - - [06/Nov/1994:08:49:37 +0000] "GET /a?b=c HTTP/1.1" 200 321 '
        '"http://b/" "curl/8"'
    )


def test_what_a_combined_line_does_not_know_is_a_dash() -> None:
    line = combined(served(None, status=400, environ={"REMOTE_ADDR": ""}), *SENT, NOW)
    assert line == '- - - [06/Nov/1994:08:49:37 +0000] "-" 400 321 "-" "-"'


def test_a_user_that_the_application_knows_is_named() -> None:
    environ = {"REMOTE_ADDR": "192.0.2.7", "REMOTE_USER": 'al"ice'}
    line = combined(served(a_request(), environ=environ), *SENT, NOW)
    assert line.startswith(r"192.0.2.7 - al\x22ice [")


def test_quotes_and_what_is_not_ascii_are_escaped_in_a_combined_line() -> None:
    fields = b'User-Agent: a"b\\c\te\xc3\xa9\r\n'
    line = combined(served(a_request(b'GET /"\xff HTTP/1.1', fields)), *SENT, NOW)
    assert r'"GET /\x22\xff HTTP/1.1"' in line
    assert line.endswith(r'"a\x22b\x5cc\x09e\xc3\xa9"')


@pytest.mark.parametrize("kind", ["json", "combined"])
def test_the_address_is_that_which_middleware_left_in_the_environ(kind: str) -> None:
    render = JsonLines("") if kind == "json" else combined
    assert "198.51.100.9" in render(
        served(a_request(), environ={"REMOTE_ADDR": "198.51.100.9"}), *SENT, NOW
    )


texts = st.binary(max_size=40)
COMBINED = re.compile(
    r'[^ "]+ - [^ "]+ \[[^]"]+\] "((?:[^"\\]|\\x[0-9a-f]{2})*)" \d+ \d+ '
    r'"((?:[^"\\]|\\x[0-9a-f]{2})*)" "((?:[^"\\]|\\x[0-9a-f]{2})*)"'
)


def generated(target: bytes, agent: bytes, referer: bytes) -> Outcome | None:
    """Return a request with these in it, or None where the server would refuse it."""
    fields = b"User-Agent: " + agent + b"\r\nReferer: " + referer + b"\r\n"
    try:
        return read([b"GET /" + target + b" HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"])
    except ProtocolError:
        return None


@given(target=texts, agent=texts, referer=texts)
def test_no_request_forges_a_combined_line(target: bytes, agent: bytes, referer: bytes) -> None:
    line = combined(served(generated(target, agent, referer)), *SENT, NOW)
    assert line.isascii()
    assert line.isprintable()
    assert COMBINED.fullmatch(line)


@given(target=st.text(max_size=40), agent=st.text(max_size=40), user=st.text(max_size=10))
def test_not_even_one_that_the_server_would_refuse(target: str, agent: str, user: str) -> None:
    environ = {"HTTP_USER_AGENT": agent, "HTTP_REFERER": target}
    line = combined(served(Outcome(None, Request("GET", target, "", "", 1), environ)), *SENT, NOW)
    assert line.isprintable()
    assert COMBINED.fullmatch(line)


@given(target=texts, agent=texts, referer=texts)
def test_no_request_forges_a_json_line(target: bytes, agent: bytes, referer: bytes) -> None:
    outcome = generated(target, agent, referer)
    line = JsonLines("")(served(outcome), *SENT, NOW)
    assert line.isascii()
    assert line.isprintable()
    found = json.loads(line)
    assert found["status"] == 200
    if outcome is not None and outcome.request is not None:
        assert found["target"] == outcome.request.target
        assert found["user_agent"] == outcome.environ["HTTP_USER_AGENT"]


# --- the file -----------------------------------------------------------------------------------------


def test_lines_are_appended_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("before\n")
    log = AccessLog(str(path), "combined", "")
    log.write(served(a_request()), *SENT)
    log.write(served(a_request(b"GET /second HTTP/1.1")), *SENT)
    log.flush()
    first, second, third = path.read_text().splitlines()
    assert first == "before"
    assert "/a?b=c" in second
    assert "/second" in third


def test_the_file_is_not_for_everybody_to_read(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    AccessLog(str(path), "combined", "")
    assert path.stat().st_mode & 0o007 == 0


def test_after_reopening_lines_go_to_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(str(path), "json", "")
    log.write(served(a_request(b"GET /old HTTP/1.1")), *SENT)
    log.flush()
    path.rename(tmp_path / "access.log.1")
    log.write(served(a_request(b"GET /moved HTTP/1.1")), *SENT)
    log.reopen()
    log.write(served(a_request(b"GET /new HTTP/1.1")), *SENT)
    log.flush()

    def targets(name: str) -> list[str]:
        return [json.loads(each)["target"] for each in (tmp_path / name).read_text().splitlines()]

    assert targets("access.log.1") == ["/old", "/moved"]
    assert targets("access.log") == ["/new"]


def test_reopening_keeps_no_descriptor(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "access.log"), "json", "")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        log.reopen()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_program_that_the_application_runs_has_no_part_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(str(path), "json", "")
    log.reopen()
    listed = ["readlink", *map(str, Path("/proc/self/fd").iterdir())]
    done = subprocess.run(listed, capture_output=True, text=True, check=False, close_fds=False)
    assert done.stdout
    assert str(path) not in done.stdout


def test_lines_for_standard_output_go_to_whoever_takes_them() -> None:
    taken = io.StringIO()
    log = AccessLog("-", "json", "", taken)
    log.reopen()
    log.write(served(a_request()), *SENT)
    log.flush()
    assert json.loads(taken.getvalue())["target"] == "/a?b=c"


def test_no_line_is_lost_or_torn_while_threads_write_and_it_is_reopened(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(str(path), "json", "")
    entry = served(a_request(fields=b"User-Agent: " + b"x" * 500 + b"\r\n"))

    def write() -> None:
        for _ in range(200):
            log.write(entry, *SENT)
            log.flush()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        path.rename(tmp_path / f"access.log.{number}")
        log.reopen()
    for thread in threads:
        thread.join(30)
    lines = [line for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    assert len(lines) == 4 * 200
    assert all(json.loads(line)["status"] == 200 for line in lines)


def test_a_file_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot write the access log"):
        AccessLog(str(tmp_path / "nowhere" / "access.log"), "json", "")


def test_a_full_disk_costs_the_line_and_not_the_request() -> None:
    log = AccessLog("/dev/full", "combined", "")
    log.write(served(a_request()), *SENT)
    log.flush()


def test_lines_that_are_written_together_are_no_longer_than_a_pipe_keeps_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sizes: list[int] = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda to, data: sizes.append(len(data)) or write(to, data))
    path = tmp_path / "access.log"
    log = AccessLog(str(path), "json", "")
    for number in range(64):
        log.write(served(a_request(b"GET /%d HTTP/1.1" % number)), *SENT)
    log.flush()
    found = [json.loads(line)["target"] for line in path.read_text().splitlines()]
    assert found == [f"/{number}" for number in range(64)]
    assert max(sizes) <= select.PIPE_BUF
    assert len(sizes) < 64 / 2


class Address:
    """An address that is no string, as an application might leave it."""

    def __str__(self) -> str:
        return "198.51.100.9"


@pytest.mark.parametrize("kind", ["json", "combined"])
def test_an_odd_environ_costs_no_request(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(str(path), kind, "")
    log.write(served(a_request(), environ={"REMOTE_ADDR": Address()}), *SENT)
    log.flush()
    assert "198.51.100.9" in path.read_text()


def test_the_file_is_not_for_everybody(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        AccessLog(str(tmp_path / "access.log"), "combined", "0")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "access.log").stat().st_mode) == 0o640


class Unspeakable:
    """One that is not even to be had as text."""

    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize("kind", ["json", "combined"])
def test_a_line_that_cannot_be_made_is_noted(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(str(path), kind, "")
    before = guard.total()
    log.write(served(a_request(), environ={"REMOTE_ADDR": Unspeakable()}), *SENT)
    log.write(served(a_request()), *SENT)
    log.flush()
    assert guard.total() == before + 1
    assert len(path.read_text().splitlines()) == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"/a", b"/b", b"/a?b=c", b"/\xff"]),
            st.sampled_from([b"curl/8", b'"', b"\xe9"]),
            st.sampled_from(["192.0.2.7", "::1", '"']),
        ),
        max_size=8,
    )
)
def test_a_request_that_came_before_is_logged_as_if_it_were_the_first(
    requests: list[tuple[bytes, bytes, str]],
) -> None:
    render = JsonLines("0")
    for target, agent, address in requests:
        request = a_request(b"GET " + target + b" HTTP/1.1", b"User-Agent: " + agent + b"\r\n")
        entry = served(request, environ={"REMOTE_ADDR": address})
        assert render(entry, *SENT, NOW) == JsonLines("0")(entry, *SENT, NOW)


# --- health checks ------------------------------------------------------------------------------------

PROBE = b"User-Agent: bascule-health\r\nX-Bascule-Health: probe\r\n"


def probed(status: int = 200, fields: bytes = PROBE, **environ: str) -> Refusal:
    return served(a_request(fields=fields), environ, status)


def test_a_health_check_over_a_unix_socket_is_one() -> None:
    assert is_healthy(probed())
    assert is_healthy(probed(REMOTE_ADDR=""))
    # nginx's own check, before and after the link proxy_headers has read what nginx says of it.
    assert is_healthy(probed(HTTP_X_FORWARDED_FOR="127.0.0.1"))
    assert is_healthy(probed(REMOTE_ADDR="127.0.0.1", REMOTE_PORT=""))


@pytest.mark.parametrize("status", [400, 404, 499, 500, 503])
def test_a_health_check_that_fails_is_logged(status: int) -> None:
    assert not is_healthy(probed(status))


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": "192.0.2.7", "REMOTE_PORT": "4711"},
        {"REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "4711"},
        {"REMOTE_ADDR": "192.0.2.7", "REMOTE_PORT": ""},
        {"REMOTE_ADDR": "", "HTTP_X_FORWARDED_FOR": "192.0.2.7"},
        {"REMOTE_ADDR": "", "HTTP_X_FORWARDED_FOR": "127.0.0.1, 192.0.2.7"},
        {"REMOTE_ADDR": "", "HTTP_USER_AGENT": "curl/8"},
    ],
)
def test_what_comes_from_elsewhere_is_no_health_check(environ: dict[str, str]) -> None:
    assert not is_healthy(probed(**environ))


def test_a_healthy_check_has_no_line(tmp_path: Path) -> None:
    """One that nginx or the stack itself makes; only those have the field."""
    path = tmp_path / "access.log"
    log = AccessLog(str(path), "json", "")
    log.write(probed(200), *SENT)
    log.write(probed(201, PROBE.replace(b"X-Bascule-Health: probe\r\n", b"")), *SENT)
    log.flush()
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["status"] == 201
