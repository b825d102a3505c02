"""What browsers are told about an answer, and that the application's word goes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.harness.nginx import Nginx, response, tell

pytestmark = pytest.mark.integration

OURS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}
Answer = Callable[..., None]


@pytest.fixture
def application_answers(nginx: Nginx) -> Iterator[Answer]:
    """Have both workers answer with a status and fields of the test's choice."""

    def answer(status: int, *fields: str) -> None:
        for upstream in nginx.upstreams:
            upstream.answer = lambda _: response(status, b"it", *fields)

    yield answer
    for upstream in nginx.upstreams:
        upstream.answer = tell


@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_the_applications_answers_are_given_what_they_lack(
    nginx: Nginx, application_answers: Answer, status: int
) -> None:
    application_answers(status)
    answer = nginx.request("/alice")
    assert answer.status == status
    for field, value in OURS.items():
        assert answer.fields.get_all(field) == [value]


@pytest.mark.parametrize("field", OURS)
def test_what_the_application_says_is_neither_changed_nor_doubled(
    nginx: Nginx, application_answers: Answer, field: str
) -> None:
    application_answers(200, f"{field}: as I say")
    answer = nginx.request("/alice")
    assert answer.fields.get_all(field) == ["as I say"]
    for other in OURS.keys() - {field}:
        assert answer.fields.get_all(other) == [OURS[other]]


def test_who_may_frame_a_page_is_the_applications_to_say(
    nginx: Nginx, application_answers: Answer
) -> None:
    application_answers(200)
    answer = nginx.request("/alice")
    for field in ("X-Frame-Options", "Content-Security-Policy", "Strict-Transport-Security"):
        assert answer.field(field) is None
    application_answers(200, "X-Frame-Options: SAMEORIGIN", "Content-Security-Policy: img-src *")
    answer = nginx.request("/alice")
    assert answer.fields.get_all("X-Frame-Options") == ["SAMEORIGIN"]
    assert answer.fields.get_all("Content-Security-Policy") == ["img-src *"]


@pytest.mark.parametrize("target", ["/static/.none", "/-/error.html", "/%"])
@pytest.mark.parametrize("accepted", ["text/html", "application/json"])
def test_nginxs_own_pages_load_nothing_and_stand_in_no_frame(
    nginx: Nginx, target: str, accepted: str
) -> None:
    answer = nginx.request(target, fields={"Accept": accepted})
    assert answer.status in {400, 404}
    policy = answer.fields.get_all("Content-Security-Policy") or []
    assert len(policy) == 1
    assert policy[0].startswith("default-src 'none'; ")
    assert policy[0].endswith("; frame-ancestors 'none'")
    assert answer.fields.get_all("X-Frame-Options") == ["DENY"]
    assert answer.fields.get_all("Cache-Control") == ["no-store"]
    for field, value in OURS.items():
        assert answer.fields.get_all(field) == [value]


def test_static_files_have_the_fields(nginx: Nginx) -> None:
    answer = nginx.request("/static/bascule.svg")
    assert answer.status == 200
    for field, value in OURS.items():
        assert answer.fields.get_all(field) == [value]


@pytest.mark.parametrize("target", ["/alice", "/static/bascule.svg", "/static/none", "/%"])
def test_nobody_learns_which_version_serves(nginx: Nginx, target: str) -> None:
    answer = nginx.request(target)
    assert answer.fields.get_all("Server") == ["nginx"]
    assert b"nginx/" not in answer.body
