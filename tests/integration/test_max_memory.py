"""--max-memory: a process that has grown beyond it ends, and loses nothing."""

from __future__ import annotations

from pathlib import Path

from tests.harness.client import Client
from tests.harness.log import lines
from tests.harness.servers import application_name, bascule_command, finished, running
from tests.harness.waiting import wait_until

from .requests import get

MEBIBYTE = 1 << 20
LIMIT = 200 * MEBIBYTE
COMMAND = bascule_command("--max-memory", str(LIMIT), "--access-logformat", "json")


def resident(pid: int) -> int:
    """Return a process's resident memory as ps shows it (bytes)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def test_a_process_above_the_limit_finishes_what_it_has_and_ends_well() -> None:
    with running(COMMAND, "grows") as server:
        with server.client() as client:
            client.send(get(f"/kept?bytes={LIMIT}"))
            wait_until(lambda: lines(server.err, "draining"), "the process is recycled")
            response = client.read_final()
            assert (response.status, response.body) == (200, b"grown")
            assert response.says_close
        assert server.wait(10) == 0
        (event,) = lines(server.err, "max_memory")
        assert event["limit"] == LIMIT
        assert event["resident"] > LIMIT
        assert str(LIMIT) in event["message"]


def test_a_process_below_the_limit_goes_on() -> None:
    with running(COMMAND, "grows") as server, server.client() as client:
        before = resident(server.pid)
        assert (
            client.request(get(f"/kept?bytes={LIMIT // 10 * 9 - before - 30 * MEBIBYTE}")).status
            == 200
        )
        assert resident(server.pid) > LIMIT // 2
        assert client.request(get("/kept")).status == 200  # longer than two looks
        assert lines(server.err, "max_memory") == []
        assert not client.request(get()).says_close


def test_a_limit_that_the_application_exceeds_from_the_start_is_refused() -> None:
    done = finished("--bind", "127.0.0.1:0", "--max-memory", "1000000", application_name("grows"))
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "--max-memory 1000000 is too low" in done.stderr


def test_no_limit_is_the_default() -> None:
    with running(bascule_command(), "grows") as server, Client(server.address) as client:
        assert client.request(get(f"/kept?bytes={LIMIT}")).status == 200
        assert not client.request(get("/kept")).says_close
