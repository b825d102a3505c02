"""Configuration: from flags and environment to one frozen object, or one readable message."""

from __future__ import annotations

import tomllib
from typing import Any

import gunicorn.config
import pytest
from bascule.config import (
    Config,
    ConfigError,
    as_toml,
    build,
    default_text,
    flag,
    settings,
    variable,
)

APPLICATION = "app.hello:application"

# Each setting: a value as it is written, what becomes of it, and values that are refused; of a whole
# number that must not be 0, the value is 1.
SETTINGS: dict[str, tuple[str, Any, list[str]]] = {
    "bind": ("0.0.0.0:80", ("0.0.0.0:80",), ["x", "a:b", "a:65536", "unix:", "fd://x", "a:-1"]),
    "hold": ("/run/hold", "/run/hold", []),
    "backlog": ("1", 1, ["0", "-1", "x", "1.5", "²"]),
    "worker_connections": ("7", 7, ["-1", "x", "1.5"]),
    "threads": ("1", 1, ["0", "-1", "x", "1.5", " 7", "+7", "1_0"]),
    "backlog_requests": ("0", 0, ["-1", "x", "1.5"]),
    "max_requests": ("7", 7, ["-1", "x", "1.5"]),
    "max_requests_jitter": ("7", 7, ["-1", "x"]),
    "max_memory": ("500000000", 500_000_000, ["-1", "x", "500m", "1.5"]),
    "recycle_wait": ("0.5", 0.5, ["-1", "x", "nan", "inf"]),
    "timeout": ("0.5", 0.5, ["-1", "x", "nan", "inf", "1e999"]),
    "max_stream_duration": ("0.5", 0.5, ["-1", "x", "nan", "inf"]),
    "graceful_timeout": ("0", 0.0, ["-1", "x", "nan", "inf"]),
    "keep_alive": ("0.5", 0.5, ["0", "-1", "x", "nan", "inf"]),
    "head_timeout": ("0.5", 0.5, ["0", "-1", "x", "nan"]),
    "body_timeout": ("0.5", 0.5, ["0", "-1", "x", "nan"]),
    "write_timeout": ("0.5", 0.5, ["0", "-1", "x", "nan"]),
    "limit_request_line": ("1", 1, ["0", "-1", "x"]),
    "limit_request_fields": ("1", 1, ["0", "-1", "x"]),
    "limit_request_field_size": ("1", 1, ["0", "-1", "x"]),
    "limit_request_body": ("0", 0, ["-1", "x", "1k"]),
    "access_logfile": ("off", "off", []),
    "access_logformat": ("json", "json", ["xml", "JSON"]),
    "log_level": ("debug", "debug", ["loud", "DEBUG", "10"]),
    "worker": ("worker-3", "worker-3", []),
    "metrics_file": ("/run/metrics", "/run/metrics", []),
    "status_socket": ("/run/app.status", "/run/app.status", []),
    "log_route": ("/proc/1/fd", "/proc/1/fd", []),
    "error_logfile": ("/run/error.log", "/run/error.log", []),
    "log_config": ("/etc/log.ini", "/etc/log.ini", []),
    "pythonpath": ("/a, /b", ("/a", "/b"), []),
    "pid": ("/run/pid", "/run/pid", []),
    "reload": ("on", True, ["On", "2", "maybe"]),
    "reload_extra_file": ("/a", ("/a",), []),
}

# Settings that gunicorn has not; everything else is named as it is there.
OUR_OWN = {
    "backlog_requests",
    "hold",
    "recycle_wait",
    "head_timeout",
    "body_timeout",
    "write_timeout",
    "limit_request_body",
    "max_memory",
    "max_stream_duration",
    "log_route",
    "metrics_file",
    "status_socket",
    "worker",
}

SEVERAL = [setting.name for setting in settings() if isinstance(setting.default, tuple)]
NAMES = [setting.name for setting in settings()]


def configured(
    flags: dict[str, list[str]] | None = None, environment: dict[str, str] | None = None
) -> Config:
    return build(APPLICATION, flags or {}, environment or {})


def test_every_setting_is_tested_here() -> None:
    assert sorted(SETTINGS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_has_a_flag_and_a_variable_and_the_flag_wins(name: str) -> None:
    written, value, _ = SETTINGS[name]
    default = getattr(Config(), name)

    assert getattr(configured(), name) == default
    assert getattr(configured({name: [written]}), name) == value
    assert getattr(configured(environment={variable(name): written}), name) == value
    other = default_text(next(each for each in settings() if each.name == name))
    assert getattr(configured({name: [written]}, {variable(name): other}), name) == value


@pytest.mark.parametrize(
    ("name", "wrong"), [(name, wrong) for name in NAMES for wrong in SETTINGS[name][2]]
)
def test_a_wrong_value_is_refused_in_one_line_that_names_its_source(name: str, wrong: str) -> None:
    for source, flags, environment in (
        (flag(name), {name: [wrong]}, {}),
        (variable(name), {}, {variable(name): wrong}),
    ):
        with pytest.raises(ConfigError) as refusal:
            configured(flags, environment)
        message = str(refusal.value)
        assert message.startswith(f"{source} must be ")
        assert repr(wrong) in message
        assert "\n" not in message


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_variable_is_no_setting(name: str) -> None:
    assert configured(environment={variable(name): ""}) == configured()


@pytest.mark.parametrize("name", NAMES)
def test_a_default_may_be_written_out(name: str) -> None:
    setting = next(each for each in settings() if each.name == name)
    if default_text(setting) != "none":
        assert configured({name: [default_text(setting)]}) == configured()


def test_names_of_flags_and_variables_follow_from_the_setting() -> None:
    assert (flag("max_requests"), variable("max_requests")) == (
        "--max-requests",
        "BASCULE_MAX_REQUESTS",
    )
    assert flag("limit_request_field_size") == "--limit-request-field_size"
    assert variable("limit_request_field_size") == "BASCULE_LIMIT_REQUEST_FIELD_SIZE"


def gunicorn_flags() -> dict[str, Any]:
    """Return gunicorn's own settings by their flags."""
    known = gunicorn.config.make_settings().values()
    return {each_flag: setting for setting in known for each_flag in setting.cli or []}


@pytest.mark.parametrize("name", sorted(set(NAMES) - OUR_OWN))
def test_gunicorn_has_a_flag_of_the_same_name(name: str) -> None:
    assert flag(name) in gunicorn_flags()


@pytest.mark.parametrize("name", sorted(OUR_OWN))
def test_what_is_called_our_own_is_not_gunicorn_s(name: str) -> None:
    assert flag(name) not in gunicorn_flags()


@pytest.mark.parametrize(
    "name",
    [
        "bind",
        "backlog",
        "timeout",
        "graceful_timeout",
        "max_requests",
        "max_requests_jitter",
        "limit_request_line",
        "limit_request_fields",
        "limit_request_field_size",
        "log_level",
    ],
)
def test_these_defaults_are_gunicorn_s(name: str) -> None:
    theirs = gunicorn_flags()[flag(name)].default
    ours = getattr(Config(), name)
    assert (list(ours) if name == "bind" else ours) == theirs


def test_several_flags_of_one_setting_leave_the_last() -> None:
    assert configured({"threads": ["3", "4"]}).threads == 4


@pytest.mark.parametrize(
    "flags",
    [
        {"bind": ["127.0.0.1:1", "unix:/run/a.sock", "fd://3"]},
        {"bind": ["127.0.0.1:1,unix:/run/a.sock , fd://3"]},
    ],
)
def test_several_addresses_are_all_bound(flags: dict[str, list[str]]) -> None:
    expected = ("127.0.0.1:1", "unix:/run/a.sock", "fd://3")
    assert configured(flags).bind == expected
    assert configured(environment={variable("bind"): ",".join(flags["bind"])}).bind == expected


@pytest.mark.parametrize(
    "address",
    [
        "localhost:0",
        "a:65535",
        "[::1]:8000",
        "[::]:80",
        "unix:/a.sock",
        "unix:@a",
        "unix:/a b",
        "fd://0",
    ],
)
def test_an_address_may_be(address: str) -> None:
    assert configured({"bind": [address]}).bind == (address,)


@pytest.mark.parametrize(
    ("short", "address"),
    [
        ("8000", "127.0.0.1:8000"),
        (":8000", "0.0.0.0:8000"),
        ("0.0.0.0", "0.0.0.0:8000"),
        ("tcp://a:1", "a:1"),
        ("unix:///run/a", "unix:/run/a"),
    ],
)
def test_an_address_may_be_shorter(short: str, address: str) -> None:
    assert configured({"bind": [short]}).bind == (address,)


def test_a_port_in_the_environment_counts_where_no_address_is_given() -> None:
    assert configured(environment={"PORT": "5000"}).bind == ("0.0.0.0:5000",)
    assert configured({"bind": ["a:1"]}, {"PORT": "5000"}).bind == ("a:1",)
    assert configured(environment={"PORT": "5000", "BASCULE_BIND": "a:1"}).bind == ("a:1",)
    assert configured(environment={"PORT": ""}) == configured()
    for wrong in ("five", ":8000", "tcp://10.0.0.1:80"):
        with pytest.raises(ConfigError, match="PORT must be HOST:PORT"):
            configured(environment={"PORT": wrong})


def test_a_setting_may_be_written_in_each_of_its_spellings() -> None:
    theirs = gunicorn_flags()
    for setting in settings():
        for spelling in setting.also:
            assert theirs[spelling] is theirs[flag(setting.name)]


def test_all_settings_are_shown_as_toml() -> None:
    config = configured({"bind": ["a:1", "b:2"], "pid": ['/run/"é"'], "reload": ["on"]})
    shown = tomllib.loads(as_toml(config, 3, ""))
    assert shown.pop("workers") == 3
    assert Config(**shown | {name: tuple(shown[name]) for name in SEVERAL}) == config


@pytest.mark.parametrize(
    "address",
    ["", "65536", ":", ":²", "host", "host:", "host:http", "fd://", "fd://²", "a:²", "::1:80"],
)
def test_an_address_may_not_be(address: str) -> None:
    with pytest.raises(ConfigError, match="must be HOST:PORT, :PORT, PORT, unix:PATH or fd://N"):
        configured({"bind": [f"127.0.0.1:1,{address}"]})


@pytest.mark.parametrize("application", ["", "app:", ":application", ":"])
def test_an_application_is_a_module_and_a_callable(application: str) -> None:
    with pytest.raises(ConfigError, match="MODULE:CALLABLE"):
        build(application, {}, {})


def test_a_configuration_cannot_be_changed() -> None:
    config = configured()
    with pytest.raises(AttributeError, match="threads"):
        config.threads = 5  # type: ignore[misc]


def test_unless_told_a_body_may_have_a_gibibyte_and_nobody_is_waited_for_at_the_end() -> None:
    assert Config().limit_request_body == 1 << 30
    assert Config().recycle_wait == 0


def test_a_configuration_has_no_other_settings() -> None:
    with pytest.raises(TypeError, match="no such setting: thread, worker_count"):
        Config(thread=3, worker_count=2)  # type: ignore[call-arg]


def test_other_variables_of_the_environment_do_not_matter() -> None:
    assert configured(environment={"THREADS": "3", "BASCULE_UNKNOWN": "x"}) == configured()
