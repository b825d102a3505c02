"""A call that hangs costs a thread, not the service."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.client import Client
from tests.harness.log import lines
from tests.harness.servers import ServerProcess, bascule_command, running
from tests.harness.waiting import wait_until

from .gate import Gate, Visit
from .requests import get
from .status import read_status

SHORT = 0.3  # seconds
SOON = 3.0  # seconds within which others are answered


def command(status: Path, *flags: str) -> list[str]:
    return bascule_command(
        *("--access-logformat", "json", "--graceful-timeout", "10"),
        *("--status-socket", str(status), *flags),
    )


def hang(server: ServerProcess, gate: Gate, number: int) -> Visit:
    """Have a call hang until it is given up."""
    with server.client() as client:
        client.send(get(f"/wait?{number}"))
        visit = gate.visit()
        assert client.read_final().status == 504
    return visit


def threads(status: Path) -> tuple[int, int, int]:
    found = read_status(status)
    return found["threads_busy"], found["threads_hung"], found["threads_extra"]


@pytest.mark.parametrize("number", [2, 4])
def test_a_burst_that_hangs_on_an_idle_server_leaves_a_place_to_others(
    gate: Gate, status: Path, number: int
) -> None:
    with (
        running(command(status, "--threads", str(number)), "gate", env=gate.env) as server,
        ExitStack() as stack,
    ):
        burst = [stack.enter_context(server.client()) for _ in range(20)]
        for client in burst:
            client.send(get("/wait"))
        visits = [gate.visit() for _ in range(number)]
        for _ in range(20):
            with server.client(deadline=SOON) as other:
                assert other.request(get()).body == b"at once\n"
        assert gate.nobody_else()
        for visit in visits:
            visit.release()
        # Once seen to be slow, they have all places but one.
        visits = [gate.visit() for _ in range(number - 1)]
        with server.client(deadline=SOON) as other:
            assert other.request(get()).body == b"at once\n"
        assert gate.nobody_else()
        assert not lines(server.err, "hung_request")


def test_calls_that_hang_are_replaced_and_their_threads_go_when_they_end(
    gate: Gate, status: Path
) -> None:
    flags = ("--threads", "4", "--timeout", str(SHORT))
    with running(command(status, *flags), "gate", env=gate.env) as server:
        visits = [hang(server, gate, number) for number in range(3)]
        assert threads(status)[:2] == (0, 3)
        with ExitStack() as stack:
            clients = [stack.enter_context(server.client()) for _ in range(4)]
            for number, client in enumerate(clients):
                client.send(get(f"/stream?{number}"))
            beside = [gate.visit() for _ in clients]  # all four places are there
            assert threads(status) == (4, 3, 3)
            for visit in beside:
                visit.release()
            assert all(client.read_final().complete for client in clients)
        for visit in visits:
            visit.release()
        wait_until(lambda: threads(status) == (0, 0, 0), "the threads go")
        with server.client() as client:
            assert client.request(get()).body == b"at once\n"
        assert not lines(server.err, "draining")


def fill(server: ServerProcess, gate: Gate, count: int) -> None:
    for number in range(count):
        hang(server, gate, number)


def test_the_process_is_replaced_when_all_threads_hang_that_can_be_replaced(
    gate: Gate, status: Path
) -> None:
    flags = ("--threads", "2", "--timeout", str(SHORT))
    with (
        running(command(status, *flags), "gate", env=gate.env) as server,
        server.client() as late,
    ):
        fill(server, gate, 1)
        assert late.request(get()).body == b"at once\n"
        assert not lines(server.err, "draining")
        fill(server, gate, 1)
        wait_until(lambda: lines(server.err, "draining"), "it is to be replaced")
        late.send(get())
        assert late.read_final().body == b"at once\n"
        late.close()
        assert server.wait(10) == 1
        assert not lines(server.err, "cut_short")


def test_it_serves_on_until_it_is_replaced_where_somebody_sees_to_that(
    gate: Gate, status: Path
) -> None:
    flags = ("--threads", "2", "--timeout", str(SHORT), "--recycle-wait", "60")
    with running(command(status, *flags), "gate", env=gate.env) as server:
        fill(server, gate, 2)
        wait_until(lambda: lines(server.err, "recycle"), "it asks to be replaced")
        with server.client() as client:
            assert client.request(get()).body == b"at once\n"
        assert not lines(server.err, "draining")
        assert len(lines(server.err, "recycle")) == 1


def test_one_url_that_hangs_is_refused_at_once_and_all_others_are_answered(
    gate: Gate, status: Path
) -> None:
    """On an idle server with its usual number of threads, which nobody comes to replace."""
    flags = ("--timeout", str(SHORT), "--recycle-wait", "60")
    with running(command(status, *flags), "gate", env=gate.env) as server, ExitStack() as stack:
        burst = [stack.enter_context(server.client()) for _ in range(20)]
        for client in burst:
            client.send(get("/wait"))
        # Some hang; behind as many as can be replaced, nobody waits until his own time is up.
        answers = [client.read_final().status for client in burst]
        assert set(answers) == {503, 504}
        assert 8 <= answers.count(504) < 16
        for _ in range(20):
            with server.client(deadline=SOON) as other:
                assert other.request(get()).body == b"at once\n"
                assert other.request(get("/wait")).status == 503
        assert not lines(server.err, "draining")
        assert len(lines(server.err, "recycle")) == 1
        assert "calls hang (hung_request)" in lines(server.err, "overloaded")[0]["message"]


def test_where_all_threads_hang_whoever_comes_is_refused_at_once_until_somebody_replaces_it(
    gate: Gate, status: Path
) -> None:
    flags = ("--threads", "2", "--timeout", str(SHORT), "--recycle-wait", "60")
    with running(command(status, *flags), "gate", env=gate.env) as server, ExitStack() as stack:
        # Each path is a kind of its own.
        clients = [stack.enter_context(server.client()) for _ in range(4)]
        for number, client in enumerate(clients):
            client.send(get(f"/wait/{number}"))
        visits = [gate.visit() for _ in clients]
        assert [client.read_final().status for client in clients] == [504] * 4
        assert threads(status)[1] == 4
        with server.client(deadline=SOON) as other:
            assert [other.request(get()).status for _ in range(3)] == [503] * 3
            for visit in visits:
                visit.release()
            wait_until(lambda: threads(status)[1] == 0, "the calls end")
            assert other.request(get()).body == b"at once\n"
        assert not lines(server.err, "draining")


def test_calls_that_take_less_than_a_second_have_all_places(gate: Gate, status: Path) -> None:
    with running(command(status, "--threads", "4"), "gate", env=gate.env) as server:
        for _ in range(3):
            with ExitStack() as stack:
                clients: list[Client] = [stack.enter_context(server.client()) for _ in range(4)]
                for client in clients:
                    client.send(get("/wait"))
                for visit in [gate.visit() for _ in clients]:
                    visit.release()
                assert all(client.read_final().complete for client in clients)
