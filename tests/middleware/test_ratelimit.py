"""The link `ratelimit`: what it answers, counts and logs."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from bascule_middleware.chain import ChainError, build, load
from bascule_middleware.links.ratelimit.ratelimit import RateLimit
from bascule_middleware.links.ratelimit.throttle import Throttle

from tests.middleware import hostile
from tests.middleware.gateway import Gateway, respond

DAY = 86_400

Ask = Callable[..., Gateway]


@pytest.fixture
def limited(tmp_path: Path) -> Callable[..., Ask]:
    """Return a maker of links with limits; each is a function that makes a request."""

    def make(*limits: str, **settings: Any) -> Ask:
        settings = {"table": str(tmp_path / "table"), "entries": 64} | settings
        link = validator(RateLimit(validator(hostile.greets), limits=list(limits), **settings))

        def ask(path: str = "/", address: str = "192.0.2.1", **variables: str) -> Gateway:
            return respond(link, PATH_INFO=path, REMOTE_ADDR=address, **variables)

        return ask

    return make


def statuses(ask: Ask, times: int, *arguments: str, **variables: str) -> list[int]:
    return [int(ask(*arguments, **variables).status[:3]) for _ in range(times)]


def test_a_client_is_admitted_as_often_as_the_limit_says(limited: Callable[..., Ask]) -> None:
    ask = limited("3/day")
    assert statuses(ask, 5) == [200, 200, 200, 429, 429]
    assert statuses(ask, 1, "/", "192.0.2.2") == [200]


def test_a_response_says_what_is_left(limited: Callable[..., Ask]) -> None:
    ask = limited("5/day")
    response = ask()
    assert response.body == b"hello"
    assert response.field("RateLimit-Policy") == f'"5/day per address";q=5;w={DAY}'
    assert response.field("RateLimit") == f'"5/day per address";r=4;t={DAY}'
    assert ask().field("RateLimit") == f'"5/day per address";r=3;t={DAY * 4 // 5}'


def test_a_refusal_says_how_long_to_wait(limited: Callable[..., Ask]) -> None:
    ask = limited("5/day")
    statuses(ask, 5)
    response = ask()
    assert response.status == "429 Too Many Requests"
    assert response.field("RateLimit-Policy") == f'"5/day per address";q=5;w={DAY}'
    assert response.field("RateLimit") == f'"5/day per address";r=0;t={DAY // 5}'
    assert response.field("Retry-After") == str(DAY // 5)
    assert response.body == b"Too Many Requests\n"


def test_a_refusal_is_written_in_the_form_that_the_client_prefers(
    limited: Callable[..., Ask],
) -> None:
    ask = limited("1/day")
    ask()
    response = ask(HTTP_ACCEPT="application/json")
    assert json.loads(response.body)["error"] == "Too Many Requests"
    assert ask(REQUEST_METHOD="HEAD").body == b""


def test_of_several_limits_the_one_that_refuses_answers_and_the_others_do_not_count(
    limited: Callable[..., Ask],
) -> None:
    ask = limited("10/day", "2/day on /login", "3/day burst 1 per path on /login")
    assert statuses(ask, 3, "/login") == [200, 429, 429]
    refused = ask("/login")
    assert refused.field("RateLimit") == f'"3/day burst 1 per path on /login";r=0;t={DAY // 3}'
    assert refused.field("Retry-After") == str(DAY // 3)
    assert statuses(ask, 1, "/login/other") == [200]
    refused = ask("/login/third")
    assert refused.field("RateLimit") == f'"2/day per address on /login";r=0;t={DAY // 2}'
    assert '"10/day per address";r=7;' in ask("/").field("RateLimit")


def test_the_longest_wait_is_told_where_several_limits_refuse(limited: Callable[..., Ask]) -> None:
    ask = limited("2/day burst 1", "1/day")
    ask()
    refused = ask()
    assert refused.field("Retry-After") == str(DAY)
    assert refused.field("RateLimit") == (
        f'"2/day burst 1 per address";r=0;t={DAY // 2}, "1/day per address";r=0;t={DAY}'
    )


def test_a_request_without_a_limit_passes_untouched(limited: Callable[..., Ask]) -> None:
    ask = limited("1/day on /login")
    assert ask("/").fields == ask("/").fields == hostile.TEXT


def test_a_limit_counts_by_a_field_wherever_its_requests_come_from(
    limited: Callable[..., Ask],
) -> None:
    ask = limited("1/day per field X-API-Key")
    assert statuses(ask, 1, "/", "192.0.2.1", HTTP_X_API_KEY="one") == [200]
    assert statuses(ask, 1, "/", "192.0.2.2", HTTP_X_API_KEY="one") == [429]
    assert statuses(ask, 1, "/", "192.0.2.2", HTTP_X_API_KEY="two") == [200]
    assert statuses(ask, 2, "/", "192.0.2.3", HTTP_X_API_KEY="x" * 5000) == [200, 429]


def test_a_limit_in_total_counts_everybody_together(limited: Callable[..., Ask]) -> None:
    ask = limited("2/day in total")
    assert [ask("/", f"192.0.2.{n}").status[:3] for n in range(3)] == ["200", "200", "429"]


def test_workers_with_other_limits_do_not_count_on_each_others(limited: Callable[..., Ask]) -> None:
    one, other = limited("1/day"), limited("1/day on /")
    assert statuses(one, 2) == [200, 429]
    assert statuses(other, 1) == [200]
    assert statuses(limited("1/day"), 1) == [429]  # but a new worker with the same does


def test_the_fields_of_an_application_that_limits_by_itself_are_kept(tmp_path: Path) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [*hostile.TEXT, ("RateLimit", '"own";r=1')])
        return [b""]

    link = RateLimit(application, limits=["5/day"], table=str(tmp_path / "table"), entries=8)
    fields = [value for name, value in respond(link).fields if name == "RateLimit"]
    assert fields == ['"own";r=1', f'"5/day per address";r=4;t={DAY}']


def test_a_refusal_is_logged_with_the_limit_and_not_with_the_value_of_a_field(
    limited: Callable[..., Ask], caplog: pytest.LogCaptureFixture
) -> None:
    ask = limited("1/day per field X-API-Key on /a")
    assert statuses(ask, 3, "/a/é".encode().decode("latin-1"), HTTP_X_API_KEY="secret") == [
        200,
        429,
        429,
    ]
    record = caplog.records[0]
    assert record.levelno == logging.WARNING
    about = vars(record)
    assert about["event"] == "rate_limited"
    assert about["limit"] == "1/day per field X-API-Key on /a"
    assert (about["address"], about["path"]) == ("192.0.2.1", "/a/é")
    assert "secret" not in record.getMessage()


def test_no_client_breaks_a_log_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    link = RateLimit(hostile.greets, limits=["1/day"], table=str(tmp_path / "table"), entries=8)
    for _ in range(2):
        respond(link, REQUEST_METHOD="GET\n", PATH_INFO="/\n", REMOTE_ADDR="192.0.2.1\n")
    assert "\n" not in caplog.records[0].getMessage()


def test_a_flood_of_refusals_is_a_line_now_and_then_that_tells_their_number() -> None:
    now = [0.0]
    throttle = Throttle(1, lambda: now[0])
    assert [throttle.kept_back() for _ in range(4)] == [0, None, None, None]
    now[0] = 0.9
    assert throttle.kept_back() is None
    now[0] = 1.0
    assert [throttle.kept_back() for _ in range(2)] == [4, None]
    now[0] = 60.0
    assert throttle.kept_back() == 1


def test_the_table_is_the_stacks_where_it_has_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN_DIR", str(tmp_path))
    RateLimit(hostile.greets, limits=["1/day"])
    assert (tmp_path / "ratelimit.table").stat().st_size == 4096 + 65536 * 32


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (
            'limits = ["100/minute", "5/minit"]',
            '5: link "ratelimit": setting "limits": "5/minit" is',
        ),
        ('limits = ["1/day", "1/day per address"]', '"1/day per address" stands there twice'),
        ("limits = []", "there is none; write one"),
        ('limits = ["1/day"]\nentries = 4', "4 is not between 8 and"),
        ('limits = ["1/day"]\nipv6_prefix = 0', "0 is not between 1 and 128"),
        (
            'limits = ["1/day"]\ntable = "/nowhere/table"',
            '6: link "ratelimit": setting "table": "/n',
        ),
        ('limits = ["1/day"]\ntable = "/dev/full"', "it is no regular file; name a file that"),
        ("", 'setting "limits": missing'),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line(
    settings: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN_DIR", str(tmp_path))
    path = tmp_path / "chain.toml"
    path.write_text(
        f'application = "app.hello:application"\n\n[[links]]\nuse = "ratelimit"\n{settings}\n'
    )
    with pytest.raises(ChainError) as caught:
        build(load(path))
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
