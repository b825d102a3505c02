"""What Django alone brings: the admin, sessions, CSRF tokens, static files, files of models."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest

from tests.frameworks.browser import Browser
from tests.frameworks.stack import Stack, running
from tests.harness.fetch import Reply

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running("Django") as started:
        yield started


def token(page: Reply) -> str:
    """Return the CSRF token of a page's form."""
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


@pytest.fixture
def administrator(stack: Stack) -> Browser:
    """A browser that has logged into the admin."""
    browser = stack.browser()
    turned_away = browser.get("/admin/")
    assert turned_away.status == 302
    login = turned_away.fields["Location"]
    assert login == "/admin/login/?next=/admin/"
    form = {
        "csrfmiddlewaretoken": token(browser.get(login)),
        "username": "admin",
        "password": "opens the admin",
        "next": "/admin/",
    }
    answer = browser.post_form(login, form)
    assert answer.status == 302
    assert answer.fields["Location"] == "/admin/"
    return browser


def test_the_admin_opens_for_who_logs_in(administrator: Browser) -> None:
    page = administrator.get("/admin/")
    assert page.status == 200
    assert "Site administration" in page.text
    assert "Documents" in page.text


def test_a_wrong_password_opens_nothing(stack: Stack) -> None:
    browser = stack.browser()
    page = browser.get("/admin/login/")
    form = {"csrfmiddlewaretoken": token(page), "username": "admin", "password": "wrong"}
    assert "Please enter the correct username" in browser.post_form("/admin/login/", form).text
    assert browser.get("/admin/").status == 302


def test_a_file_is_uploaded_through_the_admin(administrator: Browser, stack: Stack) -> None:
    add = "/admin/site/document/add/"
    content = bytes(range(256)) * 4096  # Django spools past 2.5 MiB, nginx past 64 KiB
    form = {
        "csrfmiddlewaretoken": token(administrator.get(add)),
        "title": "Größe & Maß",
        "file": ("große Datei.bin", content),
        "_save": "Save",
    }
    answer = administrator.post_files(add, form)
    assert answer.status == 302
    page = administrator.get(answer.fields["Location"])
    assert "Größe & Maß" in html.unescape(page.text)
    stored = [path.read_bytes() for path in (stack.directory / "media").iterdir()]
    assert content in stored


def test_the_admins_static_files_come_from_nginx(administrator: Browser, stack: Stack) -> None:
    page = administrator.get("/admin/").text
    links = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert links
    for link in links:
        answer = stack.browser().get(link)
        assert answer.status == 200
        assert answer.fields["Cache-Control"] == "public, max-age=60"  # nginx's, not Django's
    assert stack.browser().get("/static/admin/missing.css").status == 404


def test_a_session_is_kept_from_request_to_request(stack: Stack) -> None:
    browser = stack.browser()
    assert [browser.get("/visits").json["visits"] for _ in range(3)] == [1, 2, 3]
    assert stack.browser().get("/visits").json["visits"] == 1


@pytest.mark.parametrize(
    ("tls", "origin", "status"),
    [
        (False, "http://shop.example:8080", 200),
        (False, "http://evil.example", 403),
        (True, "https://shop.example", 200),
        (True, "http://shop.example", 403),
    ],
)
def test_a_form_is_taken_from_the_sites_own_origin_only(
    stack: Stack, tls: bool, origin: str, status: int
) -> None:
    """Django compares Origin with its own idea of scheme, host and port."""
    browser = stack.behind_tls() if tls else stack.browser(Host="shop.example:8080")
    browser.get("/guarded")
    sent = {"Origin": origin, "X-CSRFToken": browser.cookies["csrftoken"]}
    answer = browser.post_form("/guarded", {"text": "taken"}, **sent)
    assert answer.status == status


def test_a_form_without_a_token_is_refused(stack: Stack) -> None:
    assert stack.browser().post_form("/guarded", {"text": "forged"}).status == 403


def test_a_host_that_is_not_allowed_is_refused(stack: Stack) -> None:
    assert stack.browser(Host="evil.test").get("/where").status == 400
