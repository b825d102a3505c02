"""TLS in the containers: the pair as secrets, and a renewal while they run."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.fetch import Reply, fetch
from tests.nginx.certificates import Pair, make_pair
from tests.stack.project import CommandError, Project, run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

USER = 10001


def give_to_nginx(pair: Pair) -> None:
    """Owner and modes as docs/containers.md has them."""
    pair.certificate.chmod(0o444)
    if os.geteuid() == 0:
        os.chown(pair.key, USER, USER)
        pair.key.chmod(0o400)
    else:  # only root can give it away
        pair.key.chmod(0o444)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """What the stack is started with."""
    pair = make_pair(tmp_path_factory.mktemp("tls"), "contained.example")
    give_to_nginx(pair)
    return pair


@pytest.fixture(scope="module")
def secured(make_project: Callable[..., Project], pair: Pair) -> Iterator[Project]:
    """A stack with TLS, to which http:// is redirected."""
    project = make_project(
        settings={**pair.settings, "NGINX_TLS_REDIRECT": "443", "NGINX_HSTS": "300"}
    )
    project.up()
    yield project
    project.down()


def get(project: Project, pair: Pair) -> Reply:
    """One request over TLS by a client that believes in the pair's certificate alone."""
    port = int(project.compose("port", "nginx", "8443").strip().rpartition(":")[2])
    context = ssl.create_default_context(cafile=str(pair.certificate))
    return fetch(("localhost", port), "/alice", tls=context)


def certificate(project: Project, *arguments: str) -> dict[str, object]:
    """Run ops/certificate for the project; return what it says of the pair afterwards."""
    environment = {**project.environment, "COMPOSE_PROJECT_NAME": project.name}
    if arguments:
        run("ops/certificate", *arguments, environment=environment)
    said: dict[str, object] = json.loads(run("ops/certificate", "--json", environment=environment))
    return said


def test_the_site_is_served_over_tls(secured: Project, pair: Pair) -> None:
    answer = get(secured, pair)
    assert (answer.status, answer.body) == (200, b"<h1>Hello, alice!</h1>")
    assert answer.field("Strict-Transport-Security") == "max-age=300"
    reply = fetch(secured.address(), "/alice", fields={"Host": "example.org"})
    assert (reply.status, reply.fields["location"]) == (308, "https://example.org/alice")


def test_the_workers_do_not_have_the_key(secured: Project) -> None:
    with pytest.raises(CommandError, match="No such file"):
        secured.execute("server", "ls", "/run/secrets/tls_certificate_key")
    found = secured.execute("nginx", "stat", "--format=%u %a", "/run/secrets/tls_certificate_key")
    if os.geteuid() == 0:
        assert found.split() == [str(USER), "400"]


def test_a_new_pair_is_served_without_a_restart(
    secured: Project, pair: Pair, tmp_path: Path
) -> None:
    started = secured.inspect("nginx")["State"]["StartedAt"]
    assert certificate(secured)["subject"] == "contained.example"
    new = make_pair(tmp_path, "renewed.example")
    said = certificate(secured, "install", str(new.certificate), str(new.key))
    assert (said["subject"], said["served"], said["problem"]) == ("renewed.example", True, None)
    assert get(secured, new).status == 200
    assert secured.inspect("nginx")["State"]["StartedAt"] == started


def test_a_key_that_nginx_may_not_read_ends_its_start_with_one_line(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    pair = make_pair(tmp_path)
    pair.key.chmod(0o400)  # still root's
    project = make_project(settings=pair.settings)
    status, lines = project.run_service("nginx")
    assert status == 2
    assert lines[-1] == (
        'nginx: NGINX_TLS_CERTIFICATE_KEY is "/run/secrets/tls_certificate_key": user 10001 may '
        "not read it: make that user its owner, with mode 0400"
    )
