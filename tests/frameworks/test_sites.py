"""What every framework's site does behind nginx, the server and the shipped chain."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from urllib.parse import quote, urljoin

import pytest

from tests.frameworks.stack import FILE, SITES, Stack, running

pytestmark = pytest.mark.integration
UPLOAD = hashlib.shake_128(b"an upload").digest(5 * 1024 * 1024)


@pytest.fixture(scope="module", params=SITES)
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    with running(request.param) as started:
        yield started


def test_routes_lead_to_the_framework(stack: Stack) -> None:
    answer = stack.browser().get("/")
    assert answer.status == 200
    assert answer.text == stack.framework


def test_a_path_and_a_query_of_any_letters_arrive(stack: Stack) -> None:
    target = f"/hello/{quote('小明 & Jürgen')}?greeting={quote('Grüß Gott')}"
    answer = stack.browser().get(target)
    assert answer.text == "Grüß Gott, 小明 & Jürgen!"


def test_head_has_the_fields_of_get_and_no_body(stack: Stack) -> None:
    got = stack.browser().get("/hello/alice")
    head = stack.browser().ask("HEAD", "/hello/alice")
    assert head.status == 200
    assert head.body == b""
    for name in ("Content-Type", "Content-Length"):
        assert head.fields[name] == got.fields[name]


# --- where the client is -------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["shop.example", "shop.example:8443"])
def test_absolute_urls_have_the_host_and_port_that_the_client_used(stack: Stack, host: str) -> None:
    told = stack.browser(Host=host).get("/where").json
    assert told["url"] == f"http://{host}/hello/alice"
    assert told["host"] == host
    assert told["secure"] is False
    assert told["address"] == "127.0.0.1"


def test_absolute_urls_are_https_behind_tls(stack: Stack) -> None:
    told = stack.behind_tls().get("/where").json
    assert told["url"] == "https://shop.example/hello/alice"
    assert told["secure"] is True
    assert told["address"] == "192.0.2.7"


def test_a_mounted_site_has_its_prefix_in_absolute_urls(stack: Stack) -> None:
    told = stack.browser(Host="shop.example").get("/mounted/where").json
    assert told["url"] == "http://shop.example/mounted/hello/alice"


def test_a_clients_own_forwarded_fields_change_nothing(stack: Stack) -> None:
    told = stack.browser(Host="shop.example").get(
        "/where",
        X_Forwarded_Host="evil.example",
        X_Forwarded_Proto="https",
        X_Forwarded_For="203.0.113.1",
        X_Forwarded_Prefix="/evil",
        Forwarded="host=evil.example;proto=https",
    ).json  # fmt: skip
    assert told["url"] == "http://shop.example/hello/alice"
    assert told["secure"] is False
    assert told["address"] == "127.0.0.1"


def test_a_line_that_the_site_logs_carries_the_requests_id(stack: Stack) -> None:
    answer = stack.browser(Host="shop.example").get("/where")
    request_id = answer.json["id"]
    assert answer.fields["X-Request-ID"] == request_id
    line = stack.logged(request_id, logger="site")
    assert line["message"] == "where is http://shop.example/hello/alice"


# --- forms, files, streams -----------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "/mounted"])
def test_a_form_is_read_and_answered_by_a_redirect(stack: Stack, prefix: str) -> None:
    base = f"http://shop.example{prefix}/form"
    answer = stack.browser(Host="shop.example").post_form(f"{prefix}/form", {"name": "小明"})
    assert answer.status == 303
    target = urljoin(base, answer.fields["Location"])
    assert target == f"http://shop.example{prefix}/hello/{quote('小明')}"
    followed = stack.browser().get(target.removeprefix("http://shop.example"))
    assert followed.text == "Hello, 小明!"


def test_an_upload_of_5_mib_arrives_whole(stack: Stack) -> None:
    form = {"note": "Grüße", "file": ("größe.bin", UPLOAD)}
    told = stack.browser().post_files("/upload", form).json
    assert told == {
        "filename": "größe.bin",
        "size": len(UPLOAD),
        "sha256": hashlib.sha256(UPLOAD).hexdigest(),
        "note": "Grüße",
    }


def test_a_file_is_downloaded_whole_and_under_its_name(stack: Stack) -> None:
    answer = stack.browser().get("/download")
    assert answer.status == 200
    assert answer.body == FILE
    assert answer.fields["Content-Length"] == str(len(FILE))
    assert re.fullmatch(
        r'attachment; filename="?report.bin"?', answer.fields["Content-Disposition"]
    )


def test_a_file_that_has_not_changed_is_not_sent_again(stack: Stack) -> None:
    first = stack.browser().ask("HEAD", "/download")
    assert first.body == b""
    again = stack.browser().get("/download", If_Modified_Since=first.fields["Last-Modified"])
    assert again.status == 304
    assert again.body == b""


@pytest.mark.parametrize("direct", [False, True], ids=["nginx", "worker"])
def test_a_form_of_unknown_length_is_read(stack: Stack, direct: bool) -> None:
    """nginx measures a chunked body before it hands it on; the server does so itself."""
    browser = stack.behind_tls() if direct else stack.browser()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = browser.ask("POST", "/form", iter([b"name=", b"al", b"ice"]), kind)
    assert answer.status == 303
    assert answer.fields["Location"].endswith("/hello/alice")


def test_a_part_of_a_file_is_sent_where_the_framework_knows_ranges(stack: Stack) -> None:
    answer = stack.browser().get("/download", Range="bytes=1000000-2000000")
    if stack.framework in ("Django", "Falcon"):
        assert (answer.status, answer.body) == (200, FILE)
    else:
        assert (answer.status, answer.body) == (206, FILE[1000000:2000001])
        assert answer.fields["Content-Range"] == f"bytes 1000000-2000000/{len(FILE)}"


def test_a_stream_is_sent_while_it_is_made(stack: Stack) -> None:
    connection, response = stack.browser().open("GET", "/stream")
    assert response.readline() == b"first\n"
    assert stack.browser().get("/release").text == "released"
    assert response.read() == b"second\n"
    connection.close()


def test_a_stream_whose_client_leaves_ends(stack: Stack) -> None:
    """The worker goes on serving; the thread of the stream is free again."""
    for _ in range(6):  # more than there are threads
        connection, response = stack.browser().open("GET", "/stream")
        assert response.readline() == b"first\n"
        connection.close()
        stack.browser().get("/release")
    assert stack.browser().get("/").status == 200


def test_each_cookie_has_a_field_of_its_own_and_comes_back(stack: Stack) -> None:
    browser = stack.browser()
    fields = browser.get("/cookies").fields.get_all("Set-Cookie")
    assert [field.partition("=")[0] for field in fields] == ["session", "theme"]
    assert "HttpOnly" in fields[0]
    assert browser.get("/cookies/seen").json == {"session": "a b; c", "theme": "dark"}


# --- errors --------------------------------------------------------------------------------------


def test_the_frameworks_own_404_reaches_the_client(stack: Stack) -> None:
    answer = stack.browser().get("/missing")
    assert answer.status == 404
    assert answer.text == f"{stack.framework} has no such page"


def test_an_exception_is_answered_by_the_chain_and_logged_under_the_requests_id(
    stack: Stack,
) -> None:
    answer = stack.browser().get(f"/error/{quote('小明')}", Accept="application/json")
    assert answer.status == 500
    request_id = answer.fields["X-Request-ID"]
    assert answer.json == {"error": "Internal Server Error", "request_id": request_id}
    line = stack.logged(request_id, event="exception")
    assert f"OnPurposeError: in {stack.framework}" in line["exception"]
    assert line["path"] == "/error/小明"
