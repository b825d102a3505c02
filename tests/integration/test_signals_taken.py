"""Applications that take signals: SIGTERM stays a graceful stop, and a timer ends nothing."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.harness.waiting import wait_until

from .project import HELLO, ProjectServer, project, served
from .requests import get

# What an application does, at its import or in a call.
MISUSES = {
    "asyncio": """
import asyncio
async def main():
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        loop.add_signal_handler(number, print)
    await asyncio.sleep(0)
asyncio.run(main())
""",
    "handler": "signal.signal(signal.SIGTERM, lambda *_: None)",
    "default": "signal.signal(signal.SIGTERM, signal.SIG_DFL)",
    "ignored": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "wake-up": "signal.set_wakeup_fd(-1)",
    "mask": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "faulthandler": "faulthandler.register(signal.SIGTERM, chain=False)",
    "no faulthandler": "faulthandler.disable(); faulthandler.cancel_dump_traceback_later()",
    "child": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "hang up": "signal.signal(signal.SIGHUP, signal.SIG_IGN)",
    "pipe": "signal.signal(signal.SIGPIPE, signal.SIG_DFL)",
}
AT_IMPORT = (
    "import faulthandler, signal\n{misuse}\n"
    + HELLO
    + """
def big(environ, start_response):
    start_response("200 OK", [])
    return [b"x" * 10_000_000]
"""
)
# Only the main thread may: what is refused elsewhere costs the call, and nothing else.
IN_A_CALL = """
import faulthandler, signal
MISUSE = {misuse!r}

def application(environ, start_response):
    if environ["PATH_INFO"] == "/misuse":
        exec(MISUSE, {{"signal": signal, "faulthandler": faulthandler}})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


@pytest.mark.parametrize("misuse", MISUSES)
def test_what_an_application_does_at_its_import_leaves_a_graceful_stop(misuse: str) -> None:
    with served(AT_IMPORT.format(misuse=MISUSES[misuse])) as server:
        with server.client() as client:
            assert client.request(get()).body == b"hello"
            server.signal(signal.SIGTERM)
            server.said("Stopping (SIGTERM)")
            assert client.request(get()).says_close
        assert server.wait() == 0


@pytest.mark.parametrize("threads", ["1", "2", "4"])
@pytest.mark.parametrize("misuse", MISUSES)
def test_what_an_application_does_in_a_call_leaves_a_graceful_stop(
    misuse: str, threads: str
) -> None:
    source = IN_A_CALL.format(misuse=MISUSES[misuse])
    with served(source, "--threads", threads, "--keep-alive", "300") as server:
        with server.client() as client:
            for _ in range(10):
                assert client.request(get("/misuse")).status in (200, 500)
            wait_until(lambda: handles(server.pid, signal.SIGTERM), "SIGTERM is the server's again")
            server.signal(signal.SIGTERM)
            if misuse == "faulthandler":  # takes it from every thread, until the server looks
                wait_until(lambda: stops(server), "a stop")
            server.said("Stopping (SIGTERM)")
            assert client.request(get()).says_close
        assert server.wait() == 0


def stops(server: ProjectServer) -> bool:
    """Ask it to stop once more; return whether it has heard."""
    if heard := "Stopping (SIGTERM)" in server.err:
        return heard
    server.signal(signal.SIGTERM)
    return False


def handles(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal, and its main thread lets it in (proc(5))."""
    masks = dict(
        line.split(":\t")
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("Sig")
    )
    bit = 1 << (number - 1)
    return bool(int(masks["SigCgt"], 16) & bit and not int(masks["SigBlk"], 16) & bit)


@pytest.mark.parametrize("number", ["SIGALRM", "SIGVTALRM", "SIGPROF", "SIGUSR2", "SIGIO"])
def test_a_signal_that_nobody_handles_ends_no_process_and_is_logged(number: str) -> None:
    with served(HELLO) as server:
        server.signal(signal.Signals[number])
        server.said(f"{number} came, which nothing handles")
        with server.client() as client:
            assert client.request(get()).body == b"hello"


@pytest.mark.parametrize("number", ["SIGHUP", "SIGQUIT"])
def test_what_ends_gunicorn_or_a_terminal_loses_no_request(number: str) -> None:
    with served(HELLO) as server, server.client() as client:
        client.send(b"GET / HTTP/1.1\r\n")  # in flight
        server.signal(signal.Signals[number])
        server.said(f"Stopping ({number})")
        client.send(b"Host: a\r\n\r\n")
        answer = client.read_final()
        assert (answer.body, answer.says_close) == (b"hello", True)
        assert server.wait() == 0


@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_timer_of_a_call_ends_no_process(threads: str) -> None:
    source = IN_A_CALL.format(misuse="signal.setitimer(signal.ITIMER_REAL, 0.01)")
    with served(source, "--threads", threads) as server, server.client() as client:
        assert client.request(get("/misuse")).body == b"hello"
        server.said("SIGALRM came")
        assert client.request(get()).body == b"hello"


def test_an_application_s_own_handler_is_left_alone() -> None:
    source = (
        "import faulthandler, signal\n"
        "signal.signal(signal.SIGALRM, lambda *_: print('mine', flush=True))\n"
        "faulthandler.register(signal.SIGUSR2)\n" + HELLO
    )
    with served(source) as server:
        server.signal(signal.SIGALRM)
        wait_until(lambda: "mine" in server.out, "what the application prints")
        server.signal(signal.SIGUSR2)
        server.said("most recent call first")
        assert "nothing handles" not in server.err


@pytest.mark.parametrize("when", ["import", "call"])
def test_a_client_that_left_is_no_end_where_sigpipe_has_its_default_action(when: str) -> None:
    misuse = MISUSES["pipe"]
    source = AT_IMPORT.format(misuse=misuse).replace(
        "def big(", "hello = application\ndef application("
    )
    with served(source) as server:
        for _ in range(20):
            with server.client(receive_buffer=4096) as client:
                client.send(get("/big"))
        with server.client() as client:
            assert client.request(get()).status == 200


def test_what_a_call_starts_has_the_default_actions() -> None:
    source = """
import signal, subprocess, sys, os
NAMES = "SIGTERM SIGINT SIGUSR1 SIGALRM SIGVTALRM SIGPROF SIGUSR2 SIGIO".split()
SHOW = "import signal; print([signal.getsignal(getattr(signal, n)) for n in %r])" % NAMES

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/program":
        return [subprocess.run([sys.executable, "-c", SHOW], capture_output=True).stdout]
    reader, writer = os.pipe()
    if not os.fork():
        found = [signal.getsignal(getattr(signal, n)) for n in NAMES]
        os.write(writer, repr(found).encode())
        os._exit(0)
    os.wait()
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        return [file.read()]
"""
    with served(source) as server, server.client() as client:
        for path in ("/program", "/fork"):
            body = client.request(get(path)).body
            assert body.count(b"SIG_DFL") == 7, body
            assert body.count(b"default_int_handler") == 1


def test_without_proc_a_process_serves_and_stops() -> None:
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/proc"]
    if shutil.which("unshare") is None or subprocess.run(probe, check=False).returncode:
        pytest.skip("this machine lets nobody hide /proc")
    with project(HELLO) as server:
        hide = 'mount -t tmpfs none /proc && exec "$@"'
        server.before = ("unshare", "--mount", "sh", "-c", hide, "sh")
        server.start_there()
        server.wait_until_it_answers()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
