"""The populations that tests/bench/run replays: what is in them, and that they are HTTP."""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import h11
import pytest

from tests.bench import api_clients, arguments, browsers, population
from tests.bench.measure import Bench
from tests.bench.population import Request
from tests.rfc9112 import feeding

COUNT = 6000
TOLERANCE = 0.02  # of COUNT requests a share may differ so much from the one declared

Requests = Callable[[int, int], Iterator[Request]]
KINDS = pytest.mark.parametrize("requests", [browsers.requests, api_clients.requests])


@functools.cache
def some(requests: Requests) -> Sequence[Request]:
    return list(requests(population.SEED, COUNT))


def share(found: Sequence[Request], is_meant: Callable[[Request], bool]) -> float:
    return sum(map(is_meant, found)) / len(found)


def names(request: Request) -> set[str]:
    return {name for name, _ in request.fields}


def field(request: Request, name: str) -> str:
    return dict(request.fields).get(name, "")


@KINDS
def test_the_same_seed_gives_the_same_requests_and_another_seed_others(requests: Requests) -> None:
    first = [each.sent() for each in some(requests)[:500]]
    assert [each.sent() for each in requests(population.SEED, 500)] == first
    assert not set(first) & {each.sent() for each in requests(population.SEED + 1, 500)}


@KINDS
def test_no_two_requests_are_alike_whether_nginx_has_given_them_ids_or_not(
    requests: Requests,
) -> None:
    assert len({each.sent() for each in some(requests)}) == COUNT
    assert len({each.forwarded("0" * 32) for each in some(requests)}) == COUNT


@KINDS
def test_the_server_reads_every_request_as_it_was_meant(requests: Requests) -> None:
    for request in some(requests)[:1500]:
        found = feeding.read([request.forwarded("0" * 32)])
        assert found.status is None, request
        assert found.body == request.body
        assert found.environ["HTTP_X_FORWARDED_FOR"] == request.address
        for name, value in request.fields:
            key = name.upper().replace("-", "_")
            assert found.environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] == value


@KINDS
def test_h11_reads_every_request_as_it_was_meant(requests: Requests) -> None:
    for request in some(requests)[:1500]:
        for message in (request.sent(), request.forwarded("0" * 32)):
            connection = h11.Connection(h11.SERVER)
            connection.receive_data(message)
            head = connection.next_event()
            assert isinstance(head, h11.Request)
            assert (head.method, head.target) == (
                request.method.encode(),
                request.target.encode(),
            )
            body = b""
            while isinstance(event := connection.next_event(), h11.Data):
                body += event.data
            assert isinstance(event, h11.EndOfMessage)
            assert (body, connection.trailing_data[0]) == (request.body, b"")


def test_the_shares_of_the_site_are_those_declared() -> None:
    found = some(browsers.requests)
    robots = share(found, lambda each: "Accept-Language" not in names(each))
    assert 0.03 < robots < 0.15
    declared = {
        browsers.QUERY_SHARE: lambda each: "?" in each.target,
        browsers.FORM_SHARE * (1 - robots): lambda each: each.method == "POST",
        browsers.CONDITIONAL_SHARE: lambda each: (
            "If-Modified-Since" in names(each) or "If-None-Match" in names(each)
        ),
    }
    for expected, is_meant in declared.items():
        assert share(found, is_meant) == pytest.approx(expected, abs=TOLERANCE)


def test_the_shares_of_the_api_are_those_declared() -> None:
    found = some(api_clients.requests)
    gets = [each for each in found if each.method == "GET"]
    posts = [each for each in found if each.method == "POST"]
    assert len(posts) / COUNT == pytest.approx(api_clients.POST_SHARE, abs=TOLERANCE)
    assert share(gets, lambda each: "?" in each.target) == pytest.approx(
        api_clients.QUERY_SHARE, abs=TOLERANCE
    )
    assert share(gets, lambda each: "If-None-Match" in names(each)) == pytest.approx(
        api_clients.CONDITIONAL_SHARE, abs=TOLERANCE
    )
    assert all(field(each, "Authorization").startswith("Bearer ") for each in found)
    assert all(40 <= len(each.body) <= 500 for each in posts)
    assert all(field(each, "Content-Type") == "application/json" for each in posts)


@KINDS
def test_clients_and_targets_are_many_and_a_few_of_them_are_frequent(requests: Requests) -> None:
    """Zipf's law: a tenth of the clients makes more than a quarter of the requests."""
    clients = Counter((each.address, field(each, "User-Agent")) for each in some(requests))
    assert len(clients) > 1000
    frequent = sum(count for _, count in clients.most_common(len(clients) // 10))
    assert 0.25 < frequent / COUNT < 0.75


def test_the_fields_of_the_site_are_of_several_browsers_with_cookies_of_several_lengths() -> None:
    found = some(browsers.requests)
    orders = {each.fields and tuple(name for name, _ in each.fields) for each in found}
    assert len(orders) > 50
    for product in ("Firefox/", "Edg/", "Chrome/", "Mobile/15E", "Googlebot/"):
        assert any(product in field(each, "User-Agent") for each in found), product
    lengths = sorted(len(field(each, "Cookie")) for each in found)
    assert lengths[0] == 0
    assert lengths[COUNT // 2] > 30
    assert lengths[-1] > 1000


def test_names_of_fields_come_in_lower_case_from_those_who_speak_http_2() -> None:
    request = Request(
        "POST", "/a", "h.example", (("Accept", "*/*"),), "192.0.2.1", b"x=1", lower_case=True
    )
    assert request.sent() == (
        b"POST /a HTTP/1.1\r\nhost: h.example\r\naccept: */*\r\ncontent-length: 3\r\n\r\nx=1"
    )
    assert request.forwarded("77") == (
        b"POST /a HTTP/1.1\r\nHost: h.example\r\nX-Request-ID: 77\r\n"
        b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
        b"X-Forwarded-Host: h.example\r\nX-Forwarded-Port: 80\r\nContent-Length: 3\r\n"
        b"accept: */*\r\n\r\nx=1"
    )


def test_each_request_that_nginx_forwards_has_an_id_of_its_own() -> None:
    messages = population.forwarded(some(browsers.requests)[:200], random.Random(1))
    ids = {message.partition(b"X-Request-ID: ")[2][:34] for message in messages}
    assert len(ids) == 200
    assert all(each.endswith(b"\r\n") for each in ids)


def test_a_population_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "population"
    population.write(path, [b"GET / HTTP/1.1\r\n\r\n", b"x" * 300])
    assert path.read_bytes()[:5] == b"\0\0\0\x12G"
    assert population.read(path.read_bytes()) == [b"GET / HTTP/1.1\r\n\r\n", b"x" * 300]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "has no record"),
        (b"\0\0", "ends at byte 2, within a length"),
        (b"\0\0\0\x01x\0\0\0\x02y", "ends at byte 10, within record 1"),
    ],
)
def test_what_is_no_population_is_refused_with_the_place(
    content: bytes, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(population.PopulationError, match=complaint):
        population.read(content)
    path = tmp_path / "population"
    path.write_bytes(content)
    with pytest.raises(SystemExit):
        arguments.parse(["--population", str(path)])
    assert complaint in capsys.readouterr().err


def test_a_population_from_elsewhere_is_what_traffic_replays(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere"
    population.write(path, [b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"])
    options = arguments.parse(["--population", str(path)])
    bench = Bench(tmp_path, 1.0, 0.1, options.population)
    assert bench.population("traffic") == path
    assert bench.population("hello") != path
    assert options.output is None
