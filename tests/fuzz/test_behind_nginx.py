"""Behind a real nginx: it and the worker see the same requests, and what differs is found out."""

from __future__ import annotations

import secrets
from random import Random
from typing import Any

import pytest

from tests.applications.seen import digest
from tests.fuzz import behind_nginx, command, corpus, generate, read_ours
from tests.fuzz.behind_nginx import Seen
from tests.fuzz.compare import Finding
from tests.harness.nginx import binaries

SECONDS = 3.0
FIRST, SECOND = "0" * 32, "1" * 32


@pytest.mark.integration
@pytest.mark.parametrize("binary", binaries(), ids=lambda path: path.rsplit("/", 1)[-1])
def test_nginx_and_the_worker_see_the_same_requests(binary: str) -> None:
    seed = secrets.randbelow(10**9)
    print(f"again: tests/fuzz/run --behind-nginx --seed {seed} --inputs 5000")
    with behind_nginx.pair(binary) as running:
        *_, committed = behind_nginx.run(running, iter(corpus.streams().values()))
        assert committed.streams == len(corpus.streams())
        streams = generate.Generator(Random(seed), list(corpus.streams().values()))
        *_, outcome = behind_nginx.run(running, iter(streams.stream, None), seconds=SECONDS)
    assert outcome.passed_on > 50
    assert sum(outcome.kept_back.values()) > 50


def line(request_id: str, **other: Any) -> dict[str, Any]:
    """Return a line of either log."""
    usual = {"request_id": request_id, "method": "GET", "target": "/a", "status": 200}
    return usual | {"upstream_status": str(other.get("status", 200))} | other


def compare(theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> list[int]:
    by_id = {each["request_id"]: each for each in theirs}
    return list(behind_nginx.agree(by_id, set(by_id), ours))


def test_the_same_requests_in_both_logs_hold() -> None:
    lines = [line(FIRST), line(SECOND, target="/é", method="POST")]
    seen = [line(SECOND, target="/Ã©", method="POST"), line(FIRST)]
    assert compare(lines, seen) == []


def test_what_the_worker_refuses_has_no_id_and_is_counted() -> None:
    assert compare([line(FIRST, status=400)], [line("", status=400)]) == [400]


@pytest.mark.parametrize(
    ("ours", "kind"),
    [
        ([line(FIRST), line(FIRST)], "saw twice"),
        ([line(FIRST), line("2" * 32)], "knows nothing of"),
        ([line(FIRST), line("", status=400)], "did not pass on"),
        ([], "did not see"),
        ([line(FIRST, method="POST")], "another method"),
        ([line(FIRST, target="/b")], "another target"),
        ([line(FIRST, status=500)], "another status"),
    ],
)
def test_a_request_that_only_one_side_saw_so_is_found(
    ours: list[dict[str, Any]], kind: str
) -> None:
    with pytest.raises(Finding, match=kind):
        compare([line(FIRST)], ours)


def response(request_id: str, seen: str = "") -> bytes:
    """Return an answer as nginx sends it."""
    field = f"X-Seen: {seen}\r\n" if seen else ""
    return f"HTTP/1.1 200 OK\r\nX-Request-ID: {request_id}\r\n{field}\r\nok\n".encode()


def seen_as(request_id: str, method: str, target: str, body: bytes) -> str:
    """Return what the application says of a request."""
    parts = (request_id, method.encode().hex(), target.encode().hex(), len(body), digest(body))
    return " ".join(map(str, parts))


def test_answers_are_read_with_what_the_worker_saw() -> None:
    received = b"HTTP/1.1 100 Continue\r\n\r\n" + response(FIRST, seen_as(FIRST, "PUT", "/a", b"x"))
    found = behind_nginx.answers(received + response(SECOND))
    assert [(each.status, each.request_id) for each in found] == [(200, FIRST), (200, SECOND)]
    assert found[0].seen == Seen("PUT", "/a", 1, digest(b"x"))
    assert found[1].seen is None


def test_an_answer_to_another_request_is_found() -> None:
    with pytest.raises(Finding, match="an answer to another request"):
        behind_nginx.answers(response(FIRST, seen_as(SECOND, "GET", "/", b"")))


POST = b"POST http://a/b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"


@pytest.mark.parametrize(
    ("method", "target", "body", "holds"),
    [
        ("POST", "/b", b"body", True),
        ("POST", "/b", b"bod", False),
        ("POST", "/c", b"body", False),
        ("GET", "/b", b"body", False),
    ],
)
def test_a_request_that_ends_elsewhere_by_way_of_nginx_is_found(
    method: str, target: str, body: bytes, holds: bool
) -> None:
    found = behind_nginx.answers(response(FIRST, seen_as(FIRST, method, target, body)))
    reading = read_ours.read([POST])
    if holds:
        behind_nginx.check_ends(found, reading)
    else:
        with pytest.raises(Finding, match="by way of nginx"):
            behind_nginx.check_ends(found, reading)


@pytest.mark.integration
def test_the_command_does_it_for_longer(capsys) -> None:
    arguments = ["--behind-nginx", "--inputs", "60", "--seed", "7"]
    assert command.main(arguments) == 0
    output = capsys.readouterr().out
    assert "seed 7" in output
    assert "60 streams" in output
