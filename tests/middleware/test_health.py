"""The active checks of `forward`, round by round."""

from __future__ import annotations

import logging
import random

import pytest
from bascule_middleware.links.forward.balance import Balancer, Member, round_robin
from bascule_middleware.links.forward.health import HealthChecks
from bascule_middleware.links.forward.upstreams import Upstream, parse_address

from tests.middleware.upstream import HELLO, Answer, hang_up
from tests.middleware.upstream import Upstream as Scripted

SICK = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.event for record in caplog.records if record.name == "bascule.forward"]  # type: ignore[attr-defined]


def checks_of(upstream: Scripted) -> tuple[HealthChecks, Balancer]:
    member = Member(upstream.name)
    balancer = Balancer(
        [member],
        round_robin,
        max_failures=1,
        ejection=1,
        checks=2,
        clock=lambda: 0.0,
        dice=random.Random(),
    )
    checks = HealthChecks(
        {member: Upstream(parse_address(upstream.name), 5, 5)},
        balancer,
        path="/health?deep",
        host="shop.example",
        interval=1,
        timeout=0.2,
    )
    return checks, balancer


def test_an_upstream_goes_and_comes_back_as_its_answers_say(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "bascule.forward")
    with Scripted(HELLO, SICK, HELLO, SICK, hang_up, HELLO, MOVED) as upstream:
        checks, balancer = checks_of(upstream)
        available = []
        for _ in range(7):
            checks.check()
            available.append(balancer.acquire("") is not None)
    assert available == [True, True, True, True, False, False, True]
    assert events(caplog) == ["upstream_unhealthy", "upstream_healthy"]


def test_a_check_is_a_get_that_names_itself() -> None:
    with Scripted() as upstream:
        checks_of(upstream)[0].check()
    assert upstream.requests[0] == (
        b"GET /health?deep HTTP/1.1\r\nUser-Agent: bascule-health-check\r\n"
        b"Host: shop.example\r\n\r\n"
    )


@pytest.mark.parametrize("answer", [SICK, hang_up, b"nonsense\r\n\r\n"])
def test_what_is_no_good_answer_is_a_failed_check(answer: Answer) -> None:
    with Scripted(answer) as upstream:
        checks, balancer = checks_of(upstream)
        checks.check()
        checks.check()
        assert balancer.acquire("") is None


def test_an_upstream_that_is_gone_fails_its_checks() -> None:
    with Scripted() as upstream:
        checks, balancer = checks_of(upstream)
    checks.check()
    checks.check()
    assert balancer.acquire("") is None
