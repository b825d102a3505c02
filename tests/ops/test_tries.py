"""How long workers may take to start."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from bascule import command
from bascule_ops.supervision import starts

from tests.harness.waiting import wait_until


def test_the_supervisor_knows_the_server_s_exit_statuses() -> None:
    assert starts.WRONG_SETTING == command.EXIT_USAGE
    assert starts.CANNOT_LOAD == command.EXIT_CANNOT_LOAD
    assert starts.CANNOT_LOAD_YET == command.EXIT_CANNOT_LOAD_YET


@pytest.mark.parametrize(("took", "limit"), [(0.0, 135.0), (80.0, 135.0), (200.0, 315.0)])
def test_who_took_longer_than_the_setting_gets_more(took: float, limit: float) -> None:
    assert starts.limit(120.0, took) == limit


def test_how_long_a_worker_took_to_load_is_seen_on_its_socket(tmp_path: Path) -> None:
    assert starts.took(tmp_path) == 0.0
    beside = tmp_path / ".worker-0.sock.7"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(beside))

        def has_aged() -> bool:
            (tmp_path / "now").touch()
            return (tmp_path / "now").stat().st_mtime > beside.stat().st_mtime + 0.1

        wait_until(has_aged, "some time to go by")
        beside.rename(tmp_path / "worker-0.sock")
    assert starts.took(tmp_path) >= 0.1
