"""The example of docs/hardening.md: an application gets a secret as a file."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.fetch import fetch
from tests.harness.processes import ROOT
from tests.stack.project import CommandError, Project, run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

SECRET = "correct horse battery staple"
ANOTHER = "Tr0ub4dor&3"
USER = 10001
APPLICATION = "tests/stack/applications/secret.py"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secret, outside."""
    file = tmp_path_factory.mktemp("secret") / "database_password"
    file.write_text(SECRET + "\n")
    if os.geteuid() == 0:
        os.chown(file, USER, USER)
        file.chmod(0o400)
    else:  # only root can give it away
        file.chmod(0o644)
    return file


@pytest.fixture(scope="module")
def with_secret(make_project: Callable[..., Project], file: Path) -> Iterator[Project]:
    """A stack with the page's override, a secret, and an application that reads it."""
    page = (ROOT / "docs" / "hardening.md").read_text()
    (example,) = [
        block
        for block in re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        if "secrets:" in block
    ]
    override = file.with_name("override.yml")
    override.write_text(example.replace("./secrets/database_password", str(file)))
    added = file.with_name("application.json")  # JSON is YAML
    mounts = {"volumes": [f"./{APPLICATION}:/srv/secret.py:ro"]}
    environment = {"environment": {"BASCULE_APP": "secret:application"}}
    added.write_text(json.dumps({"services": {"server": mounts | environment}}))
    project = make_project(override=str(override), more=(str(added),))
    project.up()
    yield project
    project.down()


def test_the_application_reads_it(with_secret: Project) -> None:
    reply = fetch(with_secret.address(), "/")
    assert reply.body.decode() == hashlib.sha256(SECRET.encode()).hexdigest()


def test_it_is_in_no_environment_and_no_log(with_secret: Project) -> None:
    assert SECRET not in run("docker", "inspect", with_secret.container("server"))
    assert "DATABASE_PASSWORD_FILE=" in run("docker", "inspect", with_secret.container("server"))
    assert SECRET not in "\n".join(with_secret.log_lines("server"))


def test_it_cannot_be_changed_and_nginx_has_none(with_secret: Project) -> None:
    path = "/run/secrets/database_password"
    with pytest.raises(CommandError, match=r"Read-only file system|Permission denied"):
        with_secret.execute("server", "sh", "-c", f"echo > {path}")
    with pytest.raises(CommandError, match="No such file"):
        with_secret.execute("nginx", "cat", path)


def test_another_secret_is_read_after_a_restart(with_secret: Project, file: Path) -> None:
    file.write_text(ANOTHER)
    files = ["docker-compose.yml", with_secret.override, *with_secret.more]
    environment = {
        **with_secret.environment,
        "COMPOSE_PROJECT_NAME": with_secret.name,
        "COMPOSE_FILE": ":".join(filter(None, files)),
    }
    run("ops/restart", environment=environment)
    reply = fetch(with_secret.address(), "/")
    assert reply.body.decode() == hashlib.sha256(ANOTHER.encode()).hexdigest()


def test_the_stack_itself_has_no_secret() -> None:
    settings = Path(ROOT, ".env.example").read_text().splitlines()
    names = [line.partition("=")[0] for line in settings if not line.startswith("#")]
    secret = [name for name in names if re.search("PASSW|SECRET|TOKEN|KEY$", name)]
    assert secret == ["NGINX_TLS_CERTIFICATE_KEY"], "which is the path of a file"
