"""`python -m app`: an application under the standard library's reference server."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.__main__ import main
from tests.harness.fetch import NO_RESPONSE, fetch
from tests.harness.ports import listen
from tests.harness.processes import Process

ROOT = Path(__file__).parents[2]
LIMIT = 60  # seconds for a process to end


def is_interrupted(environ: Any, start_response: Any) -> list[bytes]:
    """An application that Ctrl-C finds at work."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(LIMIT)
    return []


@contextmanager
def running(*arguments: str) -> Iterator[tuple[Process, str, int]]:
    """Start it; give the process, the line that it prints and the port that this line names."""
    with Process([sys.executable, "-m", "app", *arguments]) as process:
        line = process.read_line(LIMIT)
        named = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert named, line
        yield process, line, int(named[1])


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], "app.hello:application"),
        *(
            ([f"app.forms:{form}"], f"app.forms:{form}")
            for form in ("Greeting", "greeter", "generator", "writer")
        ),
    ],
)
def test_it_serves_and_ctrl_c_ends_it_quietly(arguments: list[str], name: str) -> None:
    with running(*arguments, "--port", "0") as (process, line, port):
        assert line == f"Serving {name} on http://127.0.0.1:{port}/ (Ctrl-C ends it)\n"
        assert fetch(port, "/alice").body == b"<h1>Hello, alice!</h1>"
        process.signal(signal.SIGINT)
        assert process.wait(LIMIT) == 0
        assert process.out == line
        assert "Traceback" not in process.err


@pytest.mark.integration
def test_ctrl_c_ends_it_in_the_middle_of_a_request_as_well() -> None:
    with running("tests.app.test_main:is_interrupted", "--port", "0") as (process, line, port):
        with pytest.raises(NO_RESPONSE):
            fetch(port, "/")
        assert process.wait(LIMIT / 2) == 0
        assert (process.out, process.err) == (line, "")


def test_without_options_it_means_hello_on_port_8000(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "(default: app.hello:application)" in said
    assert "(default: 8000)" in said


def test_a_port_in_use_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with listen() as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    assert capsys.readouterr().err == (
        f"python -m app: cannot listen on port {port}: {os.strerror(98)}; "
        "name another port with --port\n"
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere:application", "No module named 'nowhere'"),
        ("app.hello:aplication", "module 'app.hello' has no attribute 'aplication'"),
        ("app/hello.py", "invalid format: 'app/hello.py'"),
        ("app.hello", "it is not callable"),
    ],
)
def test_an_application_that_cannot_be_had_is_one_line(
    name: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name]) == 1
    assert capsys.readouterr().err == f"python -m app: cannot load {name}: {reason}\n"


@pytest.mark.parametrize("port", ["x", "-1", "65536", "²"])
def test_what_is_no_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([f"--port={port}"])
    assert caught.value.code == 2
    assert f'"{port}" is not a port, 0 to 65535' in capsys.readouterr().err
