"""docs/middleware.md: every example runs, every settings table is true."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from bascule_middleware.chain import SHORT_NAMES, ChainError, build, load
from bascule_middleware.imports import imported

from tests.middleware.gateway import respond

PAGE = (Path(__file__).parents[2] / "docs" / "middleware.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples() -> Iterator[tuple[str, dict[str, str], str]]:
    """Give each http block with the chain and the files that the page has before it."""
    chain, modules = "", {}
    for language, text in BLOCK.findall(PAGE):
        if language == "toml":
            chain = text
        elif language == "python":
            name = text.removeprefix("# ").split("\n")[0]
            modules[name] = text
        elif language == "xml":
            name = text.removeprefix("<!-- ").split(" -->\n")[0]
            modules[name] = text
        elif language == "http":
            yield chain, dict(modules), text


def parsed(message: str) -> tuple[str, str, list[tuple[str, str]]]:
    """Return the comment, the first line and the fields of one half of an http block."""
    lines = message.strip("\n").split("\n")
    comment = lines.pop(0) if lines[0].startswith("#") else ""
    return comment, lines[0], [tuple(line.split(": ", 1)) for line in lines[1:]]  # type: ignore[misc]


def fits(actual: str, expected: str) -> bool:
    """Return whether a text is the documented one, in which `...` stands for any."""
    pattern = ".*".join(map(re.escape, expected.split("...")))
    return re.fullmatch(pattern, actual, re.DOTALL) is not None


@pytest.mark.parametrize(("chain", "modules", "example"), list(examples()))
def test_the_examples_are_answered_as_the_page_says(
    chain: str,
    modules: dict[str, str],
    example: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("RUN_DIR", str(tmp_path))  # where links keep what workers share
    for name, text in modules.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "chain.toml").write_text(chain)
    application = build(load(tmp_path / "chain.toml"))

    request, head, body = example.split("\n\n", 2)
    origin, request_line, sent = parsed(request)
    peer = "" if origin == "# over the unix socket" else origin.removeprefix("# from ")
    method, path = request_line.split()
    variables = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in sent}
    response = respond(
        validator(application),
        REQUEST_METHOD=method,
        PATH_INFO=path,
        REMOTE_ADDR=peer,
        **variables,
    )

    _, status, fields = parsed(head)
    assert response.status == status
    assert [name for name, _ in response.fields] == [name for name, _ in fields]
    for (name, actual), (_, expected) in zip(response.fields, fields, strict=True):
        assert fits(actual, expected), name
    assert fits(response.body.decode().strip("\n"), body.strip("\n"))


def test_the_page_has_an_example_of_every_link() -> None:
    chains = "".join(chain for chain, _, _ in examples())
    for name in SHORT_NAMES:
        assert f'use = "{name}"' in chains


@pytest.mark.parametrize("name", SHORT_NAMES)
def test_the_settings_table_of_a_link_names_its_settings_and_defaults(name: str) -> None:
    section = PAGE.split(f"\n## `{name}`\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|[^|]+\| (`[^`]+`|required) \|", section, re.MULTILINE)
    parameters = inspect.signature(imported(SHORT_NAMES[name])).parameters.values()
    settings: dict[str, Any] = {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert dict(rows) == {
        setting: "required"
        if default is inspect.Parameter.empty
        else f"`{json.dumps(default, ensure_ascii=False)}`"
        for setting, default in settings.items()
    }


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('use = "exceptions"\n', 'use = "exceptions"\n\ndebig = true\n'),
        ("app.forms:Greeting", "app.form:Greeting"),
    ],
)
def test_a_documented_mistake_is_explained_as_the_page_says(
    right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("app").mkdir()
    chains = (text for language, text in BLOCK.findall(PAGE) if language == "toml")
    text = next(text for text in chains if right in text)
    Path("app/chain.toml").write_text(text.replace(right, wrong))
    with pytest.raises(ChainError) as caught:
        build(load(Path("app/chain.toml")))
    assert f"```text\n{caught.value}\n```" in PAGE
