"""Names of 0.1: each message says the successor, and takes no name from a project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from bascule.wsgi import renamed as of_the_server
from bascule_middleware import renamed as of_the_chain

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "upgrading.md").read_text()
PATHS = os.pathsep.join(str(ROOT / part) for part in ("server", "middleware"))

MINE = """
def application(environ, start_response):
    start_response("200 OK", [])
    return []
"""
CHAIN = 'application = "mine:application"\n[[links]]\nuse = "{}"\n'
TOLD = "of Bascule 0.1 is now {} (docs/upgrading.md)"


def run(directory: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a project, with the packages of the wheel on the path and nothing else."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BASCULE_")}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=directory,
        env={**kept, "PYTHONPATH": PATHS, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refusal(directory: Path, *arguments: str, **variables: str) -> str:
    """Return the line that a command ends with which cannot do what it is asked.

    Before it are the lines of the application's that have to do with it, if any.
    """
    done = run(directory, *arguments, **variables)
    assert done.returncode in (1, 2, 4)
    before, line = re.fullmatch(r"(.*\n|)([^\n]+\n)", done.stderr, re.S).groups()  # type: ignore[union-attr]
    assert not before or before.startswith("Traceback")
    return str(line)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "old.py").write_text(
        "from middleware.settings import SettingError\n\n\ndef link(application):\n"
        "    return application\n"
    )
    return tmp_path


@pytest.mark.parametrize("has_an_app", [True, False])
@pytest.mark.parametrize("arguments", [("app.wsgi:application",), ()])
def test_the_old_entry_of_the_chain_leads_to_the_flag(
    project: Path, arguments: tuple[str, ...], has_an_app: bool
) -> None:
    if has_an_app:
        (project / "app").mkdir()
        (project / "app" / "__init__.py").touch()
    variables = {} if arguments else {"BASCULE_APP": "app.wsgi:application"}
    said = refusal(project, "bascule", "--check-config", *arguments, **variables)
    new = "bascule --chain FILE, or BASCULE_CHAIN=FILE and no BASCULE_APP"
    assert said.endswith(f"'; app.wsgi {TOLD.format(new)}\n")


@pytest.mark.parametrize(
    ("statement", "old", "new"),
    [
        ("from server.metrics import read", "server", "bascule"),
        ("from middleware.request_id import RequestId", "middleware", "bascule_middleware"),
    ],
)
def test_an_application_that_imports_an_old_module_learns_its_package(
    project: Path, statement: str, old: str, new: str
) -> None:
    (project / "shop.py").write_text(f"{statement}\n{MINE}")
    said = refusal(project, "bascule", "--check-config", "shop:application")
    assert said == (
        f"bascule: cannot load shop:application: ModuleNotFoundError: No module named '{old}'; "
        f"{old} {TOLD.format(new)}\n"
    )


@pytest.mark.parametrize("name", ["server", "middleware"])
def test_beside_a_package_of_the_projects_a_module_is_named_in_full(
    project: Path, name: str
) -> None:
    (project / name).mkdir()
    (project / name / "__init__.py").touch()
    old, new = {
        "server": ("server.metrics", "bascule.told.metrics"),
        "middleware": ("middleware.settings", "bascule_middleware.settings"),
    }[name]
    (project / "shop.py").write_text(f"import {old}\n{MINE}\nlink = application\n")
    if name == "server":
        said = refusal(project, "bascule", "--check-config", "shop:application")
    else:
        (project / "chain.toml").write_text(CHAIN.format("shop:link"))
        said = refusal(project, "bascule_middleware", "chain.toml")
    assert said.endswith(f"No module named '{old}'; {old} {TOLD.format(new)}\n")


def test_what_the_project_has_by_an_old_name_is_served(project: Path) -> None:
    for name in ("app", "middleware"):
        (project / name).mkdir()
        (project / name / "__init__.py").touch()
    (project / "app" / "wsgi.py").write_text(MINE)
    (project / "middleware" / "request_id.py").write_text(
        "def RequestId(application):\n    return application\n"
    )
    (project / "chain.toml").write_text(
        CHAIN.format("middleware.request_id:RequestId").replace("mine", "app.wsgi")
    )
    for arguments in (["app.wsgi:application"], ["--chain", "chain.toml"]):
        done = run(project, "bascule", "--check-config", *arguments)
        assert (done.returncode, done.stderr) == (0, "")


def test_an_old_name_of_a_link_is_refused_with_its_line_and_the_new_name(project: Path) -> None:
    (project / "chain.toml").write_text(CHAIN.format("middleware.request_id:RequestId"))
    told = (
        'chain.toml:3: link "middleware.request_id:RequestId": there is no module "middleware"; '
        f"middleware.request_id {TOLD.format('bascule_middleware.links.request_id')}\n"
    )
    said = refusal(project, "bascule", "--check-config", "--chain", "chain.toml")
    entry = "bascule_middleware.wsgi:application"
    assert said == f"bascule: cannot load {entry}: ChainError: {told}"
    assert refusal(project, "bascule_middleware", "chain.toml").endswith(f": {told}")


def test_a_link_of_the_projects_that_imports_an_old_module_learns_its_package(
    project: Path,
) -> None:
    (project / "chain.toml").write_text(CHAIN.format("old:link"))
    said = refusal(project, "bascule_middleware", "chain.toml")
    assert said.endswith(
        "No module named 'middleware'; middleware " + TOLD.format("bascule_middleware") + "\n"
    )


@pytest.mark.parametrize("name", ["middleware.wsgi", "server.loop"])
def test_of_another_old_module_the_package_is_said(project: Path, name: str) -> None:
    package = name.partition(".")[0]
    new = {"middleware": "bascule_middleware", "server": "bascule"}[package]
    said = refusal(project, "bascule", "--check-config", f"{name}:application")
    assert said.endswith(f"'; {package} {TOLD.format(new)}\n")
    if package == "middleware":
        (project / "chain.toml").write_text(CHAIN.format(f"{name}:link"))
        said = refusal(project, "bascule_middleware", "chain.toml")
        assert said.endswith(f'"; {package} {TOLD.format(new)}\n')


@pytest.mark.parametrize("name", ["nowhere", "server.nowhere", "app.views", "middleware.nowhere"])
def test_of_other_names_nothing_is_said(project: Path, name: str) -> None:
    for package in ("server", "middleware"):
        (project / package).mkdir()
        (project / package / "__init__.py").touch()
    assert "0.1" not in refusal(project, "bascule", "--check-config", f"{name}:application")
    (project / "chain.toml").write_text(CHAIN.format(f"{name}:link"))
    assert "0.1" not in refusal(project, "bascule_middleware", "chain.toml")


@pytest.mark.parametrize(
    ("old", "new"), [("server", "bascule"), ("middleware", "bascule_middleware")]
)
def test_in_a_checkout_the_old_commands_name_the_new_ones(old: str, new: str) -> None:
    told = f"python -m {old} {TOLD.format(f'python -m {new}')}\n"
    assert refusal(ROOT, old) == told


@pytest.mark.parametrize("table", [of_the_server.SUCCESSORS, of_the_chain.SUCCESSORS])
def test_every_successor_is_there_and_the_page_has_it(table: dict[str, str]) -> None:
    for old, new in table.items():
        assert old in PAGE
        assert new.partition(",")[0].removesuffix(" FILE") in PAGE
        if not new.startswith("bascule --"):
            assert find_spec(new), new
