"""A project whose packages and modules have the names that ours have, or Python's own."""

from __future__ import annotations

from pathlib import Path

PACKAGES = ("app", "server", "middleware", "ops", "tests", "nginx", "bench", "http", "wsgi")
MODULES = ("logging", "settings", "health")

APPLICATION = """
import bench, health, middleware, nginx, ops, server, settings, tests, wsgi

# Not http and logging: the process has Python's own by then.
assert all(each.MINE for each in (bench, health, middleware, nginx, ops, server, settings, tests, wsgi))

def application(environ, start_response):
    body = f"app of the project for {environ['REMOTE_ADDR']}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
CHAIN = """
application = "app:application"

[[links]]
use = "request_id"
trusted = ["unix"]

[[links]]
use = "proxy_headers"
trusted = ["unix"]
fields = "x-forwarded"
"""


def write(project: Path) -> None:
    """Make the project in a directory that is empty."""
    for name in PACKAGES:
        (project / name).mkdir()
        (project / name / "__init__.py").write_text("MINE = True\n")
    for name in MODULES:
        (project / f"{name}.py").write_text("MINE = True\n")
    (project / "app" / "__init__.py").write_text(APPLICATION)
    (project / "chain.toml").write_text(CHAIN)
