"""Which port local mode takes."""

from __future__ import annotations

import errno
import re

import pytest
from bascule_ops import address, http_port
from bascule_ops.address import EVERY, Address

from tests.harness.ports import listen


def test_a_free_port_that_was_asked_for_is_taken() -> None:
    with listen() as sock:
        port = sock.getsockname()[1]
    assert http_port.choose(str(port)) == Address(EVERY, port)


@pytest.mark.parametrize(
    ("text", "listens", "url"),
    [
        ("80", "*:80", "http://localhost/x"),
        ("8711", "*:8711", "http://localhost:8711/x"),
        ("0.0.0.0:80", "0.0.0.0:80", "http://localhost/x"),
        ("127.0.0.1:8711", "127.0.0.1:8711", "http://127.0.0.1:8711/x"),
        ("172.17.0.1:80", "172.17.0.1:80", "http://172.17.0.1/x"),
        ("[::1]:8711", "[::1]:8711", "http://[::1]:8711/x"),
        ("[::]:80", "[::]:80", "http://localhost/x"),
    ],
)
def test_an_address_limits_a_port_as_it_does_for_compose(text: str, listens: str, url: str) -> None:
    found = address.read("HTTP_PORT", text)
    assert (str(found), found.url("/x")) == (listens, url)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http", "set it to a port, 1 to 65535, or to ADDRESS:PORT"),
        ("65536", "set it to a port, 1 to 65535"),
        ("-1", "set it to a port"),
        ("127.0.0.1", "set it to a port"),
        ("::1:80", "set it to a port"),
        ("[::1]", "set it to a port"),
        ("8000-8010", "it is a range, and one port is published"),
        ("127.0.0.1:8000-8010", "it is a range, and one port is published"),
        ("localhost:80", "localhost is no IP address"),
        ("1.2.3.256:80", "1.2.3.256 is no IP address"),
    ],
)
def test_what_is_no_address_and_port_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=f'^HTTP_PORT is "{re.escape(text)}": {re.escape(words)}'):
        address.read("HTTP_PORT", text)


def test_where_compose_says_that_a_port_is_published() -> None:
    assert address.published("0.0.0.0:80") == Address("0.0.0.0", 80)
    assert address.published("[::1]:8711") == address.published("::1:8711") == Address("::1", 8711)


def test_any_free_port_is_one_of_that_address() -> None:
    found = http_port.choose("127.0.0.1:0")
    assert found.host == "127.0.0.1"
    assert http_port.refusal(found) is None


def test_a_port_in_use_at_one_address_is_free_at_another() -> None:
    with listen() as sock:
        port = sock.getsockname()[1]
        assert http_port.choose(f"127.0.0.2:{port}") == Address("127.0.0.2", port)
        with pytest.raises(ValueError, match=f"HTTP_PORT is 127.0.0.1:{port}: .* in use"):
            http_port.choose(f"127.0.0.1:{port}")


def test_an_address_of_another_machine_is_explained() -> None:
    with pytest.raises(ValueError, match=r"this machine has no address 203\.0\.113\.1"):
        http_port.choose("203.0.113.1:8711")


def test_a_port_in_use_is_refused_with_a_remedy() -> None:
    with listen() as sock:
        port = sock.getsockname()[1]
        with pytest.raises(ValueError, match=rf"HTTP_PORT is {port}: .* in use: stop who uses it"):
            http_port.choose(str(port))


def test_without_a_wish_the_first_possible_candidate_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with listen() as used:
        with listen() as free:
            taken, wanted = used.getsockname()[1], free.getsockname()[1]
        monkeypatch.setattr(http_port, "CANDIDATES", (taken, wanted))
        assert http_port.choose("") == Address(EVERY, wanted)


def test_the_port_for_tls_is_refused_by_its_own_name() -> None:
    with pytest.raises(ValueError, match='HTTPS_PORT is "https": set it to a port'):
        http_port.choose_for_tls("https")


def test_a_port_for_which_one_must_be_root_is_explained() -> None:
    words = http_port.explain(Address(EVERY, 80), OSError(errno.EACCES, "Permission denied"))
    assert words == "this user may not listen on port 80: choose one from 1024 up"


def test_the_status_port_is_not_the_sites_and_on_the_loopback_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with listen() as used:
        with listen() as first:
            taken, free = str(used.getsockname()[1]), str(first.getsockname()[1])
        monkeypatch.setattr(http_port, "STATUS_CANDIDATES", (int(taken), int(free)))
        assert http_port.choose_for_status("", site="80") == free
        assert http_port.choose_for_status(free, site="80") == free
        assert http_port.choose_for_status("off", site="80") == "off"
        with pytest.raises(ValueError, match=f"STATUS_PORT is {taken}: .* in use"):
            http_port.choose_for_status(taken, site="80")
        with pytest.raises(ValueError, match="the site itself has that port"):
            http_port.choose_for_status(free, site=free)


def test_where_nobody_asked_for_a_status_port_none_is_no_reason_not_to_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with listen() as used:
        taken = used.getsockname()[1]
        monkeypatch.setattr(http_port, "STATUS_CANDIDATES", (taken, 1))
        assert http_port.choose_for_status("", site="1") == "off"
