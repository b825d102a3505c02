"""Each default has one home, and .env.example says what it is. Read from the source."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from bascule.config import Setting, default_text, settings, variable
from bascule_ops.settings.variables import DEFAULTS, WORKERS_NAMES

ROOT = Path(__file__).parents[2]
COMPOSE = "docker-compose.yml"
NGINX = "nginx/docker-entrypoint.d/10-settings.envsh"

# What supervisord.conf says for each worker, so that nobody else has a say in it.
OF_ONE_WORKER = {
    *("bind", "hold", "recycle_wait", "worker", "status_socket", "metrics_file", "log_route"),
}
# What a server has that somebody starts by hand.
OF_A_START_BY_HAND = {
    *("error_logfile", "log_config", "pythonpath", "pid", "reload", "reload_extra_file"),
}
# Where an nginx is, which the image or local mode knows, and what only the baseline's has.
OF_ONE_NGINX = {
    *("NGINX_BINARY", "NGINX_SOURCE_DIR", "NGINX_PROJECT_DIR", "NGINX_STATIC_DIR"),
    "MEDIA_DIR",
    *("NGINX_RUN_DIR", "RUN_DIR", "NGINX_ACCESS_LOG"),
    *("NGINX_HOST", "NGINX_PORT", "NGINX_STATUS_PORT", "NGINX_STATUS_HOST"),
    *("NGINX_TLS_HOST", "NGINX_TLS_PORT"),
    "NGINX_UPSTREAM_SOCKETS",
}
# In containers compose says where the volume is.
OF_LOCAL_MODE = {"MEDIA_DIR": ""}
# What the workers' limit of a body follows.
# Of services that init writes, and of local mode.
OF_PROCESSES = {"PROCFILE_GRACE"}
ASKED_OF_NGINX = {"NGINX_CLIENT_MAX_BODY_SIZE"}
# The stack's workers write JSON; a server that somebody starts by hand does not.
OTHER_THAN_THE_SERVER_S = {"BASCULE_ACCESS_LOGFORMAT"}
# Compose asks the stack for it.
ASKED_OF_THE_STACK = {"START_TIMEOUT"}
# The stack asks the server for it.
ASKED_OF_THE_SERVER = {"BASCULE_GRACEFUL_TIMEOUT", "BASCULE_TIMEOUT"}

# ${NAME:-default}, as compose and a shell have it; "$$" is a dollar sign for the container.
REFERENCE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?::?[-=](?P<default>[^}]*))?\}")
# environ.get("NAME", "default") and environ.get("NAME") or "default"
LOOKED_UP = re.compile(r"""environ\.get\("(\w+)"(?:, |\) or )"([^"]+)"\)?""")
SETTING = re.compile(r"(?P<name>[A-Z_]+)=(?P<value>.*)|# (?P<unset>[A-Z_]+)=")


def without_comments(path: str) -> str:
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def of_the_server() -> dict[str, str]:
    def text(setting: Setting) -> str:
        return "" if setting.default == "" else default_text(setting)

    others = OF_ONE_WORKER | OF_A_START_BY_HAND
    return {variable(x.name): text(x) for x in settings() if x.name not in others}


def of_the_stack() -> dict[str, str]:
    names = [name for name in DEFAULTS if name not in of_the_server()]
    unset = {name: "" for name in WORKERS_NAMES if name != "WORKERS"}
    return {name: DEFAULTS[name] for name in [*names, *OTHER_THAN_THE_SERVER_S]} | unset


def of_nginx() -> dict[str, str]:
    found = re.findall(r'^: "\$\{(\w+):=(.*)\}"$', (ROOT / NGINX).read_text(), re.MULTILINE)
    return {name: default for name, default in found if name not in OF_ONE_NGINX}


def of_compose() -> dict[str, str]:
    matches = list(REFERENCE.finditer(without_comments(COMPOSE)))
    # One that goes by another setting has no default of its own.
    pairs = {(match["name"], re.sub(r"^\$.*", "", match["default"] or "")) for match in matches}
    defaults = dict(pairs)
    # Compose itself has one for the project's name.
    defaults["COMPOSE_PROJECT_NAME"] = ""
    assert len(pairs) + 1 == len(defaults), "compose has two defaults for one setting"
    for name in ASKED_OF_THE_STACK:
        assert defaults.pop(name) == DEFAULTS[name]
    return defaults


def homes() -> dict[str, dict[str, str]]:
    """Return each home's settings with their defaults; an empty one is none."""
    server = of_the_server()
    return {
        "server": {name: server[name] for name in server.keys() - OTHER_THAN_THE_SERVER_S},
        "stack": of_the_stack(),
        "nginx": of_nginx(),
        "compose": of_compose(),
        "local mode": OF_LOCAL_MODE,
    }


def all_defaults() -> dict[str, str]:
    defaults: dict[str, str] = {}
    for home in homes().values():
        defaults |= {name: value for name, value in home.items() if value or name not in defaults}
    return defaults


def example_lines() -> list[str]:
    return (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()


def test_no_default_has_two_homes() -> None:
    found = [name for home in homes().values() for name, default in home.items() if default]
    assert sorted(found) == sorted(set(found))


def test_the_stack_repeats_no_default_of_the_server_s() -> None:
    server = of_the_server()
    both = DEFAULTS.keys() & server.keys()
    assert both == OTHER_THAN_THE_SERVER_S | ASKED_OF_THE_SERVER
    assert {name for name in both if DEFAULTS[name] != server[name]} == OTHER_THAN_THE_SERVER_S


def test_every_setting_is_in_the_example_with_the_default_of_its_home() -> None:
    matches = [match for line in example_lines() if (match := SETTING.fullmatch(line))]
    example = {match["name"] or match["unset"]: match["value"] or "" for match in matches}
    assert len(example) == len(matches), "a setting is in the example twice"
    assert example == all_defaults()


def test_every_setting_of_the_example_is_explained_above_it() -> None:
    lines = example_lines()
    assert SETTING.fullmatch(lines[0]) is None
    unexplained = [
        line
        for above, line in pairwise(lines)
        # A setting may share the comment of the setting above it, as LOG_MAX_FILES does.
        if SETTING.fullmatch(line) and not (above.startswith("# ") or SETTING.fullmatch(above))
    ]
    assert unexplained == []


def copies() -> list[str]:
    """Return what looks like a setting's default outside the homes, as FILE: NAME default."""
    known = all_defaults()
    paths = [
        path
        for place in ("ops", "nginx", "server", "middleware")
        for path in sorted((ROOT / place).rglob("*"))
        if path.is_file() and path.suffix in ("", ".sh", ".envsh", ".py", ".conf", ".template")
    ]
    found = []
    for path in paths:
        name = str(path.relative_to(ROOT))
        text = path.read_text(encoding="utf-8")
        for match in REFERENCE.finditer(text):
            if match["name"] in known and match["default"] and name != NGINX:
                found.append(f"{name}: {match['name']} {match['default']}")
        found += [f"{name}: {a} {b}" for a, b in LOOKED_UP.findall(text) if a in known]
    return found


def test_no_default_stands_outside_its_home() -> None:
    assert copies() == []


def test_nginx_knows_the_stack_s_number_of_workers_where_nobody_says_it() -> None:
    # Its one copy, for an nginx that starts before workers have said how many they are.
    (number,) = re.findall(r"^WORKERS=\$\{workers_value:-(.*)\}$", (ROOT / NGINX).read_text(), re.M)
    assert number == DEFAULTS["WORKERS"]
    (names,) = re.findall(r"^for workers_setting in (.*); do$", (ROOT / NGINX).read_text(), re.M)
    assert tuple(names.split()) == WORKERS_NAMES


def test_nginx_knows_the_server_s_deadline_where_nobody_says_it() -> None:
    (seconds,) = re.findall(r"\$\{BASCULE_TIMEOUT:-(.*?)\}", (ROOT / NGINX).read_text())
    assert seconds == of_the_server()["BASCULE_TIMEOUT"]


@pytest.mark.parametrize(
    ("block", "names"),
    [
        ("x-server", {*of_the_server(), *of_the_stack(), *ASKED_OF_NGINX} - OF_PROCESSES),
        ("x-nginx-environment", {*of_nginx(), "HEALTH_PATH"}),
    ],
)
def test_compose_passes_every_setting_by_its_name(block: str, names: set[str]) -> None:
    text = without_comments(COMPOSE)
    (body,) = re.findall(rf"^{block}: .*\n((?:[ ]+.*\n|\n)+)", text, re.MULTILINE)
    passed = re.findall(r"^ +([A-Z_]+):$", body, re.MULTILINE)
    # Compose mounts these two files, and says where.
    assert sorted(passed) == sorted(names - {"NGINX_TLS_CERTIFICATE", "NGINX_TLS_CERTIFICATE_KEY"})


def test_what_is_said_for_each_worker_is_said_in_supervisor_s_configuration() -> None:
    text = (ROOT / "ops/stack/supervisord.conf").read_text()
    for name in OF_ONE_WORKER:
        assert variable(name) in text or f"--{name.replace('_', '-')} " in text
