"""What a client sees through the published port."""

from __future__ import annotations

from functools import partial

import pytest

from tests.harness.fetch import Reply, fetch
from tests.harness.waiting import wait_until
from tests.stack.project import FACT_SECONDS, Project

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

# Each connection, process or moment has its own.
INDIVIDUAL_FIELDS = {"date", "x-request-id"}


@pytest.mark.parametrize(
    ("target", "greeting"),
    [
        ("/", "<h1>Hello, web!</h1>"),
        ("/alice", "<h1>Hello, alice!</h1>"),
        ("/forms/class/alice", "<h1>Hello, alice!</h1>"),
        ("/forms/instance/alice", "<h1>Hello, alice!</h1>"),
        ("/forms/generator/alice", "<h1>Hello, alice!</h1>"),
        ("/forms/write/alice", "<h1>Hello, alice!</h1>"),
    ],
)
def test_the_hello_application_greets(stack: Project, target: str, greeting: str) -> None:
    reply = fetch(stack.address(), target)
    assert (reply.status, reply.body.decode()) == (200, greeting)
    assert reply.fields["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("service", ["nginx", "nginx-baseline"])
@pytest.mark.parametrize(
    ("accept", "content_type", "beginning"),
    [
        ("text/html", "text/html; charset=utf-8", b"<!DOCTYPE html>"),
        ("application/xml", "application/xml", b"<?xml "),
    ],
)
def test_the_catalogue_is_a_page_or_xml_as_the_client_prefers(
    stack: Project, service: str, accept: str, content_type: str, beginning: bytes
) -> None:
    reply = fetch(stack.address(service), "/catalogue/", fields={"Accept": accept})
    assert (reply.status, reply.fields["content-type"]) == (200, content_type)
    assert reply.body.startswith(beginning)
    assert "accept" in reply.fields["vary"].lower()


def test_the_chain_can_be_shown_in_the_container(stack: Project) -> None:
    shown = stack.execute("server", "python3", "-m", "bascule_middleware", "app/chain.toml")
    assert shown.startswith(
        "app/chain.toml\n├── request_id  (bascule_middleware.links.request_id:RequestId)\n"
    )
    assert shown.endswith("\n└── app.hello:application\n")


def test_a_static_file_is_served(stack: Project) -> None:
    reply = fetch(stack.address(), "/static/bascule.svg")
    assert (reply.status, reply.fields["content-type"]) == (200, "image/svg+xml")


@pytest.mark.parametrize("target", ["/-/error.html", "/-/error.json", "/-/blocked"])
def test_pages_of_nginxs_own_cannot_be_asked_for(stack: Project, target: str) -> None:
    assert fetch(stack.address(), target).status == 404


def common_fields(reply: Reply) -> list[tuple[str, str]]:
    fields = ((name.lower(), value) for name, value in reply.fields.items())
    return sorted(field for field in fields if field[0] not in INDIVIDUAL_FIELDS)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "target",
    [
        *("/", "/alice", "/%E5%B0%8F%E6%98%8E", "/%3Cscript%3E", "/a%2Fb?c=d"),
        *("/forms/none", "/formsx"),
    ],
)
def test_the_baseline_answers_the_same(stack: Project, method: str, target: str) -> None:
    body = b"some=body" if method == "POST" else None
    ours, gunicorns = (
        fetch(stack.address(service), target, method=method, body=body)
        for service in ("nginx", "nginx-baseline")
    )
    assert (ours.status, ours.body) == (gunicorns.status, gunicorns.body)
    assert common_fields(ours) == common_fields(gunicorns)


@pytest.mark.parametrize(("mebibytes", "status"), [(5, 200), (9, 413)])
def test_an_upload_is_spooled_or_refused_by_its_size(
    stack: Project, mebibytes: int, status: int
) -> None:
    body = bytes(mebibytes * 1024 * 1024)
    assert fetch(stack.address(), "/alice", method="POST", body=body).status == status


def test_a_request_has_the_same_id_in_the_response_and_in_both_logs(stack: Project) -> None:
    request_id = fetch(stack.address(), "/who-am-i").fields["x-request-id"]

    def logged(service: str) -> list[tuple[str, int]]:
        return [
            (event["event"], event["status"])
            for event in stack.events(service)
            if event.get("request_id") == request_id
        ]

    for service in ("nginx", "server"):
        wait_until(partial(logged, service), f"{service}'s line", limit=FACT_SECONDS)
        assert logged(service) == [("request", 200)]
