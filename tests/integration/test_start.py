"""Starting: what it says where it serves, and one readable line for everything that is wrong."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.harness.client import Client
from tests.harness.ports import listen
from tests.harness.servers import (
    application_name,
    bascule_command,
    finished,
    running,
    scratch,
    started,
)
from tests.harness.waiting import wait_until

from .requests import get

HELLO = application_name("hello")


def test_it_says_where_it_serves_answers_logs_and_ends_on_ctrl_c() -> None:
    with started("--bind", "127.0.0.1:0", HELLO, address="", wait=False) as server:
        said = wait_until(
            lambda: re.search(rf"Serving {HELLO} on http://127\.0\.0\.1:(\d+)", server.err),
            "where it serves",
        )
        with Client(("127.0.0.1", int(said[1]))) as client:
            assert client.request(get("/alice")).status == 200
        line = wait_until(lambda: server.out, "the request's line")
        assert '"GET /alice HTTP/1.1" 200' in line
        assert len(line.splitlines()) == 1
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        assert "Traceback" not in server.err + server.out


def test_json_says_where_it_serves_in_one_object() -> None:
    flags = ("--bind", "127.0.0.1:0", "--access-logformat", "json", "--worker", "7")
    with started(*flags, HELLO, address="", wait=False) as server:
        line = wait_until(lambda: server.err, "where it serves").splitlines()[0]
        assert re.search(r'"event": ?"listening"', line)
        assert re.search(r'"worker": ?"7"', line)


def test_an_ipv6_address_is_served() -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    with started("--bind", "[::1]:0", HELLO, address="", wait=False) as server:
        wait_until(lambda: re.search(r"on http://\[::1\]:\d+", server.err), "where it serves")


def test_check_config_loads_everything_and_serves_nothing() -> None:
    result = finished("--check-config", "--bind", "127.0.0.1:1", HELLO)
    assert result.returncode == 0
    assert result.stdout == f"bascule: the configuration is good; {HELLO} loads\n"
    assert result.stderr == ""


def test_version_is_printed() -> None:
    result = finished("--version")
    assert result.returncode == 0
    assert re.fullmatch(r"bascule \d+\.\d+\.\d+\n", result.stdout)


def test_help_names_every_flag_with_its_default() -> None:
    text = finished("--help").stdout
    flags = ("bind threads timeout graceful-timeout keep-alive head-timeout body-timeout "
             "write-timeout limit-request-line limit-request-fields limit-request-field_size "
             "limit-request-body max-requests max-requests-jitter max-memory hold recycle-wait "
             "access-logfile access-logformat log-level worker")  # fmt: skip
    described = dict(
        re.findall(r"^  (?:-\w, )?--(\S+) [A-Z]+\s(.*?)(?=^\S|^  -|^$)", text, re.M | re.S)
    )
    assert [flag for flag in flags.split() if "(default:" not in described.get(flag, "")] == []


def test_settings_come_from_the_environment_and_flags_win() -> None:
    env = {
        "BASCULE_BIND": "127.0.0.1:0",
        "BASCULE_LIMIT_REQUEST_FIELD_SIZE": "100",
        "BASCULE_LIMIT_REQUEST_LINE": "50",
        "BASCULE_APP": HELLO,
    }
    with started("--limit-request-line", "60", address="", env=env, wait=False) as server:
        said = wait_until(lambda: re.search(r"127\.0\.0\.1:(\d+)", server.err), "where it serves")
        address = ("127.0.0.1", int(said[1]))
        for request, status in (
            (get("/", "X-Long: " + "v" * 200), 431),
            (get("/" + "a" * (55 - len("GET / HTTP/1.1"))), 200),
            (get("/" + "a" * (61 - len("GET / HTTP/1.1"))), 414),
        ):
            with Client(address) as client:
                assert client.request(request).status == status


@pytest.mark.parametrize(
    ("arguments", "env", "status", "message"),
    [
        ([], {}, 2,
         "no application given: name one, such as app.hello:application, or a chain file "
         "with --chain, or set BASCULE_APP or BASCULE_CHAIN"),
        (["hello:"], {}, 2,
         "the application must be MODULE or MODULE:CALLABLE, such as app.hello:application, "
         "not 'hello:'"),
        (["--no-such-flag", HELLO], {}, 2,
         "unrecognized arguments: --no-such-flag (see --help)"),
        (["--thread=4", HELLO], {}, 2,
         "unrecognized arguments: --thread=4 (see --help)"),
        (["--threads", "0", HELLO], {}, 2,
         "--threads must be a whole number from 1 up, not '0'"),
        (["--threads", "many", HELLO], {}, 2,
         "--threads must be a whole number from 1 up, not 'many'"),
        (["--threads", "-1", HELLO], {}, 2,
         "--threads must be a whole number from 1 up, not '-1'"),
        (["--keep-alive", "nan", HELLO], {}, 2,
         "--keep-alive must be a number of seconds above 0, not 'nan'"),
        (["--head-timeout", "0", HELLO], {}, 2,
         "--head-timeout must be a number of seconds above 0, not '0'"),
        (["--access-logformat", "xml", HELLO], {}, 2,
         "--access-logformat must be one of json, combined, not 'xml'"),
        (["--log-level", "loud", HELLO], {}, 2,
         "--log-level must be one of debug, info, warning, error, critical, not 'loud'"),
        (["--bind", "here", HELLO], {}, 2,
         "--bind must be HOST:PORT, :PORT, PORT, unix:PATH or fd://N, not 'here'"),
        (["--bind", "127.0.0.1:65536", HELLO], {}, 2,
         "--bind must be HOST:PORT, :PORT, PORT, unix:PATH or fd://N, not '127.0.0.1:65536'"),
        ([HELLO], {"BASCULE_THREADS": "none"}, 2,
         "BASCULE_THREADS must be a whole number from 1 up, not 'none'"),
        ([HELLO], {"BASCULE_BIND": "nowhere"}, 2,
         "BASCULE_BIND must be HOST:PORT, :PORT, PORT, unix:PATH or fd://N, not 'nowhere'"),
        (["tests.no_such_module:application"], {}, 4,
         "cannot load tests.no_such_module:application: ModuleNotFoundError: "
         "No module named 'tests.no_such_module'"),
        (["tests.applications.hello:no_such_name"], {}, 4,
         "cannot load tests.applications.hello:no_such_name: AttributeError: "
         "module 'tests.applications.hello' has no attribute 'no_such_name'"),
        ([application_name("not_callable")], {}, 4,
         f"cannot load {application_name('not_callable')}: it is not callable but a int"),
        (["--bind", "fd://987", HELLO], {}, 3,
         "cannot listen on fd://987: Bad file descriptor"),
        (["--bind", "fd://0", HELLO], {}, 3,
         "cannot listen on fd://0: Socket operation on non-socket"),
        (["--bind", "unix:/no/such/directory/socket", HELLO], {}, 3,
         "cannot listen on unix:/no/such/directory/socket: No such file or directory"),
        (["--bind", f"unix:/tmp/{'x' * 120}", HELLO], {}, 3,
         f"cannot listen on unix:/tmp/{'x' * 120}: its path has 125 bytes, and 107 are the most"),
        (["--bind", "127.0.0.1:0", "--access-logfile", "/no/such/directory/log", HELLO], {}, 3,
         "cannot write the access log /no/such/directory/log: No such file or directory"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(arguments, env, status, message) -> None:
    result = finished(*arguments, env=env)
    assert (result.stderr, result.stdout) == (f"bascule: {message}\n", "")
    assert result.returncode == status


def test_a_port_in_use_is_said_in_one_line() -> None:
    with listen() as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = finished("--bind", address, HELLO)
    assert result.stderr == f"bascule: cannot listen on {address}: Address already in use\n"
    assert result.returncode == 3


def test_debugging_adds_the_traceback() -> None:
    result = finished("--log-level", "debug", application_name("fails_to_import"))
    assert result.returncode == 4
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].endswith("RuntimeError: no database here")


def test_a_path_that_is_a_directory_is_refused() -> None:
    with scratch() as directory:
        result = finished("--bind", f"unix:{directory}", HELLO)
        assert result.returncode == 3
        assert result.stderr == (
            f"bascule: cannot listen on unix:{directory}: the path is there and is no socket\n"
        )
        assert directory.is_dir()


def test_what_loading_left_behind_is_collected_once_and_the_rest_never_looked_at_again() -> None:
    with running(bascule_command(), "lasts") as server, server.client() as client:
        assert client.request(get()).body == b""
