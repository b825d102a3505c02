"""``follow.sh``: nginx learns by itself how many workers there are."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.fetch import fetch
from tests.harness.nginx import ENTRYPOINT, Nginx
from tests.harness.processes import ROOT, Process
from tests.harness.waiting import LIMIT, wait_until

pytestmark = pytest.mark.integration

FOLLOW = ROOT / "nginx" / "follow.sh"


@contextmanager
def following(nginx: Nginx, *command: str) -> Iterator[Process]:
    """Run it beside an nginx."""
    with Process([FOLLOW, *(command or (ENTRYPOINT, "reload"))], env=nginx.environ) as process:
        yield process


def known(nginx: Nginx) -> str:
    """How many workers nginx has been told of."""
    inside = Path(nginx.environ["NGINX_RUN_DIR"], "status.sock")
    return fetch(inside, "/-/workers", limit=LIMIT).body.decode()


def say(nginx: Nginx, workers: int) -> None:
    """Say how many there are, as the supervisor of the workers does."""
    new = nginx.run_dir / "new"
    new.write_text(f"{workers}\n")
    new.rename(nginx.run_dir / "workers")


def test_nginx_learns_of_workers_that_say_their_number_after_its_start(binary: str) -> None:
    with Nginx(binary) as nginx, following(nginx) as process:
        assert known(nginx) == "2"
        for workers in (4, 1):
            say(nginx, workers)
            wait_until(lambda: known(nginx) == str(workers), f"{workers} workers", limit=LIMIT)  # noqa: B023
        lines = process.wait_until(lambda: process.out.splitlines()[1:], "two lines of the log")
        told = json.loads(lines[0])
        assert (told["event"], told["worker"], told["workers"]) == ("workers_changed", "nginx", 1)
        assert told["message"] == "nginx knows 1 workers now; it knew 4"
        assert process.err == ""


def test_what_nginx_has_been_told_already_is_not_told_again(binary: str) -> None:
    with Nginx(binary) as nginx:
        say(nginx, 3)
        subprocess.run([ENTRYPOINT, "reload"], env=nginx.environ, check=True, capture_output=True)
        told = nginx.directory / "told"
        with following(nginx, "cp", str(nginx.run_dir / "workers"), str(told), "--backup=numbered"):
            say(nginx, 5)
            wait_until(told.exists, "a word about five", limit=LIMIT)
        assert (told.read_text(), list(nginx.directory.glob("told.*"))) == ("5\n", [])


def test_two_at_a_time_do_not_get_into_each_others_way(binary: str) -> None:
    with Nginx(binary) as nginx:
        say(nginx, 3)
        command = [ENTRYPOINT, "reload"]
        with (
            Process(command, env=nginx.environ) as first,
            Process(command, env=nginx.environ) as second,
        ):
            assert (first.wait(LIMIT), second.wait(LIMIT)) == (0, 0)
            assert sorted([first.out, second.out]) == ["nothing new\n", "reloaded\n"]
        assert known(nginx) == "3"


def test_it_has_nothing_to_follow_where_sockets_have_names_of_their_own(binary: str) -> None:
    nginx = Nginx(binary, NGINX_UPSTREAM_SOCKETS="other.sock")
    with following(nginx) as process:
        assert process.wait(LIMIT) == 0
