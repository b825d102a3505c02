"""The faults to rehearse with are the ones that they are called, and bounded."""

from __future__ import annotations

import subprocess
import sys
from wsgiref.validate import validator

import pytest

from app import drill
from tests.middleware.gateway import respond


def test_a_path_without_a_fault_is_404_and_harmless() -> None:
    response = respond(validator(drill.application), PATH_INFO="/other")
    assert (response.status, response.body) == ("404 Not Found", b"no such fault\n")


@pytest.mark.parametrize("path", ["/slow", "/grow"])
def test_a_fault_that_ends_is_answered(path: str) -> None:
    query = "seconds=0&mebibytes=1"
    response = respond(validator(drill.application), PATH_INFO=path, QUERY_STRING=query)
    assert (response.status, response.body) == ("200 OK", b"done\n")


def test_raise_raises() -> None:
    with pytest.raises(drill.DrillError):
        respond(drill.application, PATH_INFO="/raise")


@pytest.mark.parametrize("path", ["/hang", "/hold"])
def test_a_hang_ends_some_time(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill, "LONGEST", 0)
    assert respond(drill.application, PATH_INFO=path).status == "200 OK"


def test_crash_ends_the_process_without_a_word() -> None:
    code = "from app.drill import crash; crash({}); print('still there')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-9, b"", b"")
