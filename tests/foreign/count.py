"""``tests/foreign/count``: one Flask project, served by us and by others; what each asks for.

Each way is the one that its own documentation recommends, for the same project and two worker
processes on one port:

- gunicorn behind nginx: https://gunicorn.org/deploy/ (nginx's file, and supervisor's), with the
  directory of static files that https://flask.palletsprojects.com/en/stable/deploying/nginx/ leaves
  to the reader;
- granian: https://github.com/emmett-framework/granian#quickstart, with the options for WSGI, a
  factory, workers that are replaced, and static files.

The virtual environment has the project's own requirements before the count begins. A line of a file
is one that has more than a comment.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.foreign.site import inherited, run
from tests.harness import repositories, wheel
from tests.harness.fetch import NO_RESPONSE, fetch
from tests.harness.ports import free_port
from tests.harness.processes import Process
from tests.harness.waiting import wait_until

LIMIT: Final = 60.0  # seconds until it answers
STATIC: Final = "/static/shop.css"
NGINX: Final = """\
worker_processes auto;
pid HERE/nginx.pid;
error_log HERE/nginx.error.log;
events {
    worker_connections 1024;
}
http {
    include /etc/nginx/mime.types;
    access_log HERE/nginx.access.log combined;
    sendfile on;
    upstream app_server {
        server unix:HERE/gunicorn.sock fail_timeout=0;
    }
    server {
        listen PORT;
        client_max_body_size 4G;
        keepalive_timeout 5;
        location /static/ {
            root HERE/shop;
        }
        location / {
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Host $http_host;
            proxy_redirect off;
            proxy_pass http://app_server;
        }
    }
}
"""
SUPERVISOR: Final = """\
[supervisord]
[program:gunicorn]
command=gunicorn -w 2 -b unix:HERE/gunicorn.sock "shop:create_app()"
directory=HERE
autostart=true
autorestart=true
redirect_stderr=true
"""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to serve the project.

    Attributes:
        name: what it is called.
        packages: what pip installs for it.
        files: what its user writes, by name.
        once: commands that end before it serves.
        serving: commands that run while it does.
        down: what ends it, where nothing of these does.
    """

    name: str
    packages: Sequence[str]
    files: dict[str, str]
    once: Sequence[Sequence[str]]
    serving: Sequence[Sequence[str]]
    down: Sequence[str] = ()


def ways(bascule: str) -> list[Way]:
    """All of them; ``PORT`` and ``HERE`` stand for themselves."""
    granian = (
        *("granian", "--interface", "wsgi", "--factory", "--workers", "2", "--port", "PORT"),
        *("--respawn-failed-workers", "--static-path-route", "/static"),
    )
    return [
        Way(
            "Bascule, local mode",
            [bascule],
            {},
            [("basculectl", "init"), ("basculectl", "up", "--local")],
            [],
            ("basculectl", "down"),
        ),
        Way(
            "gunicorn and nginx",
            ["gunicorn", "supervisor"],
            {"nginx.conf": NGINX, "supervisord.conf": SUPERVISOR},
            [],
            [
                ("supervisord", "-n", "-c", "supervisord.conf"),
                ("nginx", "-c", "HERE/nginx.conf", "-g", "daemon off;"),
            ],
        ),
        Way(
            "granian alone",
            ["granian"],
            {},
            [],
            [(*granian, "--static-path-mount", "shop/static", "shop:create_app")],
        ),
    ]


def asked(way: Way) -> tuple[int, int, int]:
    """Files that its user writes, their lines, and commands."""
    commands = 1 + len(way.once) + len(way.serving)
    return len(way.files), lines(way.files.values()), commands


def counted(way: Way, root: Path) -> tuple[str, ...]:
    """Serve the project so; return the row."""
    repositories.write(root, repositories.FLASK)
    before = set(root.rglob("*"))
    venv, port = root.parent / f"{root.name}-venv", free_port()
    bin_ = f"{venv / 'bin'}"
    environment = inherited() | {"HTTP_PORT": str(port), "STATUS_PORT": "off"}
    environment["PATH"] = f"{bin_}:{environment['PATH']}"

    def call(*words: str) -> None:
        run(*words, cwd=root, environment=environment)

    call(sys.executable, "-m", "venv", str(venv))
    call("pip", "install", "--quiet", "--requirement", "requirements.txt")
    began = time.monotonic()
    call("pip", "install", "--quiet", "--no-cache-dir", *way.packages)
    installed = time.monotonic()

    def filled(text: str) -> str:
        return text.replace("HERE", str(root)).replace("PORT", str(port))

    for name, text in way.files.items():
        (root / name).write_text(filled(text))
    with ExitStack() as stack:
        if way.down:
            stack.callback(call, *way.down)
        for command in way.once:
            call(*command)
        for command in way.serving:
            program = run("which", command[0], cwd=root, environment=environment).strip()
            words = [program, *(filled(each) for each in command[1:])]
            stack.enter_context(Process(words, cwd=root, env=environment))
        wait_until(
            lambda: fetch(port, "/").status == 200, "an answer", limit=LIMIT, passing=NO_RESPONSE
        )
        ended = time.monotonic()
        reply = fetch(port, STATIC)
        assert (reply.status, reply.text) == (200, "body {}\n"), (way.name, reply)
    made = [root / name for name in made_files(root, before) if name not in way.files]
    return (
        *(way.name, *map(str, asked(way))),
        *(f"{installed - began:.1f}", f"{ended - installed:.1f}"),
        *(str(len(made)), str(lines(each.read_text() for each in made))),
    )


def made_files(root: Path, before: set[Path]) -> list[str]:
    """What has come to the top of the project for good."""
    new = set(root.glob("*")) - before
    return sorted(
        each.name
        for each in new
        if each.is_file() and each.suffix not in (".log", ".pid", ".sock") and each.name != ".run"
    )


def lines(texts: Iterable[str]) -> int:
    """The lines that have more than a comment."""
    found = (line.strip() for text in texts for line in text.splitlines())
    return sum(bool(line) and not line.startswith("#") for line in found)


HEADS: Final = (
    *("", "files by hand", "their lines", "commands", "s to install"),
    *("s from then to the first answer", "files written for you", "their lines"),
)


def main() -> None:
    """Count, and print the table."""
    rows: list[tuple[str, ...]] = [HEADS, ("---",) * len(HEADS)]
    with tempfile.TemporaryDirectory(prefix="count-") as name:
        Path(name).chmod(0o755)  # nginx, started by root, has workers that are nobody
        for number, way in enumerate(ways(str(wheel.build(Path(name))))):
            root = Path(name) / f"p{number}"
            root.mkdir()
            rows.append(counted(way, root))
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
