"""The command line: what --help says, one line for each mistake, and the exit codes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from bascule.config import Setting, default_text, flag, settings, variable
from bascule.version import __version__

from tests.harness.fetch import fetch
from tests.harness.ports import listen
from tests.harness.processes import Process

OK = "def application(environ, start_response):\n    return []\n"
MODULES = {
    "good.py": OK,
    "broken.py": "import a_module_that_is_not_there\n",
    "wrong.py": "def (\n",
    "loud.py": "raise ValueError('two\\nlines')\n",
    "script.py": "raise SystemExit('this is a script')\n",
    "value.py": "application = 5\nclass Holder:\n    inner = staticmethod(print)\n",
}


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "bascule", *arguments]


def environment(**variables: str) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("BASCULE_")}
    return {**inherited, **variables}


def run(directory: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(arguments),
        cwd=directory,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def shown(setting: Setting) -> str:
    """Return what stands before a setting's meaning."""
    short = [each for each in setting.also if len(each) == 2]
    long = [each for each in setting.also if len(each) > 2]
    return f"{', '.join([*short, *long, flag(setting.name)])} {setting.metavar}".rstrip()


def test_help_says_each_setting_with_its_unit_and_default(modules: Path) -> None:
    done = run(modules, "--help", COLUMNS="80")
    assert done.returncode == 0
    text = " ".join(done.stdout.split())
    for setting in settings():
        assert f"{shown(setting)} {setting.meaning} (default: {default_text(setting)})" in text
        if isinstance(setting.default, float):
            assert setting.metavar == "SECONDS"
    assert "BASCULE_MAX_REQUESTS" in text


def test_help_is_grouped(modules: Path) -> None:
    lines = run(modules, "--help").stdout.splitlines()
    for title in {setting.group for setting in settings()}:
        assert f"{title}:" in lines


def test_help_fits_a_terminal_and_has_each_meaning_in_one_column(modules: Path) -> None:
    lines = run(modules, "--help").stdout.splitlines()
    column = 24
    assert 70 < max(len(line) for line in lines if line.startswith(" " * column)) <= 80
    for setting in settings():
        head = f"  {shown(setting)}"
        (number,) = [
            at for at, line in enumerate(lines) if re.match(rf"{re.escape(head)}( |$)", line)
        ]
        if len(head) <= column - 2:
            assert lines[number][:column].rstrip() == head
        else:
            assert lines[number] == head
            number += 1
            assert not lines[number][:column].strip()
        assert lines[number][column:].startswith(setting.meaning.split()[0])


def test_the_version_is_said(modules: Path) -> None:
    done = run(modules, "--version")
    assert (done.returncode, done.stdout) == (0, f"bascule {__version__}\n")


@pytest.mark.parametrize("name", ["good", "good:application", "value:Holder.inner"])
def test_a_good_configuration_is_confirmed_in_one_line(modules: Path, name: str) -> None:
    done = run(modules, "--check-config", name)
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    assert "good" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("ending", ["", "raise ValueError('no')"])
def test_a_thread_that_goes_on_keeps_no_process_that_does_not_serve(
    modules: Path, ending: str
) -> None:
    begin = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    (modules / "threads.py").write_text(begin + OK + ending)
    assert run(modules, "--check-config", "threads").returncode == (4 if ending else 0)
    if ending:
        assert run(modules, "--bind", "0", "threads").returncode == 4


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        (["-b", ":1"], "0.0.0.0:1"),
        (["-b:1"], "0.0.0.0:1"),
        (["-b=1"], "127.0.0.1:1"),
        (["--bind=[::]:1"], "[::]:1"),
    ],
)
def test_all_settings_are_shown_and_the_application_is_loaded(
    modules: Path, arguments: list[str], address: str
) -> None:
    done = run(modules, "--print-config", *arguments, "-t5", "good")
    assert done.returncode == 0
    shown = tomllib.loads(done.stdout)
    assert (shown["bind"], shown["timeout"], shown["application"]) == ([address], 5.0, "good")
    assert run(modules, "--print-config", "broken").returncode == 4


def test_what_the_application_prints_is_not_among_the_settings(modules: Path) -> None:
    (modules / "prints.py").write_text(f"print('loading')\n{OK}")
    done = run(modules, "--print-config", "-w", "3", "prints")
    assert tomllib.loads(done.stdout)["workers"] == 3
    assert done.stderr == "loading\n"


LOOKS = """
import logging, os, sys
print(os.getcwd(), os.environ.get("A"), os.environ.get("B"), os.environ.get("BASCULE_THREADS"))
print(sys.path[:3])
print([type(each).__name__ for each in logging.getLogger("shop").handlers])
print("an error", file=sys.stderr)
def app(environ, start_response): ...
"""


def test_where_and_with_what_variables_it_starts_is_said_as_for_gunicorn(tmp_path: Path) -> None:
    for name in ("project", "lib", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "lib" / "looks.py").write_text(LOOKS)
    (tmp_path / "project" / "v.env").write_text("A=file\nexport B = '${A}'\nBASCULE_THREADS=3\n")
    arguments = ["--chdir", "project", "-e", "A=given", "--env-file", "v.env", "--env=C=x=y"]
    paths = ["--pythonpath", f"{tmp_path}/lib,../other"]
    done = run(tmp_path, "--check-config", *arguments, *paths, "looks")
    here = tmp_path / "project"
    lines = done.stdout.splitlines()
    assert lines[0] == f"{here} given ${{A}} 3"
    assert lines[1] == str([str(here), str(tmp_path / "lib"), f"{here}/../other"])
    assert (done.returncode, done.stderr) == (0, "an error\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-e", "A"], "--env must be NAME=VALUE, not 'A'"),
        (["-e", "=1"], "--env must be NAME=VALUE, not '=1'"),
        (["--env-file", "none.env"], "--env-file: none.env is no file"),
        (["--env-file", "."], "--env-file: . is no file"),
        (["--env-file", "bad.env"], 'bad.env, line 1: "A B" is no name; a line is NAME=VALUE'),
        (["--chdir", "nowhere"], "--chdir nowhere: No such file or directory"),
        (["--reload=on"], "unrecognized arguments: --reload=on (see --help)"),
        (["--log-config", "bad.env"], "--log-config PLACE/bad.env: "),
    ],
)
def test_what_is_wrong_of_how_it_is_to_start_is_one_line(
    modules: Path, arguments: list[str], said: str
) -> None:
    (modules / "bad.env").write_text("A B\n")
    done = run(modules, "--check-config", *arguments, "good")
    assert done.returncode == 2
    assert done.stderr.startswith(f"bascule: {said.replace('PLACE', str(modules))}")
    assert done.stderr.count("\n") == 1


LOG_CONFIG = """
[loggers]
keys = root, shop
[handlers]
keys = file
[formatters]
keys =
[logger_root]
handlers =
[logger_shop]
handlers = file
qualname = shop
[handler_file]
class = FileHandler
args = ('shop.log',)
"""


def test_the_application_s_loggers_may_be_configured_in_a_file(modules: Path) -> None:
    (modules / "log.ini").write_text(LOG_CONFIG)
    (modules / "shop.py").write_text(
        f"import logging\nlogging.getLogger('shop').warning('low')\n{OK}"
    )
    done = run(modules, "--check-config", "--log-config", "log.ini", "shop")
    assert (done.returncode, done.stderr) == (0, "")
    assert (modules / "shop.log").read_text() == "low\n"


def test_standard_error_may_lead_to_a_file(modules: Path) -> None:
    done = run(modules, "--check-config", "--error-logfile", "error.log", "broken")
    assert (done.returncode, done.stderr) == (4, "")
    assert "a_module_that_is_not_there" in (modules / "error.log").read_text().splitlines()[-1]
    done = run(modules, "--check-config", "--log-file", "nowhere/error.log", "good")
    assert done.returncode == 3
    place = modules / "nowhere" / "error.log"
    assert done.stderr == (
        f"bascule: cannot write the error log {place}: No such file or directory\n"
    )


def test_what_gunicorn_reads_from_the_environment_is_said_not_to_be_read(modules: Path) -> None:
    done = run(modules, "--check-config", "good", GUNICORN_CMD_ARGS="-w 4")
    assert done.returncode == 0
    assert done.stderr == (
        "bascule: GUNICORN_CMD_ARGS is not read: give '-w 4' on the command line\n"
    )


def test_the_application_may_be_named_in_the_environment(modules: Path) -> None:
    assert run(modules, "--check-config", BASCULE_APP="good:application").returncode == 0


def test_an_empty_variable_is_an_unset_one(modules: Path) -> None:
    empty = {variable(setting.name): "" for setting in settings()}
    empty |= {"BASCULE_APP": "", "BASCULE_CHAIN": ""}
    assert run(modules, "--check-config", "good:application", **empty).returncode == 0
    assert "no application given" in run(modules, "--check-config", **empty).stderr
    named = run(modules, "--check-config", **(empty | {"BASCULE_APP": "good:application"}))
    assert named.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "no application given"),
        (("good:",), "MODULE or MODULE:CALLABLE"),
        (("--unknown", "good:application"), "unrecognized arguments: --unknown"),
        (("--thread", "3", "good:application"), "unrecognized arguments: --thread"),
        (("--threads",), "--threads"),
        (("--threads", "none", "good:application"), "--threads must be a whole number"),
        (("--bind", "nowhere", "good:application"), "--bind must be HOST:PORT"),
        (("--timeout", "-1", "good:application"), "--timeout"),
        (("--access-logformat", "xml", "good:application"), "json, combined"),
        (("good:application", "more"), "unrecognized arguments: more"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    modules: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = run(modules, *arguments)
    assert done.returncode == 2
    assert re.fullmatch(r"bascule: [^\n]+\n", done.stderr)
    assert says in done.stderr
    assert done.stdout == ""


def test_a_wrong_variable_is_one_line_and_exit_code_2(modules: Path) -> None:
    done = run(modules, "good:application", BASCULE_THREADS="many")
    assert done.returncode == 2
    assert done.stderr == "bascule: BASCULE_THREADS must be a whole number from 1 up, not 'many'\n"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere:application", "No module named 'nowhere'"),
        ("broken:application", "a_module_that_is_not_there"),
        ("wrong:application", "SyntaxError"),
        ("loud:application", "ValueError: two lines"),
        ("script:application", "this is a script"),
        ("good:other", "other"),
        ("value:application", "it is not callable but a int"),
    ],
)
@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("is_held", [True, False])
def test_an_application_that_does_not_load_is_explained_in_the_last_line(
    modules: Path, name: str, says: str, check: bool, is_held: bool
) -> None:
    options = ["--bind", f"unix:{modules}/app.sock", *(["--check-config"] if check else [])]
    done = run(modules, *options, *(["--hold", "hold"] if is_held else []), name)
    # What its own code raises may not be raised when it is loaded again, which the stack does.
    assert done.returncode == (75 if is_held and "ValueError" in says else 4)
    last = done.stderr.splitlines(keepends=True)[-1]
    assert re.fullmatch(r"bascule: [^\n]+\n", last)
    assert says in last
    assert not list(modules.glob("*.sock"))


@pytest.mark.parametrize("written", [("--log-level", "debug"), ("--log-level=debug",), ()])
def test_debugging_shows_the_traceback_as_well(modules: Path, written: tuple[str, ...]) -> None:
    variables = {} if written else {"BASCULE_LOG_LEVEL": "debug"}
    done = run(modules, *written, "broken:application", **variables)
    assert done.returncode == 4
    assert "Traceback (most recent call last):" in done.stderr
    assert "bascule: cannot load broken:application" in done.stderr.splitlines()[-1]
    assert "bascule/command.py" in done.stderr  # the server's own lines
    assert "bascule/command.py" not in run(modules, "broken:application").stderr


def test_a_port_in_use_is_one_line_and_exit_code_3(modules: Path) -> None:
    with listen() as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run(modules, "--bind", address, "good:application")
    assert done.returncode == 3
    assert done.stderr == f"bascule: cannot listen on {address}: Address already in use\n"


def test_a_log_that_cannot_be_written_is_one_line_and_exit_code_3(modules: Path) -> None:
    bind = ["--bind", f"unix:{modules}/app.sock"]
    done = run(modules, *bind, "--access-logfile", "nowhere/access.log", "good:application")
    assert done.returncode == 3
    assert re.fullmatch(r"bascule: cannot write the access log [^\n]+\n", done.stderr)
    assert not list(modules.glob("*.sock"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_serves_and_ends_without_a_trace(
    modules: Path, number: signal.Signals
) -> None:
    arguments = ["--bind", "127.0.0.1:0", "good:application"]
    with Process(command(arguments), cwd=modules, env=environment()) as process:
        process.wait_until(lambda: "\n" in process.err, "a line", limit=60)
        first, _, _ = process.err.partition("\n")
        process.signal(number)
        assert process.wait(60) == 0
        assert "Traceback" not in process.err
    assert re.search(r" Serving good:application on http://127\.0\.0\.1:\d+$", first.rstrip())


@pytest.mark.parametrize(
    ("arguments", "environ", "served"),
    [
        (["--chain", "c.toml"], {}, "from the chain"),
        (["--chain=c.toml"], {"BASCULE_APP": "plain:application"}, "from the chain"),
        ([], {"BASCULE_CHAIN": "c.toml"}, "from the chain"),
        ([], {"BASCULE_CHAIN": "c.toml", "BASCULE_APP": "plain:application"}, "plain"),
        (["plain:application"], {"BASCULE_CHAIN": "c.toml"}, "plain"),
    ],
)
def test_a_chain_or_an_application_is_checked_whichever_is_named(
    tmp_path: Path, arguments: list[str], environ: dict[str, str], served: str
) -> None:
    (tmp_path / "plain.py").write_text("def application(environ, start_response): return []\n")
    (tmp_path / "chained.py").write_text("print('from the chain')\nfrom plain import application\n")
    (tmp_path / "c.toml").write_text('application = "chained:application"\n')
    done = subprocess.run(
        command(["--bind", f"unix:{tmp_path}/s", "--check-config", *arguments]),
        cwd=tmp_path,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ("from the chain" in done.stdout) is (served == "from the chain")
    is_left_out = not arguments and len(environ) == 2
    assert done.stderr == (
        "bascule: BASCULE_APP goes before BASCULE_CHAIN, so it is served without the chain c.toml\n"
        if is_left_out
        else ""
    )


def test_a_chain_and_an_application_exclude_each_other(tmp_path: Path) -> None:
    done = subprocess.run(
        command(["--chain", "c.toml", "plain:application"]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "bascule: --chain c.toml and plain:application exclude each other: "
        "the chain file names its application\n"
    )


@pytest.mark.parametrize("module", ["logging", "types", "socket", "signal", "http"])
def test_a_module_of_the_project_takes_the_place_of_none_that_the_server_needs(
    tmp_path: Path, module: str
) -> None:
    (tmp_path / f"{module}.py").write_text("raise RuntimeError('not meant for the server')\n")
    (tmp_path / "mine.py").write_text("def application(environ, start_response): return []\n")
    (tmp_path / "chain.toml").write_text('application = "mine:application"\n')
    for arguments in (["mine:application"], ["--chain", "chain.toml"]):
        done = subprocess.run(
            command(["--bind", f"unix:{tmp_path}/s", "--check-config", *arguments]),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


AT_HAND = """
import socket, sys
from bascule import make_server

def application(environ, start_response):
    sys.stdout.write("called\\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"made"]

class Site:
    def __call__(self, environ, start_response):
        return application(environ, start_response)

def of_no_module(environ, start_response):
    return application(environ, start_response)

of_no_module.__module__ = None
"""


@pytest.mark.parametrize(
    ("application", "name"),
    [
        ("application", "__main__:application"),
        ("Site()", "__main__:Site"),
        ("of_no_module", "application:of_no_module"),
    ],
)
@pytest.mark.parametrize("redirection", ["", ">&-"])
def test_a_server_for_an_application_that_is_at_hand(
    tmp_path: Path, application: str, name: str, redirection: str
) -> None:
    (tmp_path / "mine.py").write_text(
        f"{AT_HAND}\nwith make_server('127.0.0.1', 0, {application}) as server:\n"
        "    print(server.server_port, file=sys.stderr, flush=True)\n"
        "    server.serve_forever()\n"
    )
    environ = os.environ | {"BASCULE_ACCESS_LOGFILE": "off"}
    argv = ["sh", "-c", f'exec "$0" mine.py {redirection}', sys.executable]
    with Process(argv, cwd=tmp_path, env=environ) as process:
        process.wait_until(lambda: "Serving" in process.err, "it serves", limit=60)
        port = int(process.err.partition("\n")[0])
        assert f"Serving {name} on http://127.0.0.1:{port}\n" in process.err
        assert fetch(port, "/").body == b"made"
        process.signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_server_that_has_not_served_closes_its_socket(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        f"{AT_HAND}\n"
        "with make_server('127.0.0.1', 0, application) as server:\n"
        "    pass\n"
        "socket.create_server(('127.0.0.1', server.server_port))\n"
    )
    done = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_program_that_imports_the_server_still_finds_its_own_modules(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import bascule\nimport beside\n")
    (tmp_path / "beside.py").write_text("print('found')\n")
    done = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "found\n", "")
