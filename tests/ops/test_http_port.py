"""Which port local mode takes."""

from __future__ import annotations

import errno

import pytest
from bascule_ops import http_port

from tests.harness.ports import listen


def test_a_free_port_that_was_asked_for_is_taken() -> None:
    with listen() as sock:
        port = sock.getsockname()[1]
    assert http_port.choose(str(port)) == port


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
        assert http_port.choose("") == wanted


def test_the_port_for_tls_is_refused_by_its_own_name() -> None:
    with pytest.raises(ValueError, match='HTTPS_PORT is "https": set it to a port'):
        http_port.choose_for_tls("https")


def test_a_port_for_which_one_must_be_root_is_explained() -> None:
    words = http_port.explain(80, OSError(errno.EACCES, "Permission denied"))
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
