"""The runbooks in containers: the same pages, the same commands."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator

import pytest

from tests.harness.processes import ROOT
from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until
from tests.runbooks.rehearsal import rehearse
from tests.runbooks.test_runbooks import RUNBOOKS, impatient

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

SOCKETS = "    - sockets:/run/bascule\n"
# What a page mends is the checkout's code; in an image it would not be there.
SOCKETS_AND_CODE = "    - ./app:/srv/app:ro\n    - sockets:/run/bascule\n"


@pytest.fixture(scope="module")
def containers(image_tag: str) -> Iterator[Tree]:
    """A running stack of containers, of a copy of the tree, to rehearse in."""
    tree = impatient()
    tree.environ |= {
        "COMPOSE_PROJECT_NAME": f"bascule-test-{uuid.uuid4().hex[:8]}",
        "IMAGE_NAME": "bascule",
        "IMAGE_TAG": image_tag,
        "HTTP_PORT": f"127.0.0.1:{tree.port}",
        "STATUS_PORT": "0",
    }
    shutil.copy(ROOT / ".dockerignore", tree.root)
    compose = (ROOT / "docker-compose.yml").read_text()
    assert SOCKETS in compose
    compose = compose.replace(SOCKETS, SOCKETS_AND_CODE)
    (tree.root / "docker-compose.yml").write_text(compose)
    tree.run("chmod", "--recursive", "a+rX", "app")
    done = tree.run("ops/up", "--docker")
    assert done.returncode == 0, done.stdout + done.stderr
    yield tree
    tree.remove()


@pytest.mark.parametrize(
    "page", ["disk-full", "first-response", "images", "logs", "restart", "settings"]
)
def test_a_runbook_does_what_it_says_in_containers(containers: Tree, page: str) -> None:
    rehearse(RUNBOOKS / f"{page}.md", containers, "docker")
    wait_until(
        lambda: containers.run("ops/health").returncode == 0, "every worker to answer", limit=LIMIT
    )
    assert containers.get("/alice") == (200, b"<h1>Hello, alice!</h1>")


def test_a_blocked_client_is_refused_until_it_is_unblocked(containers: Tree) -> None:
    container = containers.run("docker", "compose", "ps", "--quiet", "server").stdout.strip()
    address = containers.run(
        "docker",
        "inspect",
        "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
        container,
    ).stdout.strip()
    code = (
        "import http.client; c = http.client.HTTPConnection('nginx', 8080, timeout=10);"
        " c.request('GET', '/alice'); print(c.getresponse().status)"
    )
    ask = ["docker", "compose", "exec", "-T", "server", "python3", "-c", code]
    assert containers.run(*ask).stdout == "200\n"
    done = containers.run("ops/block", address, "--for", "1h", "--reason", "a “flood”")
    assert (done.returncode, done.stdout[: len(address)]) == (0, address), done.stderr
    assert containers.run(*ask).stdout == "403\n"
    assert containers.get("/alice")[0] == 200
    assert "a “flood”" in containers.run("ops/block", "--list").stdout
    containers.run("docker", "compose", "restart", "nginx")
    wait_until(
        lambda: containers.run(*ask).stdout == "403\n",
        "nginx to be back, and to refuse",
        limit=LIMIT,
    )
    assert containers.run("ops/unblock", address).returncode == 0
    assert containers.run(*ask).stdout == "200\n"


def test_the_gateway_as_which_everybody_may_come_is_not_blocked_by_mistake(
    containers: Tree,
) -> None:
    route = containers.run("docker", "compose", "exec", "-T", "server", "cat", "/proc/net/route")
    fields = next(line.split() for line in route.stdout.splitlines() if "\t00000000\t" in line)
    gateway = ".".join(str(byte) for byte in bytes.fromhex(fields[2])[::-1])
    done = containers.run("ops/block", gateway)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is the gateway" in done.stderr
