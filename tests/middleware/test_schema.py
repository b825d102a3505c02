"""The JSON Schema of chain files: it is current, and says what the loader says."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bascule_middleware.chain import SHORT_NAMES
from bascule_middleware.imports import imported
from bascule_middleware.schema import chain_schema, described, link_schema
from bascule_middleware.settings import SettingError, check, declared
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.middleware.test_chain import Link, foreign_link

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"
COMMITTED = APP / "chain.schema.json"
VALIDATOR = Draft202012Validator(json.loads(COMMITTED.read_text()))
CHAINS = [APP / "chain.toml", *sorted(APP.glob("examples/*.toml"))]
APPLICATION = 'application = "app.hello:application"\n'


def documented_chains() -> Iterator[str]:
    """Give the chains of docs/middleware.md."""
    page = (ROOT / "docs" / "middleware.md").read_text()
    for text in re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        if text.startswith("application"):
            yield text


def test_the_committed_schema_is_current() -> None:
    remedy = "python -m bascule_middleware --schema > app/chain.schema.json"
    assert json.loads(COMMITTED.read_text()) == json.loads(json.dumps(chain_schema())), remedy


def test_it_is_a_schema_of_draft_2020_12() -> None:
    schema = json.loads(COMMITTED.read_text())
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", CHAINS, ids=lambda path: path.name)
def test_the_chains_that_ship_are_valid_and_name_the_schema(path: Path) -> None:
    text = path.read_text()
    assert list(VALIDATOR.iter_errors(tomllib.loads(text))) == []
    first, _ = text.split("\n", 1)
    assert first.startswith("#:schema ")
    assert (path.parent / first.removeprefix("#:schema ")).resolve() == COMMITTED


@pytest.mark.parametrize("text", list(documented_chains()))
def test_the_documented_chains_are_valid(text: str) -> None:
    assert list(VALIDATOR.iter_errors(tomllib.loads(text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "application = 1",
        'application = "app.hello"',
        f"{APPLICATION}chain = 1",
        f"{APPLICATION}links = 1",
        f"{APPLICATION}[links]\nuse = 'exceptions'",
        f"{APPLICATION}[[links]]\ndebug = true",
        f"{APPLICATION}[[links]]\nuse = 1",
        f"{APPLICATION}[[links]]\nuse = 'exception'",
        f"{APPLICATION}[[links]]\nuse = 'exceptions'\ndebig = true",
        f"{APPLICATION}[[links]]\nuse = 'exceptions'\ndebug = 1",
        f"{APPLICATION}[[links]]\nuse = 'request_id'\ntrusted = 'unix'",
        f"{APPLICATION}[[links]]\nuse = 'request_id'\ntrusted = [1]",
        f"{APPLICATION}[[links]]\nuse = 'proxy_headers'\nfields = 'x'",
        f"{APPLICATION}[[links]]\nuse = 'dispatch'",
        f"{APPLICATION}[[links]]\nuse = 'dispatch'\n[links.mounts]\n'/x' = 1",
    ],
)
def test_a_wrong_chain_is_not_valid(text: str) -> None:
    assert not VALIDATOR.is_valid(tomllib.loads(text))


def test_a_link_of_ones_own_may_have_any_settings() -> None:
    text = f"{APPLICATION}[[links]]\nuse = 'canonical:Canonical'\nhost = 'shop.example'"
    assert VALIDATOR.is_valid(tomllib.loads(text))


values = st.recursive(
    st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, "", "fast", "safe"]),  # not 1.0, which JSON does not tell from 1
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("a"), inner, max_size=1),
    max_leaves=3,
)
names = st.sampled_from([*declared(Link), "unknown"])


@given(st.dictionaries(names, values, max_size=3), st.booleans())
@example({"peers": ["a"], "weights": {"a": 1}, "mode": "safe", "limit": 1, "share": 1}, True)
def test_it_accepts_what_the_loader_accepts(settings: dict[str, Any], has_size: bool) -> None:
    if has_size:
        settings.setdefault("size", 1)
    for link in (Link, foreign_link):
        try:
            check(link, settings)
            accepted = True
        except SettingError:
            accepted = False
        schema = link_schema("a link", link)
        table = {"use": "a link", **settings}
        assert Draft202012Validator(schema).is_valid(table) == accepted


@pytest.mark.parametrize("name", SHORT_NAMES)
def test_every_setting_is_described(name: str) -> None:
    link = imported(SHORT_NAMES[name])
    missing = [
        setting for setting in declared(link) if not described(link, setting, declared(link))
    ]
    assert not missing, "the constructor's docstring says what each setting is: `name`: what it is"


def first_form(app: Any, *, size: int, names: str = "", more: int = 0) -> None:
    """Make it. `size`: of it, in bytes: a
    number; `names`:
    "size" or other: texts.

    Raises ValueError.
    """


def second_form(app: Any, *, size: int, names: str = "", more: int = 0) -> None:
    """Make it.

    Args:
        app: what is called.
        size: of it, in bytes: a
            number.
        names: "size" or other: texts.
    """


@pytest.mark.parametrize("link", [first_form, second_form])
def test_descriptions_come_from_the_docstring(link: Any) -> None:
    known = declared(link)
    assert described(link, "size", known) == "of it, in bytes: a number"
    assert described(link, "names", known) == '"size" or other: texts'
    assert described(link, "more", known) == ""
