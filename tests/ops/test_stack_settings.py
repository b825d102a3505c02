"""The stack's own settings: the environment over defaults, or one refusal that says the remedy."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from bascule.config import CHAIN_ENTRY, Config
from bascule_ops.errors import Refused
from bascule_ops.settings.directories import MOST_BYTES
from bascule_ops.settings.variables import (
    DEFAULTS,
    WORKERS_NAMES,
    StackSettings,
    directory,
    read,
    values,
    workers,
)

UNFIT = (
    "it may have no quote, comma, backslash, dollar or percent sign. "
    "Set RUN_DIR to another directory"
)
BY_DEFAULT = StackSettings(
    workers=2,
    application=CHAIN_ENTRY,
    chain="",
    graceful_timeout=30.0,
    timeout=30.0,
    access_logformat="json",
    health_path="/",
    start_timeout=120.0,
    run_dir=Path("/run/bascule"),
)
EMPTY = dict.fromkeys((*WORKERS_NAMES, *DEFAULTS, "RUN_DIR"), "")


def test_nothing_set_leaves_the_defaults() -> None:
    assert read({}) == BY_DEFAULT


def test_an_empty_variable_is_an_unset_one() -> None:
    assert read(EMPTY) == BY_DEFAULT


def test_a_worker_s_deadlines_are_the_server_s_own_defaults() -> None:
    assert read({}).graceful_timeout == Config().graceful_timeout
    assert read({}).timeout == Config().timeout


def test_every_setting_may_be_set() -> None:
    environ = {
        "WORKERS": "99",
        "BASCULE_APP": "shop:create_app('prod', debug=False)",
        "BASCULE_CHAIN": "links.toml",
        "BASCULE_GRACEFUL_TIMEOUT": "0.5",
        "BASCULE_TIMEOUT": "6",
        "BASCULE_ACCESS_LOGFORMAT": "combined",
        "HEALTH_PATH": "/health?deep=1",
        "START_TIMEOUT": "300",
        "RUN_DIR": "/tmp/run",
    }
    assert read(environ) == StackSettings(
        workers=99,
        application="shop:create_app('prod', debug=False)",
        chain="links.toml",
        graceful_timeout=0.5,
        timeout=6.0,
        access_logformat="combined",
        health_path="/health?deep=1",
        start_timeout=300.0,
        run_dir=Path("/tmp/run"),
    )


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        read({}).workers = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("environ", "number"),
    [
        ({"BASCULE_WORKERS": "5", "WEB_CONCURRENCY": "4", "WORKERS": "3"}, 5),
        ({"BASCULE_WORKERS": "", "WEB_CONCURRENCY": "4", "WORKERS": "3"}, 4),
        ({"WEB_CONCURRENCY": "4", "WORKERS": "3"}, 4),
        ({"WEB_CONCURRENCY": "", "WORKERS": "3"}, 3),
        ({"WORKERS": "3"}, 3),
        ({}, 2),
    ],
)
def test_the_first_name_that_is_set_says_how_many_workers(
    environ: dict[str, str], number: int
) -> None:
    assert workers(environ) == read(environ).workers == number
    assert values(environ)["WORKERS"] == str(number)


@pytest.mark.parametrize("name", WORKERS_NAMES)
@pytest.mark.parametrize("value", ["0", "100", "abc", "-1", "1.5", " 2", "2\n", "²"])
def test_a_wrong_number_of_workers_is_refused_by_the_name_that_says_it(
    name: str, value: str
) -> None:
    with pytest.raises(Refused) as refusal:
        read({"WORKERS": "2"} | {name: value})
    remedy = "set it to the number of worker processes, 1 to 99"
    assert str(refusal.value) == f'{name} is "{value}": {remedy}'


def test_a_wrong_number_that_does_not_count_is_nobody_s_business() -> None:
    assert workers({"BASCULE_WORKERS": "3", "WEB_CONCURRENCY": "many"}) == 3


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("BASCULE_GRACEFUL_TIMEOUT", "soon", "set it to seconds, such as 30"),
        ("BASCULE_GRACEFUL_TIMEOUT", "1.2.3", "set it to seconds, such as 30"),
        ("BASCULE_GRACEFUL_TIMEOUT", ".5", "set it to seconds, such as 30"),
        ("BASCULE_GRACEFUL_TIMEOUT", "-1", "set it to seconds, such as 30"),
        (
            "BASCULE_APP",
            "app/wsgi.py",
            "set it to MODULE:CALLABLE, such as project.wsgi:application",
        ),
        ("START_TIMEOUT", "0", "set it to whole seconds, such as 120"),
        ("START_TIMEOUT", "1.5", "set it to whole seconds, such as 120"),
        ("BASCULE_APP", ":app", "set it to MODULE:CALLABLE, such as project.wsgi:application"),
        ("BASCULE_APP", "app:", "set it to MODULE:CALLABLE, such as project.wsgi:application"),
        (
            "HEALTH_PATH",
            "/no space",
            "set it to a path that the application answers, such as /",
        ),
        ("HEALTH_PATH", "/'", "set it to a path that the application answers, such as /"),
        ("HEALTH_PATH", "slash", "set it to a path that starts with a slash"),
        *(("RUN_DIR", each, UNFIT) for each in ("/a%b", "/a'b", "/a,b")),
        (
            "RUN_DIR",
            "/" + "x" * MOST_BYTES,
            "that is too long for unix sockets in it, 81 bytes are the most. "
            "Set RUN_DIR to a shorter directory",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_a_remedy(
    name: str, value: str, why: str
) -> None:
    with pytest.raises(Refused) as refusal:
        read({name: value})
    assert str(refusal.value) == f'{name} is "{value}": {why}'


def test_a_run_directory_s_length_is_counted_in_bytes() -> None:
    assert read({"RUN_DIR": "/" + "x" * (MOST_BYTES - 1)})
    with pytest.raises(Refused, match="too long"):
        read({"RUN_DIR": "/" + "ü" * 41})


def test_the_container_s_directories_are_the_defaults() -> None:
    assert directory("SUPERVISOR_DIR", {"SUPERVISOR_DIR": ""}) == Path("/run/supervisor")
    assert directory("RUN_DIR", {"RUN_DIR": "/srv/run"}) == Path("/srv/run")


def test_the_values_as_they_are_written_are_those_that_are_read() -> None:
    assert values({}).keys() == DEFAULTS.keys()
    assert read(values({})) == BY_DEFAULT
