"""docs/frameworks.md: its commands work in a stack, its examples answer as it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import bottle
import flask
import pytest
from bascule_middleware.links.exceptions import Exceptions
from bascule_middleware.links.proxy_headers import ProxyHeaders

from tests.harness.processes import ROOT
from tests.harness.servers import environment
from tests.harness.tree import Tree
from tests.middleware.gateway import respond
from tests.runbooks.page import blocks
from tests.runbooks.shell import check_output, run_block

PAGE = ROOT / "docs" / "frameworks.md"
TEXT = PAGE.read_text()
FRAMEWORKS = ["Flask", "Django", "Bottle", "Falcon", "Pyramid"]

# Asks the chain of a directory, in a process of its own: Django's settings are global to one.
ASK = """
import json, sys
from pathlib import Path
from bascule_middleware.chain import build, load
from tests.middleware.gateway import respond

sys.path.insert(0, sys.argv[1])
application = build(load(Path(sys.argv[1], "chain.toml")))
response = respond(application, **json.loads(sys.argv[2]))
used = response.environ["bascule.request_id"]
print(json.dumps([response.status, response.body.decode(), used]))
"""


def code(language: str) -> Iterator[str]:
    return iter(re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))


def section(framework: str) -> str:
    return TEXT.split(f"\n## {framework}\n")[1].split("\n## ")[0]


def written(directory: Path) -> None:
    """Write the page's Python files."""
    for text in code("python"):
        path = directory / text.removeprefix("# ").split("\n")[0]
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def site(framework: str, directory: Path) -> None:
    """Lay out an example of the page: its files, and the shipped chain with its application."""
    written(directory)
    if framework == "Django":
        settings = (directory / "mysite" / "settings.py").read_text()
        for path in directory.glob("mysite/*"):
            path.unlink()
        (directory / "mysite").rmdir()
        start = [sys.executable, "-m", "django", "startproject", "mysite", "."]
        subprocess.run(start, cwd=directory, check=True, timeout=60)
        with (directory / "mysite" / "settings.py").open("a") as file:
            file.write(settings)
    (application,) = re.findall(r'^application = "(.*)"$', section(framework), re.MULTILINE)
    shipped = (ROOT / "app" / "chain.toml").read_text()
    (directory / "chain.toml").write_text(shipped.replace("app.hello:application", application))


def ask(directory: Path, **variables: str) -> tuple[str, str, str]:
    """Ask the chain of a directory; return status, body, and the request's id."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(directory), json.dumps(variables)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    status, body, request_id = json.loads(done.stdout)
    return status, body, request_id


@pytest.fixture(scope="module", params=FRAMEWORKS)
def example(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    directory = tmp_path_factory.mktemp(request.param)
    site(request.param, directory)
    return request.param, directory


def documented() -> tuple[dict[str, str], str, str]:
    """Return the variables of the page's request, and status and body of its response."""
    request, head, body = next(code("http")).strip().split("\n\n")
    lines = [line.split(": ", 1) for line in request.split("\n")[2:]]
    variables = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in lines}
    return variables | {"PATH_INFO": "/", "REMOTE_ADDR": ""}, head.split("\n")[0], body


@pytest.mark.integration
def test_an_example_answers_as_the_page_says(example: tuple[str, Path]) -> None:
    framework, directory = example
    variables, status, body = documented()
    if framework == "Django":  # the page shows settings; every project has an admin
        variables["PATH_INFO"] = "/admin/login/"
        answer = ask(directory, **variables)
        assert answer[0] == status
        assert "Log in" in answer[1]
    else:
        answer = ask(directory, **variables)
        assert (answer[0], answer[1]) == (status, body)
    assert answer[2] == "6f1c0e0f"


@pytest.mark.integration
def test_an_example_believes_nobody_but_nginx(example: tuple[str, Path]) -> None:
    framework, directory = example
    variables, status, _ = documented()
    told = ask(
        directory,
        **variables | {"REMOTE_ADDR": "192.0.2.1", "HTTP_HOST": "localhost"},
    )
    if framework != "Django":
        assert told[0] == status
        assert told[1] == "http://localhost/hello/alice"
    assert told[2] != "6f1c0e0f"


@pytest.mark.integration
def test_djangos_static_files_are_collected_by_the_line_of_the_page(tmp_path: Path) -> None:
    site("Django", tmp_path)
    (words,) = re.findall("`RUN python3 (-m .*) /opt/bascule/static`", section("Django"))
    collect = [sys.executable, *words.split(), str(tmp_path / "collected")]
    subprocess.run(collect, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert (tmp_path / "collected/admin/css/base.css").exists()


@pytest.mark.integration
def test_the_commands_print_what_the_page_says(venv: Path) -> None:
    (block,) = blocks(PAGE)
    tree = Tree(venv)
    try:
        written(tree.root)
        steps = [replace(s, command=s.command.replace("ops/up", "ops/up --local")) for s in block]
        for step, output in zip(steps, run_block(tree, steps), strict=True):
            check_output(PAGE, step, output)
    finally:
        tree.remove()


def test_flask_answers_for_itself_unless_it_is_told_to_pass_exceptions_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = flask.Flask("shop")
    site.add_url_rule("/", view_func=lambda: 1 / 0)
    for passes, logger in ((False, "shop"), (True, "bascule.exceptions")):
        site.config["PROPAGATE_EXCEPTIONS"] = passes
        caplog.clear()
        response = respond(Exceptions(site), PATH_INFO="/")
        assert response.status.upper() == "500 INTERNAL SERVER ERROR"
        assert [record.name for record in caplog.records] == [logger]


@pytest.mark.parametrize("chained", [False, True])
def test_bottle_believes_forwarded_fields_of_anybody_and_the_chain_keeps_them_from_it(
    chained: bool,
) -> None:
    site = bottle.Bottle()
    site.route("/", callback=lambda: bottle.request.url)
    application = ProxyHeaders(site) if chained else site
    fields = {"HTTP_X_FORWARDED_HOST": "evil.example", "HTTP_X_FORWARDED_PROTO": "https"}
    told = respond(application, PATH_INFO="/", REMOTE_ADDR="192.0.2.1", **fields).body.decode()
    assert told.startswith("https://evil.example/") is not chained


def test_every_framework_of_the_tests_has_a_section() -> None:
    for framework in FRAMEWORKS:
        assert "```toml\napplication = " in section(framework)
