"""The grammar of rates and limits, and the arithmetic against a token bucket of fractions."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest
from bascule_middleware.links.ratelimit.limits import parse_limit
from bascule_middleware.links.ratelimit.rates import (
    MAX_COUNT,
    MILLISECOND,
    PERIODS,
    SECOND,
    Rate,
    credit,
    effective_window,
    parse_rate,
    spent,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "interval", "burst", "window"),
    [
        ("100/minute", SECOND * 6 // 10, 100, 60),
        ("10/second burst 20", SECOND // 10, 20, 2),
        ("1000/hour", SECOND * 36 // 10, 1000, 3600),
        ("1/day", SECOND * 86_400, 1, 86_400),
        ("10/second burst 1", SECOND // 10, 1, 1),
        ("7/second", 142_857_143, 7, 1),
    ],
)
def test_a_rate_is_an_interval_and_a_burst(
    text: str, interval: int, burst: int, window: int
) -> None:
    rate = parse_rate(text)
    assert (rate.interval, rate.burst, rate.window) == (interval, burst, window)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "100",
            "100/",
            "/minute",
            "100/fortnight",
            "100/minutes",
            "100 / minute",
            "1e3/second",
        ),
        *("-1/second", "0/second", "1000001/second", "100/minute burst", "100/minute burst 0"),
        *("1/second burst 1000001", "1/day burst 1000", "١/second", "1/second\n", "1.5/second"),
    ],
)
def test_what_is_no_rate_is_refused_with_the_text_in_the_message(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_rate(text)
    assert f'"{text}"' in str(caught.value)


rates = st.builds(
    lambda count, unit, burst: f"{count}/{unit} burst {burst}",
    st.integers(1, MAX_COUNT),
    st.sampled_from(["second", "minute", "hour"]),
    st.integers(1, 1000),
)


@given(rates)
def test_never_more_than_the_rate_is_admitted_in_the_long_run(text: str) -> None:
    count, unit = text.partition(" ")[0].split("/")
    assert parse_rate(text).interval * int(count) >= PERIODS[unit]


@given(
    st.integers(1, 10 * SECOND),
    st.integers(1, 50),
    st.lists(st.one_of(st.just(0), st.integers(0, 30 * SECOND)), max_size=200),
)
def test_it_admits_exactly_what_a_token_bucket_does(
    interval: int, burst: int, pauses: list[int]
) -> None:
    rate = Rate(interval, interval * burst)
    tokens, tat, now = Fraction(burst), 0, 5 * SECOND
    for pause in pauses:
        now += pause
        tokens = min(Fraction(burst), tokens + Fraction(pause, interval))
        left = credit(tat, now, rate.capacity)
        assert Fraction(left, interval) == tokens
        if left >= interval:
            tat = spent(tat, now, interval)
            tokens -= 1
        assert tokens >= 0


@given(rates)
def test_the_window_of_a_policy_is_not_lengthened_by_the_rounding_of_its_interval(
    text: str,
) -> None:
    count, unit = text.partition(" ")[0].split("/")
    rate = parse_rate(text)
    exactly = Fraction(PERIODS[unit], int(count) * SECOND) * rate.burst
    assert exactly - Fraction(1, 1000) <= rate.window <= ceil(exactly)


@given(st.integers(1, 10 * SECOND), st.integers(0, 50), st.integers(0, 10 * SECOND))
def test_what_is_left_never_promises_more_than_the_rate(
    interval: int, requests: int, beyond: int
) -> None:
    window = effective_window(requests * interval + beyond % interval, interval)
    assert requests * interval <= window * SECOND + MILLISECOND


@given(st.integers(1, 10 * SECOND), st.integers(0, 10 * SECOND))
def test_where_nothing_is_left_the_window_ends_when_a_request_is_admitted_again(
    interval: int, beyond: int
) -> None:
    left = beyond % interval
    window = effective_window(left, interval) * SECOND
    assert interval - left <= window + MILLISECOND
    assert window == SECOND or window - SECOND < interval - left


def counted(text: str, **variables: str) -> tuple[str, ...]:
    return parse_limit(text, 64).counted_by(
        {"REMOTE_ADDR": "192.0.2.1", "PATH_INFO": "/", **variables}
    )


def test_a_limit_counts_by_address_unless_it_says_otherwise() -> None:
    assert parse_limit("1/day", 64).definition == "1/day per address"
    assert counted("1/day") == ("192.0.2.1",)
    assert counted("1/day in total") == ()


def test_a_limit_may_count_by_several_things_at_once() -> None:
    text = "1/day per address and path and field X-API-Key"
    variables = {"SCRIPT_NAME": "/shop", "PATH_INFO": "/login", "HTTP_X_API_KEY": "secret"}
    assert counted(text, **variables) == ("192.0.2.1", "/shop/login", "=secret")


def test_an_ipv6_client_is_its_network_and_a_mapped_one_its_ipv4_address() -> None:
    first = counted("1/day", REMOTE_ADDR="2001:db8:0:1::1")
    assert first == counted("1/day", REMOTE_ADDR="2001:db8:0:1:ffff::2")
    assert first != counted("1/day", REMOTE_ADDR="2001:db8:0:2::1")
    assert counted("1/day", REMOTE_ADDR="::ffff:192.0.2.1") == ("192.0.2.1",)


def test_the_length_of_an_ipv6_clients_network_can_be_set() -> None:
    limit = parse_limit("1/day", 128)
    addresses = ("2001:db8::1", "2001:db8::2")
    first, second = (limit.counted_by({"REMOTE_ADDR": address}) for address in addresses)
    assert first != second


def test_a_request_without_the_field_is_counted_by_its_address_and_no_value_passes_for_that() -> (
    None
):
    text = "1/day per field X-API-Key"
    assert counted(text) == counted(text, HTTP_X_API_KEY="")
    assert counted(text) != counted(text, REMOTE_ADDR="192.0.2.2")
    assert counted(text) != counted(text, HTTP_X_API_KEY="192.0.2.1")
    assert counted(text) != counted(text, HTTP_X_API_KEY="@192.0.2.1")


def test_a_field_is_found_under_its_variable_of_pep_3333() -> None:
    assert counted("1/day per field Content-Type", CONTENT_TYPE="text/plain") == ("=text/plain",)


@pytest.mark.parametrize(
    ("prefix", "path", "applies"),
    [
        ("/login", "/login", True),
        ("/login", "/login/", True),
        ("/login/", "/login", True),
        ("/login", "/login/reset", True),
        ("/login", "/loginx", False),
        ("/login", "/", False),
        ("/", "/anything", True),
        ("/a/b", "/a/b/c", True),
        ("/a b", "/a b", True),
    ],
)
def test_a_limit_on_a_path_is_on_whole_segments(prefix: str, path: str, applies: bool) -> None:
    assert parse_limit(f"1/day on {prefix}", 64).applies(path) is applies


@pytest.mark.parametrize(
    "text",
    [
        *("1/day per", "1/day by address", "1/day per user", "1/day per field", "1/day in all"),
        *("1/day per address and", "1/day per address and address", "1/day per field X Y"),
        *(
            "1/day on login",
            "1/day on /a//b",
            "1/day on /a/../b",
            "1/day on /a%20b",
            "1/day on /a?b",
        ),
        *("1/day per field A and field a", "1/day per address in total", "1/day  per address"),
        *('1/day on /"', "1/day on /é", "1/day on /a\\b", "1/day on /\n"),
    ],
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_limit(text, 64)
