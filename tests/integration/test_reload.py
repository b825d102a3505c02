"""``--reload``: what is saved is served, whatever was wrong with what was saved before."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.client import Client, Response
from tests.harness.ports import free_port
from tests.harness.servers import environment
from tests.harness.terminal import Terminal
from tests.harness.waiting import wait_until

from .project import ProjectServer, project
from .requests import get

SITE = """
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Process", str(os.getpid()))])
    return [b"{}"]
"""


@contextlib.contextmanager
def developed(
    source: str, *arguments: str, files: dict[str, str] | None = None
) -> Iterator[ProjectServer]:
    port = free_port()
    bind = ("--bind", str(port), "--pid", "its.pid", "--reload")
    with project(source, *bind, *arguments, files=files) as server:
        server.address = ("127.0.0.1", port)
        server.start_there()
        server.said("Serving ")
        yield server


def asked(server: ProjectServer, *fields: str) -> Response:
    with Client(server.address) as client:
        return client.request(get("/", *fields).replace(b"example.org", b"localhost"))


def shown(server: ProjectServer) -> Response:
    """Return what a browser is answered."""
    return asked(server, "Accept: text/html")


def save(server: ProjectServer, text: str, name: str = "site_.py") -> None:
    (server.directory / name).write_text(text, encoding="utf-8")


def wait_for(server: ProjectServer, body: str) -> Response:
    """Return the first answer that has this in it."""

    def answer() -> Response | None:
        found = asked(server)
        return found if body in found.body.decode() else None

    return wait_until(answer, f"{body!r} is served")


def test_what_is_saved_is_served_by_another_process_at_the_same_address() -> None:
    with developed(SITE.format("one")) as server:
        before = asked(server)
        assert before.body == b"one"
        # Of the same size, and most likely in the same second.
        save(server, SITE.format("two"))
        after = wait_for(server, "two")
        assert after.one("X-Process") != before.one("X-Process")
        assert (server.directory / "its.pid").read_text() == f"{server.pid}\n"
        assert server.is_running()


def test_each_process_closes_its_sockets() -> None:
    with project(SITE.format("one"), "--reload") as server:
        server.argv[1:1] = ["-W", "always::ResourceWarning"]
        server.start_there()
        server.said("Serving ")
        save(server, SITE.format("two"))
        wait_for(server, "two")
        server.signal(signal.SIGTERM)
        assert server.wait(10) == 0
        assert "ResourceWarning" not in server.err


def test_nobody_is_refused_while_it_starts_anew() -> None:
    with developed(SITE.format("0")) as server:
        for number in range(1, 4):
            save(server, "import time; time.sleep(0.3)\n" + SITE.format(number))
            wait_for(server, str(number))  # a connection that is refused or reset would raise


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("def (\n", "SyntaxError"),
        ("import nothing_like_it\n", "No module named 'nothing_like_it'"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        ("", "has no attribute 'application'"),
    ],
)
def test_what_cannot_be_loaded_is_told_until_the_next_save_mends_it(wrong: str, said: str) -> None:
    with developed(SITE.format("one")) as server:
        save(server, wrong)
        answer = wait_for(server, said)
        assert answer.status == 500
        assert answer.one("Content-Type") == "text/plain; charset=utf-8"
        assert said in server.said("bascule: cannot load site_:application: ")
        save(server, SITE.format("mended"))
        assert wait_for(server, "mended").status == 200


def test_a_start_with_a_mistake_is_mended_too_also_by_a_file_that_is_new() -> None:
    with developed("import late\n" + SITE.format("one")) as server:
        assert "No module named 'late'" in asked(server).body.decode()
        save(server, "", "late.py")
        wait_for(server, "one")


@pytest.mark.parametrize("field", ["Forwarded: for=1.2.3.4", "X-Forwarded-For: 1.2.3.4"])
def test_clients_of_other_machines_do_not_learn_what_is_wrong(field: str) -> None:
    with developed("raise ValueError('a secret')\n") as server:
        assert "a secret" in asked(server).body.decode()
        answer = asked(server, field)
        assert answer.status == 500
        assert answer.body == b"It cannot be served; the terminal says why.\n"


RAISES = """
def application(environ, start_response):
    raise ValueError("<script>alert(1)</script>")
"""


@pytest.mark.parametrize("wrong", [RAISES, RAISES + "\napplication({}, None)\n"])
def test_a_browser_is_shown_what_went_wrong_and_the_next_save_mends_it(wrong: str) -> None:
    with developed(wrong) as server:
        answer = shown(server)
        assert answer.status == 500
        assert answer.one("Content-Type") == "text/html; charset=utf-8"
        page = answer.body.decode()
        assert "<code>site_.py:3</code> in application" in page
        assert "<mark>    3      raise ValueError(" in page
        assert "ValueError: &lt;script&gt;" in page
        assert "<script" not in page
        line = '  File "site_.py", line 3, in application\n    raise ValueError('
        assert "ValueError: <script>" in server.said(line)
        save(server, SITE.format("mended"))
        wait_for(server, "mended")


def test_an_error_that_a_link_of_the_chain_has_caught_is_shown_too() -> None:
    chain = 'application = "site_:application"\n[[links]]\nuse = "exceptions"\n'
    with developed(RAISES, "--chain", "c.toml", files={"c.toml": chain}) as server:
        assert "<code>site_.py:3</code> in application" in shown(server).body.decode()
        assert asked(server).body.endswith(b"ValueError: <script>alert(1)</script>\n")


def test_a_listener_that_others_reach_shows_nothing() -> None:
    with developed(RAISES, "--bind", "0.0.0.0:0") as server:
        port = int(re.findall(r"on http://0\.0\.0\.0:(\d+)", server.err)[0])
        assert "alert" in asked(server).body.decode()
        server.address = ("127.0.0.1", port)
        assert asked(server).body == b"500 Internal Server Error\n"


def test_a_template_that_is_saved_is_served_though_the_application_keeps_it() -> None:
    source = """
with open("shop/templates/a.html") as template:
    TEXT = template.read().encode()
def application(environ, start_response):
    start_response("200 OK", [])
    return [TEXT]
"""
    with project("", "--reload") as server:
        (server.directory / "shop" / "templates").mkdir(parents=True)
        save(server, "one", "shop/templates/a.html")
        save(server, source)
        server.start_there()
        server.said("Serving ")
        assert asked(server).body == b"one"
        save(server, "two", "shop/templates/a.html")
        wait_for(server, "two")


def test_no_call_is_too_long_for_it_since_a_debugger_may_hold_it() -> None:
    source = "import time\n" + SITE.format("one").replace("return", "time.sleep(1.5); return")
    with developed(source, "--threads", "1", "--timeout", "0.2") as server:
        assert asked(server).body == b"one"


def test_interrupted_it_ends_though_a_call_goes_on() -> None:
    source = SITE.format("one").replace("return", "print('called', flush=True)\n    time.sleep(60)")
    source = f"import time\n{source}"
    with developed(source, "--threads", "1") as server, Client(server.address) as client:
        client.send(get("/"))
        server.logged("called")
        server.signal(signal.SIGINT)
        assert server.wait(10) == 0


def test_breakpoint_is_talked_to_in_the_terminal_that_is_as_it_was_afterwards() -> None:
    source = SITE.format("one").replace(
        "    return", "    answer = b'one'\n    breakpoint()\n    return"
    )
    source = source.replace('[b"one"]', "[answer]")
    address = ("127.0.0.1", free_port())
    options = ("--bind", str(address[1]), "--reload", "--threads", "1")
    with (
        project(source, *options) as server,
        Terminal(server.argv, server.directory, environment()) as seen,
    ):
        seen.wait_for("Serving ")
        modes = seen.modes()
        with Client(address) as client:
            client.send(get("/"))
            seen.wait_for("(Pdb) ")
            seen.type("answer = b'another'\nc\n")
            assert client.read_final().body == b"another"
            seen.type("")
            client.send(get("/"))
            seen.wait_for("(Pdb) ")
            seen.type("\x03")
            assert seen.exit_status() == 0
        assert seen.modes() == modes


def test_modules_that_are_imported_in_a_request_and_other_files_count() -> None:
    source = SITE.format("").replace(
        '[b""]', "[__import__('late').BODY, open('a.txt', 'rb').read()]"
    )
    files = {"late.py": "BODY = b'one'\n", "a.txt": "first"}
    with developed(source, "--reload-extra-file", "a.txt", files=files) as server:
        assert asked(server).body == b"onefirst"
        save(server, "BODY = b'two'\n", "late.py")
        before = wait_for(server, "twofirst")
        save(server, "third", "a.txt")
        wait_until(
            lambda: asked(server).one("X-Process") != before.one("X-Process"), "another process"
        )


def test_a_chain_file_counts(tmp_path: Path) -> None:
    chain = 'application = "site_:application"\n'
    with developed(SITE.format("one"), "--chain", "c.toml", files={"c.toml": chain}) as server:
        assert asked(server).body == b"one"
        save(server, 'application = "nothing:application"\n', "c.toml")
        wait_for(server, "nothing")
        save(server, chain, "c.toml")
        wait_for(server, "one")


def test_a_call_that_goes_on_does_not_keep_the_new_code_away() -> None:
    source = "import time\n" + SITE.format("one").replace("return", "time.sleep(60); return")
    with developed(source) as server, Client(server.address) as client:
        client.send(get("/"))
        save(server, SITE.format("two"))
        server.said("Stopping ")  # from then on it takes no more clients
        wait_for(server, "two")


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_as_a_server_does_and_leaves_nothing(number: signal.Signals, wrong: bool) -> None:
    with developed("raise ValueError" if wrong else SITE.format("one")) as server:
        child = int(asked(server).one("X-Process")) if not wrong else 0
        server.signal(number)
        assert server.wait(10) == 0
        assert not (server.directory / "its.pid").exists()
        if child:
            with pytest.raises(ProcessLookupError):
                os.kill(child, 0)


def test_sigterm_ends_a_start_that_hangs() -> None:
    with developed(SITE.format("one")) as server:
        save(server, "open('loading', 'w').close()\nimport time; time.sleep(60)\n")
        wait_until((server.directory / "loading").exists, "it is being loaded")
        server.signal(signal.SIGTERM)
        assert server.wait(10) == 0


def test_the_next_save_ends_a_start_that_hangs() -> None:
    with developed(SITE.format("one")) as server:
        save(server, "open('loading', 'w').close()\nimport time; time.sleep(60)\n")
        wait_until((server.directory / "loading").exists, "it is being loaded")
        count = server.err.count("has changed")

        def is_noticed() -> bool:
            save(server, SITE.format("two"))
            return server.err.count("has changed") > count

        wait_until(is_noticed, "the end of the start", interval=0.1)
        wait_for(server, "two")


def test_it_does_not_outlive_the_process_that_looks_after_it() -> None:
    with developed(SITE.format("one")) as server:
        child = int(asked(server).one("X-Process"))
        server.signal(signal.SIGKILL)
        server.wait()

        def is_gone() -> bool:
            stat = Path(f"/proc/{child}/stat")
            return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"

        wait_until(is_gone, "its end")


def test_what_ends_by_itself_ends_it_with_its_status() -> None:
    source = SITE.format("one").replace("    return", "    os._exit(7)\n    return")
    with developed(source) as server:
        with contextlib.suppress(Exception):
            asked(server)
        assert server.wait(10) == 7


def test_a_unix_socket_stays_at_its_path_until_the_end() -> None:
    with project(SITE.format("one"), "--reload") as server:
        server.start_there()
        server.said("Serving site_:application on unix:")
        assert f"on unix:{server.directory}/app.sock\n" in server.err
        inode = (server.directory / "app.sock").stat().st_ino
        save(server, SITE.format("two"))
        wait_for(server, "two")
        assert (server.directory / "app.sock").stat().st_ino == inode
        server.signal(signal.SIGTERM)
        assert server.wait(10) == 0
        assert not (server.directory / "app.sock").exists()
