"""What is to be done is said with commands that the reader has."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import bascule_ops
import pytest
from bascule.version import __version__
from bascule_ops import program
from bascule_ops.control.command_line import COMMANDS, main

PACKAGE = Path(bascule_ops.__file__).parent
WITHOUT_CHECKOUT = f"{program.PROGRAM} "


@pytest.fixture
def without_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(program.VARIABLE, WITHOUT_CHECKOUT)


def remedies() -> Iterator[str]:
    """Every text of the judgements that names a door or a runbook; docstrings are nobody's remedy."""
    for path in sorted((PACKAGE / "observe").glob("*.py")):
        tree = ast.parse(path.read_text())
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and "ops/" in text and id(node) not in docstrings:
                yield text


@pytest.mark.usefixtures("without_checkout")
def test_without_a_checkout_no_remedy_names_a_door_of_it() -> None:
    found = list(remedies())
    assert len(found) > 20
    for text in found:
        said = program.spelled(text).replace(str(PACKAGE.parent), "")
        assert "ops/" not in said.replace("/runbooks/", ""), text


@pytest.mark.usefixtures("without_checkout")
def test_commands_are_basculectls() -> None:
    assert program.spelled("ops/logs shows why; ops/restart starts it") == (
        "basculectl logs shows why; basculectl restart starts it"
    )
    assert program.spelled("ops/downloads, shops/up") == "ops/downloads, shops/up"
    others = {"completion", "dev", "init", "run", "shell"}
    assert set(program.COMMANDS) == COMMANDS.keys() - others


@pytest.mark.usefixtures("without_checkout")
def test_a_runbook_is_named_where_it_is() -> None:
    page, _, rest = program.spelled("ops/runbooks/slow.md tells more").partition(" ")
    assert (Path(page).name, rest) == ("slow.md", "tells more")
    assert Path(page).read_text().startswith("# ")


@pytest.mark.parametrize("door", [None, "", "ops/"])
def test_in_a_checkout_it_stays_as_it_is_written(
    monkeypatch: pytest.MonkeyPatch, door: str | None
) -> None:
    monkeypatch.delenv(program.VARIABLE, raising=False)
    if door is not None:
        monkeypatch.setenv(program.VARIABLE, door)
    for text in remedies():
        assert program.spelled(text) == text


@pytest.mark.parametrize(
    ("door", "remedy"),
    [
        ("ops/", "ops/deploy --build brings"),
        ("basculectl ", "basculectl init --upgrade, and then basculectl deploy --build, brings"),
    ],
)
def test_a_command_says_where_the_image_is_of_another_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], door: str, remedy: str
) -> None:
    monkeypatch.setenv(program.VARIABLE, door)
    monkeypatch.setenv(program.CALLER, __version__)
    main(["list", "--json"])
    assert capsys.readouterr().err == ""
    monkeypatch.setenv(program.CALLER, "0.1.9")
    main(["list", "--json"])
    said = capsys.readouterr().err
    assert f"Bascule is 0.1.9 here, and {__version__} in the server's image: {remedy}" in said
