"""The entry point `bascule_middleware.wsgi:application`."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from bascule_middleware.chain import ChainError

from tests.middleware.gateway import respond

ROOT = Path(__file__).parents[2]


def entry_point() -> Any:
    """Return what a server gets that imports the module for the first time."""
    return runpy.run_module("bascule_middleware.wsgi")["application"]


def test_the_shipped_chain_serves_the_hello_application(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BASCULE_CHAIN", raising=False)
    monkeypatch.chdir(ROOT)
    response = respond(
        validator(entry_point()),
        PATH_INFO="/alice",
        HTTP_X_REQUEST_ID="from-nginx",
        HTTP_X_FORWARDED_FOR="192.0.2.1",
        HTTP_X_FORWARDED_PROTO="https",
        HTTP_X_FORWARDED_HOST="shop.example",
    )
    assert response.body == b"<h1>Hello, alice!</h1>"
    assert response.environ["bascule.request_id"] == "from-nginx"
    assert response.environ["REMOTE_ADDR"] == "192.0.2.1"
    assert response.environ["SERVER_NAME"] == "shop.example"


def test_a_malformed_forwarded_field_is_answered_by_the_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BASCULE_CHAIN", raising=False)
    monkeypatch.chdir(ROOT)
    response = respond(
        validator(entry_point()), HTTP_X_REQUEST_ID="from-nginx", HTTP_X_FORWARDED_FOR="nonsense"
    )
    assert response.status == "400 Bad Request"
    assert response.environ["bascule.request_id"] == "from-nginx"


def test_an_empty_variable_means_the_shipped_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASCULE_CHAIN", "")
    monkeypatch.chdir(ROOT)
    assert respond(entry_point(), PATH_INFO="/alice").body == b"<h1>Hello, alice!</h1>"


def test_the_variable_names_another_chain_relative_to_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "other.toml").write_text('application = "app.hello:application"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BASCULE_CHAIN", "other.toml")
    assert [name for name, _ in respond(entry_point()).fields] == [
        "Content-Type",
        "Content-Length",
    ]


def test_a_wrong_chain_fails_the_import_with_its_explanation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BASCULE_CHAIN", str(tmp_path / "nowhere.toml"))
    with pytest.raises(ChainError, match=r"nowhere\.toml: No such file or directory"):
        entry_point()


def test_a_chain_at_the_top_of_the_project_goes_before_one_beside_its_application(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "chain.toml").write_text("not a chain")
    (tmp_path / "chain.toml").write_text('application = "app.hello:application"\n')
    monkeypatch.delenv("BASCULE_CHAIN", raising=False)
    monkeypatch.chdir(tmp_path)
    assert respond(entry_point(), PATH_INFO="/alice").body == b"<h1>Hello, alice!</h1>"


def test_without_a_chain_the_import_says_where_one_was_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("BASCULE_CHAIN", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ChainError, match=r"no chain\.toml and no app/chain\.toml in .*BASCULE_APP"):
        entry_point()
