"""The file of --config: ours in TOML, and gunicorn's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gunicorn.config
import pytest
from bascule import gunicorn as theirs
from bascule.config import CHAIN_ENTRY, Config, ConfigError, as_toml, build
from bascule.settings_file import SettingsFile

from tests.server.test_main import run

APPLICATION = "shop:application"

# What ten projects set in theirs: the facts, in an order and a form of our own; then what of it
# has no effect here.
PROJECTS: dict[str, tuple[dict[str, Any], dict[str, Any], set[str]]] = {
    "lacros-tropos/larda http_server/gunicorn_config.py": (
        {
            **{"bind": "127.0.0.1:7979", "workers": 6, "timeout": 600, "keepalive": 15},
            **{"accesslog": "gunicorn_access.log", "errorlog": "gunicorn_error.log"},
        },
        {
            **{"bind": ("127.0.0.1:7979",), "timeout": 600.0, "keep_alive": 15.0},
            **{"access_logfile": "HERE/gunicorn_access.log"},
            **{"error_logfile": "HERE/gunicorn_error.log"},
        },
        set(),
    ),
    "gestholdev/hol-erp backend/gunicorn_config.py": (
        {
            **{"bind": "127.0.0.1:8001", "workers": 3, "worker_class": "sync", "timeout": 120},
            **{"loglevel": "info", "accesslog": "/var/log/gunicorn/access.log"},
            **{"errorlog": "/var/log/gunicorn/error.log"},
        },
        {
            **{"bind": ("127.0.0.1:8001",), "timeout": 120.0, "log_level": "info"},
            **{"access_logfile": "/var/log/gunicorn/access.log"},
            **{"error_logfile": "/var/log/gunicorn/error.log"},
        },
        set(),
    ),
    "1246930439/ETL- gunicorn.conf.py": (
        {
            **{"bind": "127.0.0.1:8000", "workers": 4, "worker_class": "sync", "timeout": 30},
            **{"worker_connections": 1000, "max_requests": 1000, "max_requests_jitter": 100},
            **{"keepalive": 2, "preload_app": True, "user": "www-data", "group": "www-data"},
            **{"tmp_upload_dir": None, "logfile": "/var/log/scheduler/gunicorn.log"},
            **{"loglevel": "info", "proc_name": "scheduler", "daemon": False, "tmpdir": "/tmp"},
            **{"access_log_format": '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'},
            "pidfile": "/var/run/scheduler/scheduler.pid",
            **dict.fromkeys(("on_starting", "when_ready", "on_reload", "worker_int"), print),
            **dict.fromkeys(("pre_fork", "post_fork", "post_worker_init"), print),
            **dict.fromkeys(("worker_exit", "child_exit"), print),
        },
        {
            **{"bind": ("127.0.0.1:8000",), "timeout": 30.0, "keep_alive": 2.0},
            **{"worker_connections": 1000, "max_requests": 1000, "max_requests_jitter": 100},
            **{"log_level": "info", "pid": "/var/run/scheduler/scheduler.pid"},
        },
        {
            *("preload_app", "user", "group", "access_log_format", "proc_name"),
            *("on_starting", "when_ready", "on_reload", "worker_int", "pre_fork", "post_fork"),
            *("post_worker_init", "worker_exit", "child_exit"),
        },
    ),
    "1genadam/tileshop-rag gunicorn.conf.py": (
        {
            **{"bind": "0.0.0.0:8080", "backlog": 2048, "workers": 2, "worker_class": "gthread"},
            **{"worker_connections": 1000, "threads": 2, "max_requests": 1000},
            **{"max_requests_jitter": 50, "preload_app": True, "timeout": 120, "keepalive": 2},
            **{"max_worker_memory": 400, "limit_request_line": 4094, "limit_request_fields": 100},
            **{"limit_request_field_size": 8190, "accesslog": "-", "errorlog": "-"},
            **{"loglevel": "info", "access_log_format": "%(h)s %(D)s", "daemon": False},
            **{"proc_name": "tileshop-rag", "pidfile": None, "user": None, "group": None},
            **{"tmp_upload_dir": "/tmp", "worker_tmp_dir": "/dev/shm", "graceful_timeout": 30},
            "enable_stdio_inheritance": True,
        },
        {
            **{"bind": ("0.0.0.0:8080",), "worker_connections": 1000, "threads": 2},
            **{"max_requests": 1000, "max_requests_jitter": 50, "timeout": 120.0},
            "keep_alive": 2.0,
        },
        {
            *("preload_app", "access_log_format", "proc_name", "tmp_upload_dir"),
            *("worker_tmp_dir", "enable_stdio_inheritance"),
        },
    ),
    "StuartMacKay/ebirders-pt config/gunicorn.py": (
        {
            **{"env": object(), "bind": "0.0.0.0:8000", "accesslog": "-", "loglevel": "DEBUG"},
            **{"access_log_format": "%(h)s in %(D)sµs", "workers": 1, "threads": 1},
            **{"reload": False, "max_requests": "0", "timeout": 30},
        },
        {"bind": ("0.0.0.0:8000",), "log_level": "debug", "threads": 1},
        {"access_log_format"},
    ),
    "canonical/netbox contrib/gunicorn.py": (
        {
            **{"max_requests": 5000, "max_requests_jitter": 500, "timeout": 120},
            **{"threads": 3, "workers": 5, "bind": "127.0.0.1:8001"},
        },
        {
            **{"bind": ("127.0.0.1:8001",), "threads": 3, "timeout": 120.0},
            **{"max_requests": 5000, "max_requests_jitter": 500},
        },
        set(),
    ),
    "CERT-Polska/mwdb-core docker/gunicorn.conf.py": (
        {
            **{"workers": 4, "reload": False, "user": "nobody", "bind": "0.0.0.0:8080"},
            "wsgi_app": APPLICATION,
        },
        {"bind": ("0.0.0.0:8080",)},
        {"user"},
    ),
    "EOxServer/eoxserver docker/gunicorn.conf.py": (
        {"timeout": 600, "worker_class": "sync", "workers": 5, "bind": ":8000", "chdir": ""},
        {"bind": ("0.0.0.0:8000",), "timeout": 600.0},
        set(),
    ),
    "cdhigh/KindleEar docker/gunicorn.conf.py": (
        {
            **{"logconfig_dict": {"version": 1}, "certfile": None, "keyfile": None},
            **{"enable_stdio_inheritance": True, "capture_output": True, "threads": 3},
            **{"workers": 1, "bind": "0.0.0.0:8000", "pythonpath": "/usr/local/lib/site"},
        },
        {"bind": ("0.0.0.0:8000",), "threads": 3, "pythonpath": ("/usr/local/lib/site",)},
        {"logconfig_dict", "enable_stdio_inheritance", "capture_output"},
    ),
    "ThePalaceProject/library-registry docker/gunicorn.conf.py": (
        {
            **{"pythonpath": "/srv", "threads": 2, "workers": 5, "bind": ["127.0.0.1:8000"]},
            **{"group": "nginx", "user": "nginx", "daemon": False, "chdir": "/srv"},
            **{"preload_app": False, "limit_request_field_size": 8190, "loglevel": "info"},
            **{"limit_request_fields": 100, "limit_request_line": 4094, "errorlog": "-"},
            **{"accesslog": "-", "wsgi_app": APPLICATION},
        },
        {"bind": ("127.0.0.1:8000",), "threads": 2, "pythonpath": ("/srv",)},
        {"user", "group"},
    ),
}


def written(directory: Path, text: str, name: str = "gunicorn.conf.py") -> str:
    (directory / name).write_text(text)
    return str(directory / name)


def of(path: str, *, environment: dict[str, str] | None = None, **flags: list[str]) -> Config:
    file = SettingsFile(path)
    return build(APPLICATION, flags, environment or {}, file.flags, file.sources)


@pytest.mark.parametrize("project", PROJECTS)
def test_a_project_s_file_is_taken_over_and_what_has_no_effect_is_named_once(
    project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, expected, without_effect = PROJECTS[project]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "facts", given)  # type: ignore[arg-type]
    path = written(tmp_path, "import sys\nglobals().update(sys.modules['facts'])\n")
    found, default = of(path), Config(application=APPLICATION)
    for name, value in vars(found).items():
        wanted = expected.get(name, getattr(default, name))
        assert value == (
            wanted.replace("HERE", str(tmp_path)) if isinstance(wanted, str) else wanted
        ), name
    notes = SettingsFile(path).notes
    assert [note.split()[1] for note in notes] == [each for each in given if each in without_effect]
    assert len(notes) == len(without_effect)
    for note in notes:
        assert note.startswith("gunicorn.conf.py: ")
        assert " has no effect: " in note


def test_the_command_line_goes_first_then_the_environment_the_file_and_the_port(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, "threads = 3\nbind = ['a:1', 'unix:/run/b']\n")
    assert of(path).threads == 3
    assert of(path).bind == ("a:1", "unix:/run/b")
    assert of(path, environment={"BASCULE_THREADS": "4", "PORT": "5"}).threads == 4
    assert of(path, environment={"PORT": "5"}).bind == ("a:1", "unix:/run/b")
    assert of(path, environment={"BASCULE_THREADS": "4"}, threads=["5"]).threads == 5


def test_a_value_of_the_file_that_is_wrong_is_named_as_the_file_does(tmp_path: Path) -> None:
    path = written(tmp_path, "keepalive = 'long'\n")
    with pytest.raises(
        ConfigError, match=r"^gunicorn.conf.py: keepalive must be a number .*'long'$"
    ):
        of(path)


def test_no_access_log_is_what_gunicorn_means_by_none(tmp_path: Path) -> None:
    assert of(written(tmp_path, "accesslog = None")).access_logfile == "off"


def test_a_file_may_import_what_is_beside_it_and_ask_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numbers_.py").write_text("THREADS = 6\n")
    text = "import os\nfrom numbers_ import THREADS as threads\nbind = os.environ['AT']\n"
    path = written(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AT", "a:1")
    before = sys.path[:]
    found = of(path)
    assert (found.threads, found.bind) == (6, ("a:1",))
    assert sys.path == before


def test_where_a_file_goes_while_it_is_read_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    path = written(tmp_path, "import os, sys\nos.chdir('/')\nsys.path = ['/']\npidfile = 'a'\n")
    assert of(path).pid == str(tmp_path / "a")
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("gunicorn.conf.py", "threads = 3\nthread + 1\n", "gunicorn.conf.py, line 2: NameError: "),
        (
            "gunicorn.conf.py",
            "import sys\nsys.exit(3)\n",
            "gunicorn.conf.py, line 2: SystemExit: 3",
        ),
        ("gunicorn.conf.py", "def (\n", "gunicorn.conf.py: SyntaxError: "),
        ("our.toml", "thread = 3\n", "our.toml: there is no setting 'thread' (see --help)"),
        ("our.toml", "threads = \n", "our.toml: "),
        (
            "our.toml",
            "threads = 0\n",
            "our.toml: threads must be a whole number from 1 up, not '0'",
        ),
        (
            "our.toml",
            "workers = 0\n",
            "our.toml: workers must be a whole number from 1 up, not '0'",
        ),
        ("our.toml", "chdir = 'no'\n", "our.toml: chdir no: No such file or directory"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_line_and_exit_code_2(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    written(tmp_path, text, name)
    done = run(tmp_path, "--check-config", "-c", name, "shop")
    assert done.returncode == 2
    assert done.stderr.startswith(f"bascule: {said}")
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_not_there_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = run(tmp_path, "--config", "none.toml", "shop")
    path = tmp_path / "none.toml"
    assert done.stderr == f"bascule: --config: cannot read {path}: No such file or directory\n"
    assert done.returncode == 2


def test_what_is_shown_of_all_settings_may_be_a_file(tmp_path: Path) -> None:
    config = build(
        APPLICATION,
        {"bind": ["a:1", "b:2"], "pid": ["/run/a b"], "timeout": ["0.5"], "reload": ["on"]},
        {},
    )
    path = written(tmp_path, as_toml(config, 3, "no.toml"), "shown.toml")
    assert of(path) == config
    assert SettingsFile(path).last("application") == APPLICATION
    assert SettingsFile(path).last("workers") == "3"
    chained = as_toml(build(CHAIN_ENTRY, {}, {}), 1, "our.toml")
    assert SettingsFile(written(tmp_path, chained, "shown.toml")).last("chain") == "our.toml"


LOOKS = """
import os
print(os.getcwd(), os.environ["A"], os.environ["B"])
def app(environ, start_response): ...
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("its.toml", 'application = "looks"\nchdir = "project"\nenv = { A = "x=1", B = "2" }\n'),
        ("conf.py", "wsgi_app, chdir, raw_env = 'looks', 'project', ['A=x=1', 'B=2']\n"),
        ("more.toml", 'application = "looks"\nchdir = "project"\nenv_file = "v.env"\n'),
    ],
)
def test_the_application_its_directory_and_variables_may_be_in_the_file(
    name: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "looks.py").write_text(LOOKS)
    (tmp_path / "project" / "v.env").write_text("A=x=1\nB=2\n")
    written(tmp_path, text, name)
    done = run(tmp_path, "--check-config", "-c", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"{tmp_path}/project x=1 2"


def test_a_file_is_of_the_directory_of_the_start_and_what_it_names_of_the_other(
    tmp_path: Path,
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "shop.py").write_text("def app(*_): ...\n")
    text = "def post_fork(*_): ...\nerrorlog, chdir = 'error.log', 'elsewhere'\n"
    written(tmp_path, text)
    done = run(tmp_path, "--check-config", "-c", "gunicorn.conf.py", "--chdir", "project", "shop")
    assert done.returncode == 0
    assert done.stderr.startswith("bascule: gunicorn.conf.py: post_fork has no effect: hooks are ")
    assert (tmp_path / "project" / "error.log").exists()


# --- what gunicorn has ----------------------------------------------------------------------------

KNOWN = gunicorn.config.make_settings()


def test_each_of_gunicorn_s_settings_is_here_or_has_an_answer_with_its_flags() -> None:
    here = {"config", "check_config", "print_config"}  # of a command line only
    assert sorted([*theirs.NAMES, *theirs.ELSEWHERE, *here]) == sorted(KNOWN)
    for name, (flags, text) in theirs.ELSEWHERE.items():
        assert flags == tuple(KNOWN[name].cli or ()), name
        assert text


@pytest.mark.parametrize("flag", [flag for flags, _ in theirs.ELSEWHERE.values() for flag in flags])
def test_a_flag_of_gunicorn_s_that_is_not_ours_is_answered(flag: str) -> None:
    from bascule.cli import parse

    for arguments in ([flag], [f"{flag}=x" if flag[1] == "-" else f"{flag}x"]):
        with pytest.raises(ConfigError) as caught:
            parse(arguments)
        assert str(caught.value).startswith(f"{flag} is gunicorn's, not ours: ")
