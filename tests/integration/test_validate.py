"""Every test application that keeps PEP 3333 does so under wsgiref.validate on our server."""

from __future__ import annotations

import pytest

from tests.applications import echo
from tests.harness.client import Response
from tests.harness.waiting import wait_until

from .requests import get, head, post

BODY = b"first line\nsecond line\nthird line"

# Left out: what breaks PEP 3333 on purpose (hop_by_hop, injected, wrong_types, closes:/wrong-type,
# late_start:/after-empty and :/never, 1xx statuses) and what ends a response early.
TARGETS = {
    "hello": "/ /alice?a=b",
    "environ_dump": "/ /%E5%B0%8F%E6%98%8E?a=b",
    "echo": " ".join(echo.VALID),
    "stream": "/",
    "blocks": "/one /several /tuple /with-length",
    "empty": "/list /generator /empty-strings /zero-length",
    "write_callable": "/write /mixed /with-length /inside /empty",
    "late_start": "/ /with-length",
    "exc_info": "/before /in-stream",
    "raises": "/call /started /first-block /close",
    "closes": "/list /generator /file /no-content /unread",
    "file_response": "/file /file-length /file-offset /file-block-size /empty-file /memory "
                     "/memory-length /pipe /no-close",
    "no_body": "/204 /204-body /205 /304 /304-body",
    "cookies": "/",
    "own_server_fields": "/",
    "large_fields": "/",
    "big": "/list /length /generator /file /write",
    "iterable_class": "/",
    "callable_instance": "/",
    "gate": "/",
    "identified": "/",
    "logs": "/",
    "mutates_environ": "/",
    "writes_errors": "/",
    "sleeps": "/?seconds=0.01",
}  # fmt: skip

CASES = [(name, target) for name, targets in TARGETS.items() for target in targets.split()]


def essence(response: Response) -> tuple[object, ...]:
    """Return what a wrapper round the application must not change."""
    framing = ("content-length", "transfer-encoding", "date")
    fields = [(name, value) for name, value in response.fields if name.lower() not in framing]
    return response.status, response.reason, fields, response.complete


@pytest.mark.parametrize(("name", "target"), CASES, ids=[f"{n}:{t}" for n, t in CASES])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_the_validator_finds_nothing(name: str, target: str, method: str, bascule) -> None:
    sent = {"GET": get(target), "HEAD": head("HEAD", target), "POST": post(target, BODY)}[method]
    plain, validated = bascule[name], bascule[f"tests.applications.validated:{name}"]
    already = len(validated.err)
    responses = []
    for server in (plain, validated):
        with server.client() as client:
            responses.append(client.request(sent, method=method))
    assert essence(responses[1]) == essence(responses[0])
    if name not in ("environ_dump", "mutates_environ"):  # each names ports and counts requests
        assert responses[1].body == responses[0].body
    log = validated.err[already:]
    assert "AssertionError" not in log
    assert "garbage collected" not in log


def test_the_validator_does_find_a_breach(bascule) -> None:
    """The test above would be worth nothing if a breach went unnoticed."""
    server = bascule["tests.applications.validated:wrong_types"]
    with server.client() as client:
        assert client.request(get("/fields-tuple")).status == 500
    wait_until(lambda: "AssertionError" in server.err, "the breach in the log")
