"""The link `ratelimit` with a Valkey that is away, silent, full, and back again.

Whether the script counts exactly is shown with the real one: tests/stack/test_valkey.py.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from bascule_middleware.links.ratelimit.ratelimit import RateLimit
from bascule_middleware.settings import SettingError

from tests.harness.ports import free_port
from tests.harness.waiting import wait_until
from tests.middleware import hostile
from tests.middleware.fake_valkey import ADMITS, IS_FULL, REFUSES, FakeValkey
from tests.middleware.gateway import Gateway, respond

LIMIT = 30.0  # seconds for a fact to come true

Ask = Callable[[], Gateway]


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bascule.ratelimit")


def limited(tmp_path: Path, port: int, **settings: Any) -> Ask:
    """Return a function that makes a request; three a day are admitted."""
    settings = {"table": str(tmp_path / "table"), "entries": 8, "timeout": 0.2} | settings
    url = f"valkey://127.0.0.1:{port}"
    link = RateLimit(validator(hostile.greets), limits=["3/day"], valkey=url, **settings)
    return lambda: respond(validator(link), REMOTE_ADDR="192.0.2.1")


def statuses(ask: Ask, times: int) -> list[int]:
    return [int(ask().status[:3]) for _ in range(times)]


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    names = [vars(record).get("event", "") for record in caplog.records]
    return [name for name in names if name != "rate_limited"]


@pytest.fixture
def port() -> int:
    return free_port()


def test_valkey_decides_where_it_answers(tmp_path: Path) -> None:
    with FakeValkey(ADMITS) as valkey:
        assert statuses(limited(tmp_path, valkey.port), 5) == [200] * 5
        assert valkey.runs == 5
    with FakeValkey(REFUSES) as valkey:
        refused = limited(tmp_path, valkey.port)()
        assert (refused.status, refused.field("Retry-After")) == ("429 Too Many Requests", "28800")


def test_without_valkey_the_workers_of_the_machine_count_by_themselves(
    tmp_path: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = limited(tmp_path, port), limited(tmp_path, port)
    assert statuses(first, 2) + statuses(second, 3) == [200, 200, 200, 429, 429]
    assert events(caplog) == ["rate_store_away"] * 2  # once for each


def test_without_valkey_all_are_admitted_where_it_is_set_so(tmp_path: Path, port: int) -> None:
    ask = limited(tmp_path, port, fallback="open")
    assert statuses(ask, 5) == [200] * 5
    assert ask().fields == hostile.TEXT


def test_without_valkey_all_are_refused_where_it_is_set_so(tmp_path: Path, port: int) -> None:
    ask = limited(tmp_path, port, fallback="closed")
    assert statuses(ask, 3) == [503, 503, 503]
    assert ask().field("Retry-After") == "1"
    assert not (tmp_path / "table").exists()


def test_one_request_waits_for_a_silent_valkey_and_the_others_do_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeValkey(None) as valkey:
        ask = limited(tmp_path, valkey.port)
        assert statuses(ask, 50) == [200] * 3 + [429] * 47
        # The link's own tries, one a second, may have begun.
        assert valkey.runs <= 3
        assert events(caplog) == ["rate_store_away"]


def test_a_valkey_that_cannot_count_is_one_that_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeValkey(IS_FULL) as valkey:
        ask = limited(tmp_path, valkey.port)
        assert statuses(ask, 5) == [200, 200, 200, 429, 429]
        wait_until(lambda: valkey.runs >= 3, "three tries", limit=LIMIT)
        assert events(caplog) == ["rate_store_away"]
        assert "maxmemory" in caplog.text


def test_valkey_decides_again_when_it_is_back(
    tmp_path: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    ask = limited(tmp_path, port, fallback="closed")
    assert statuses(ask, 3) == [503] * 3
    with FakeValkey(ADMITS, port) as valkey:
        wait_until(lambda: "rate_store_back" in events(caplog), "its return", limit=LIMIT)
        assert statuses(ask, 3) == [200] * 3
        valkey.answer = IS_FULL
        assert statuses(ask, 3) == [503] * 3
        valkey.answer = ADMITS
        wait_until(
            lambda: events(caplog).count("rate_store_back") == 2, "its second return", limit=LIMIT
        )
        assert statuses(ask, 3) == [200] * 3
    assert events(caplog) == ["rate_store_away", "rate_store_back"] * 2


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_finds_out_for_itself(tmp_path: Path, port: int) -> None:
    ask = limited(tmp_path, port, fallback="closed")
    assert statuses(ask, 1) == [503]
    with FakeValkey(ADMITS, port):
        child = os.fork()
        if not child:
            os._exit(statuses(ask, 1) == [200])
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


@pytest.mark.parametrize("url", ["", "localhost", "http://localhost", "valkey://localhost:port"])
def test_what_is_no_url_of_a_valkey_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is no URL of a Valkey; write it as in"):
        RateLimit(hostile.greets, limits=["1/day"], table=str(tmp_path / "table"), valkey=url)


@pytest.mark.parametrize("timeout", [0, -1, 60.0])
def test_a_timeout_that_would_hold_requests_up_is_refused(timeout: float, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is not between 0 and"):
        limited(tmp_path, 1, timeout=timeout)


def test_a_missing_package_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkey", None)
    monkeypatch.delitem(
        sys.modules, "bascule_middleware.links.ratelimit.rate_valkey", raising=False
    )
    with pytest.raises(SettingError, match='needs the package "valkey"; install it: pip install'):
        limited(tmp_path, 1)
