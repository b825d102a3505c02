"""The baseline's gunicorn gets the settings of our server and of the stack."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import gunicorn.config
import pytest
from bascule.config import CHAIN_ENTRY, Config, ConfigError, flag, settings, variable

FILE = Path(__file__).parents[2] / "ops" / "stack" / "gunicorn.conf.py"
# Of our server's settings, those that gunicorn has and the baseline has a say in.
SHARED = {
    *("threads", "backlog", "timeout", "graceful_timeout", "keep_alive", "log_level"),
    *("limit_request_line", "limit_request_fields", "limit_request_field_size"),
}
NAMES_BY_FLAG = {
    each: setting.name
    for setting in gunicorn.config.make_settings().values()
    for each in setting.cli or []
}


def configured(monkeypatch: pytest.MonkeyPatch, **environ: str) -> dict[str, Any]:
    """Read the file as gunicorn does; return what gunicorn makes of each setting in it."""
    for name in ("BASCULE_APP", "BASCULE_WORKERS", "WEB_CONCURRENCY", "WORKERS", "RUN_DIR"):
        monkeypatch.delenv(name, raising=False)
    for setting in settings():
        monkeypatch.delenv(variable(setting.name), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    known = gunicorn.config.Config()
    read = {name: x for name, x in runpy.run_path(str(FILE)).items() if name in known.settings}
    for name, value in read.items():
        known.set(name, value)
    return {name: known.settings[name].get() for name in read}


def test_nothing_set_leaves_the_defaults_of_our_server_and_of_the_stack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = configured(monkeypatch)
    for name in SHARED:
        assert found[NAMES_BY_FLAG[flag(name)]] == getattr(Config(), name)
    assert found["wsgi_app"] == CHAIN_ENTRY
    assert found["workers"] == 2
    assert found["bind"] == ["unix:/run/bascule/gunicorn.sock"]


@pytest.mark.parametrize("name", sorted(SHARED - {"log_level"}))
def test_a_setting_of_our_server_is_one_of_the_baseline(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    found = configured(monkeypatch, **{variable(name): "99"})
    assert found[NAMES_BY_FLAG[flag(name)]] == 99


def test_the_application_the_number_of_workers_and_the_place_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environ = {"BASCULE_APP": "shop:application", "WEB_CONCURRENCY": "5", "RUN_DIR": "/srv/run"}
    found = configured(monkeypatch, **environ)
    assert (found["wsgi_app"], found["workers"]) == ("shop:application", 5)
    assert found["bind"] == ["unix:/srv/run/gunicorn.sock"]


def test_parts_of_a_second_are_rounded_up_as_gunicorn_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert configured(monkeypatch, BASCULE_TIMEOUT="0.5")["timeout"] == 1


def test_a_wrong_value_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="BASCULE_THREADS must be"):
        configured(monkeypatch, BASCULE_THREADS="many")
