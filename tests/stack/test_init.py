"""Repositories of a stranger's in containers, by the files that `basculectl init` writes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pwd
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness import repositories, wheel
from tests.harness.fetch import Reply, fetch
from tests.harness.ports import free_port
from tests.harness.processes import ROOT, Process, inherited
from tests.harness.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

START_SECONDS = 30
COMMAND_SECONDS = 500  # a cold build fetches packages
THEIR_DOCKERFILE = """
FROM debian:trixie-slim
RUN apt-get update && apt-get install --yes --no-install-recommends python3
RUN useradd site
WORKDIR /code
COPY --chown=site . .
USER site
CMD ["sleep", "60"]
"""
THEIR_COMPOSE = """
services:
  web:
    build: .
    command: sleep 60
    stop_grace_period: 1s
"""


def make_flask(root: Path) -> None:
    """A factory in a package, with a static file."""
    repositories.write(root, repositories.FLASK)


def make_bare(root: Path) -> None:
    """A function, and nothing else."""
    repositories.write(root, repositories.BARE)


def make_theirs(root: Path) -> None:
    """One that has a compose file and a Dockerfile."""
    files = {"Dockerfile": THEIR_DOCKERFILE, "docker-compose.yml": THEIR_COMPOSE}
    repositories.write(root, repositories.BARE | files)


def make_incomplete(root: Path) -> None:
    """One that names no requirement, and has one."""
    repositories.write(root, repositories.FLASK | {"requirements.txt": ""})


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository whose compose project has a name of its own."""

    root: Path
    name: str
    program: tuple[str, ...] = (sys.executable, "-P", "-m", "bascule_ops")

    def run(self, *command: str, **settings: str) -> str:
        """Run a command that succeeds; return what it prints, to either stream."""
        path = os.pathsep.join(str(ROOT / part) for part in ("server", "middleware", "ops"))
        mine = {"COMPOSE_PROJECT_NAME": self.name, "HTTP_PORT": "127.0.0.1:0", "STATUS_PORT": "0"}
        mine |= {"PYTHONPATH": path, "BASCULECTL_DOOR": "basculectl ", "BUILDKIT_PROGRESS": "plain"}
        done = subprocess.run(
            command,
            cwd=self.root,
            env=inherited() | mine | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def basculectl(self, *words: str, **settings: str) -> str:
        """Run a command of Bascule's."""
        return self.run(*self.program, *words, **settings)

    def compose(self, *words: str) -> str:
        """Run a command of docker compose."""
        return self.run("docker", "compose", *words)

    def get(self, path: str = "/", service: str = "nginx", port: str = "8080") -> Reply:
        """Ask nginx, or another service."""
        host, _, port = self.compose("port", service, port).strip().rpartition(":")
        return fetch((host, int(port)), path)


@pytest.fixture(scope="module")
def built(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, which stands for the package index."""
    return wheel.build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def repository(built: Path, tmp_path: Path) -> Iterator[Callable[..., Repository]]:
    """Makes one and calls `basculectl init` there; what it started is removed at the end."""
    made: list[Repository] = []

    def make(fill: Callable[[Path], None]) -> Repository:
        fill(tmp_path)
        repositories.commit(tmp_path)
        found = Repository(tmp_path, f"bascule-test-{uuid.uuid4().hex[:8]}")
        found.basculectl("init", "--bascule", str(built))
        made.append(found)
        return found

    yield make
    for each in made:
        each.compose("--profile=dev", "down", "--volumes", "--timeout=5", "--rmi=all")
        # What a deployment keeps to go back to.
        listed = ("docker", "image", "ls", f"--filter=reference={each.name}-*", "--format={{.Tag}}")
        for tag in each.run(*listed).split():
            each.run("docker", "image", "rm", f"{each.name}-server:{tag}")


FIRST = r"(\d+\.){3}\d+"


@pytest.mark.parametrize(
    ("fill", "body", "static"),
    [
        (make_flask, f"Flask's for {FIRST}", "/static/shop.css"),
        (repositories.django, "The install worked successfully!", "/static/admin/css/base.css"),
        (make_bare, f"nobody's for {FIRST}", ""),
        (make_theirs, f"nobody's for {FIRST}", ""),
    ],
)
def test_it_answers_after_two_commands(
    fill: Callable[[Path], None],
    body: str,
    static: str,
    repository: Callable[..., Repository],
) -> None:
    made = repository(fill)
    assert {"chain.toml", ".env.example"} < set(repositories.new_files(made.root))
    assert not [each for each in repositories.new_files(made.root) if each.endswith(".whl")]
    own = made.root / "nginx" / "site.d"
    own.mkdir(parents=True)
    (own / "own.conf").write_text("location = /of-nginx { return 204; }\n")
    made.compose("up", "--detach", "--wait")
    assert made.get("/of-nginx").status == 204
    reply = made.get()
    assert reply.status == 200
    assert re.search(body, reply.text), reply.text
    assert reply.field("X-Request-ID")
    if static:
        # Not of the application, whose answers have another field in its place.
        assert made.get(static).field("Cache-Control") == "public, max-age=60"
    assert made.basculectl("status").startswith("healthy: nginx and 2 of 2 workers answer\n")


def make_django_with_media(root: Path) -> None:
    """As Django's own command makes it, with the two settings of its tutorial."""
    repositories.django(root)
    settings = root / "mysite" / "settings.py"
    more = 'MEDIA_URL = "media/"\nMEDIA_ROOT = BASE_DIR / "media"\n'
    settings.write_text(settings.read_text() + more)


def test_a_start_that_fails_says_why(repository: Callable[..., Repository]) -> None:
    made = repository(make_incomplete)
    why = r"could not start the stack: .* No module named 'flask'; see basculectl logs\n"
    with pytest.raises(AssertionError, match=why):
        made.basculectl("up", "--docker")


def test_what_the_application_writes_outlives_its_containers(
    repository: Callable[..., Repository],
) -> None:
    made = repository(make_django_with_media)
    manage = ("python3", "manage.py")
    made.compose("run", "--rm", "-T", "--entrypoint", manage[0], "server", manage[1], "migrate")
    made.compose("up", "--detach", "--wait")
    words = ("createsuperuser", "--noinput", "--username=alice", "--email=alice@localhost")
    password = ("--env", "DJANGO_SUPERUSER_PASSWORD=secret")
    made.compose("exec", "-T", *password, "server", *manage, *words)
    save = (
        "from django.core.files.base import ContentFile as C; "
        "from django.core.files.storage import default_storage as s; "
        "s.save('2026/a.html', C(b'<p>'))"
    )
    made.compose("exec", "-T", "server", *manage, "shell", "--command", save)
    made.compose("down", "--timeout=5")
    made.compose("up", "--detach", "--wait")
    ask = "from django.contrib.auth.models import User; print(User.objects.get().username)"
    told = made.compose("exec", "-T", "server", *manage, "shell", "--command", ask)
    assert told.splitlines()[-1] == "alice"
    reply = made.get("/media/2026/a.html")
    assert (reply.text, reply.field("Content-Type")) == ("<p>", "application/octet-stream")


def test_a_change_of_the_code_installs_nothing_again(
    repository: Callable[..., Repository],
) -> None:
    made = repository(make_flask)
    made.compose("up", "--detach", "--wait")
    changed = repositories.FACTORY.replace("Flask's for", "changed for")
    (made.root / "shop" / "__init__.py").write_text(changed)
    told = made.compose("build", "server")
    (step,) = re.findall(r"^#(\d+) .*pip install .*--requirement requirements.txt", told, re.M)
    assert f"\n#{step} CACHED\n" in told
    made.compose("up", "--detach", "--wait", "--build")
    assert made.get().text.startswith("changed for ")


def test_what_is_saved_is_served_by_the_service_for_development(
    repository: Callable[..., Repository], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = repository(make_flask)
    code = made.root / "shop" / "__init__.py"
    # The engine has to know the user; whoever runs this may be root.
    user = pwd.getpwnam("nobody")
    settings = {"DEV_UID": user.pw_uid, "DEV_GID": user.pw_gid, "DEV_PORT": 0}
    for name, value in {**settings, "COMPOSE_PROFILES": "dev"}.items():
        monkeypatch.setenv(name, str(value))
    made.compose("up", "--build", "--detach", "dev")
    assert made.compose("ps", "--services").split() == ["dev"]

    def is_served(text: str) -> bool:
        with contextlib.suppress(OSError):
            return text in made.get(service="dev", port="8000").text
        return False

    wait_until(lambda: is_served("Flask's for "), "it serves", limit=START_SECONDS)
    watching = ("docker", "compose", "watch", "--no-up", "dev")
    env = {**os.environ, "COMPOSE_PROJECT_NAME": made.name}
    with Process(watching, cwd=made.root, env=env) as watch:
        watch.wait_until(lambda: "Watch enabled" in watch.out + watch.err, "it watches")
        code.write_text(repositories.FACTORY.replace("Flask's for", "changed for"))
        wait_until(lambda: is_served("changed for "), "the save is served")
        code.write_text(repositories.FACTORY.replace("{request.", "{1 / 0}{request."))
        # The page is for the loopback, which a container's clients do not come by.
        wait_until(lambda: is_served("Internal Server Error"), "the error is served")
    assert "ZeroDivisionError" not in made.get(service="dev", port="8000").text
    told = made.compose("logs", "--no-color", "dev")
    assert 'File "shop/__init__.py", line' in told
    assert "ZeroDivisionError: division by zero" in told
    manage = made.compose("exec", "-T", "dev", "sh", "-c", "id -u && touch /srv/shop/new.py")
    assert manage == f"{user.pw_uid}\n"


def test_a_deployment_builds_what_the_servers_image_is_built_on(
    repository: Callable[..., Repository],
) -> None:
    made = repository(make_theirs)
    made.compose("up", "--detach", "--wait")
    changed = repositories.CALLABLE.replace("nobody's for", "changed for")
    (made.root / "shop.py").write_text(changed)
    made.basculectl("deploy", "--build")
    assert made.get().text.startswith("changed for ")


SETTINGS = """
import hashlib, json, os

def application(environ, start_response):
    found = {name: value for name, value in os.environ.items() if name.startswith("SHOP_")}
    with open(found.pop("SHOP_PASSWORD_FILE"), "rb") as secret:
        found["password"] = hashlib.sha256(secret.read()).hexdigest()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]
"""
ENV = """
BASCULE_THREADS=3
SHOP_NAME = "Shop\\n${BASCULE_THREADS}"
SHOP_KEY: '$a #b' # its key
SHOP_EMPTY=
SHOP_PASSWORD_FILE=secrets/password
"""


def test_settings_and_secrets_reach_the_application_in_both_ways_to_run(
    repository: Callable[..., Repository],
) -> None:
    def fill(root: Path) -> None:
        repositories.write(root, {"shop.py": SETTINGS, "secrets/password": "correct horse"})
        (root / "secrets/password").chmod(0o644)  # user 10001 is to read it

    made = repository(fill)
    page = (ROOT / "docs" / "hardening.md").read_text()
    (example,) = re.findall(r"^```yaml\n(.*?secrets:.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for ours, theirs in (("DATABASE_PASSWORD", "SHOP_PASSWORD"), ("database_password", "password")):
        example = example.replace(ours, theirs)
    (made.root / "compose.override.yaml").write_text(example)
    (made.root / ".env").write_text(ENV)
    expected = {
        "SHOP_NAME": "Shop\n3",
        "SHOP_KEY": "$a #b",
        "SHOP_EMPTY": "",
        "password": hashlib.sha256(b"correct horse").hexdigest(),
    }
    at = {"HTTP_PORT": "127.0.0.2:0"}
    told = made.basculectl("up", "--docker", **at)
    url = re.search(r"^Bascule answers: http://(127\.0\.0\.2):(\d+)/ \(status 200\)$", told, re.M)
    assert url, told
    assert json.loads(fetch((url[1], int(url[2])), "/").text) == expected
    # They are those of whoever calls docker compose himself.
    running = made.compose("ps", "--quiet")
    made.run("docker", "compose", "up", "--detach", "--wait", **at)
    assert made.compose("ps", "--quiet") == running
    with pytest.raises(AssertionError, match="No such file"):
        made.compose("exec", "-T", "server", "ls", "/srv/secrets")
    port = free_port()
    local = ("up", "--local")
    with pytest.raises(AssertionError, match="its containers run, and beside them it would run"):
        made.basculectl(*local)
    assert made.basculectl("down").endswith("Stopped.\n")
    made.basculectl(*local, HTTP_PORT=f"127.0.0.1:{port}")
    try:
        assert json.loads(fetch(("127.0.0.1", port), "/").text) == expected
        with pytest.raises(AssertionError, match="it runs in local mode"):
            made.basculectl("up", "--docker")
    finally:
        made.basculectl("down")


def test_a_deployment_leaves_the_static_files_of_the_version_before_and_nginx_as_it_is(
    repository: Callable[..., Repository],
) -> None:
    made = repository(make_flask)
    static = made.root / "shop" / "static"
    (static / "app.0a1b2c3d4e5f.js").write_text("old")
    (static / "shop.css.br").write_bytes(b"by brotli")
    made.compose("up", "--detach", "--wait", "--build")
    nginx = made.compose("ps", "--quiet", "nginx")
    host, _, port = made.compose("port", "nginx", "8080").strip().rpartition(":")
    reply = fetch((host, int(port)), "/static/shop.css", fields={"Accept-Encoding": "br, gzip"})
    assert (reply.body, reply.field("Content-Encoding")) == (b"by brotli", "br")
    assert (reply.field("Content-Type"), reply.field("Vary")) == ("text/css", "Accept-Encoding")
    (static / "app.0a1b2c3d4e5f.js").rename(static / "app.5f4e3d2c1b0a.js")
    (static / "shop.css").write_text("p {}")
    said = made.basculectl("deploy", "--build")
    assert "Note" not in said
    for name in ("app.0a1b2c3d4e5f.js", "app.5f4e3d2c1b0a.js"):
        assert made.get(f"/static/{name}").text == "old"
    assert made.get("/static/shop.css").text == "p {}"
    made.basculectl("rollback")
    assert made.get("/static/shop.css").text == "body {}\n"
    assert made.compose("ps", "--quiet", "nginx") == nginx
    assert made.get("/static/none").field("X-Request-ID")


# What differs, and is meant to: the user's images, and one list of settings where ours names all.
OWN = {"build", "image", "env_file", "environment", "networks"}


def test_the_containers_are_as_our_own(repository: Callable[..., Repository]) -> None:
    made = repository(make_bare)

    def services(*words: str) -> Mapping[str, Any]:
        said = made.compose(*words, "config", "--format=json")
        return dict(json.loads(said)["services"])

    ours = services("--env-file=/dev/null", f"--file={ROOT / 'docker-compose.yml'}")
    theirs = services()
    assert theirs.keys() == {"nginx", "server"}
    for name, service in theirs.items():
        kept = {key: value for key, value in ours[name].items() if key not in OWN}
        assert {key: value for key, value in service.items() if key not in OWN} == kept
    assert theirs["nginx"]["environment"] == ours["nginx"]["environment"]
    assert theirs["server"]["environment"].items() <= ours["server"]["environment"].items()
