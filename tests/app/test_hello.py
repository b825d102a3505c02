"""The hello application."""

from __future__ import annotations

import html
from typing import Any
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.hello import application
from tests.middleware.gateway import respond


def as_path_info(path: str | bytes) -> str:
    """Return what a server makes of a path's bytes (PEP 3333, "Unicode Issues")."""
    return (path.encode() if isinstance(path, str) else path).decode("latin-1")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", "<h1>Hello, web!</h1>"),
        ("", "<h1>Hello, web!</h1>"),
        ("/ ", "<h1>Hello, web!</h1>"),
        ("/alice", "<h1>Hello, alice!</h1>"),
        ("/alice/", "<h1>Hello, alice!</h1>"),
        ("/alice/and/bob", "<h1>Hello, alice/and/bob!</h1>"),
        ("/小明", "<h1>Hello, 小明!</h1>"),
        (b"/\xff\xfe", "<h1>Hello, \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}!</h1>"),
        ("/<script>", "<h1>Hello, &lt;script&gt;!</h1>"),
        ("/'\"&", "<h1>Hello, &#x27;&quot;&amp;!</h1>"),
    ],
)
def test_the_path_is_greeted(path: str | bytes, body: str) -> None:
    response = respond(validator(application), PATH_INFO=as_path_info(path))
    assert response.status == "200 OK"
    assert response.body.decode() == body
    assert response.fields == [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(response.body))),
    ]


@given(st.binary())
def test_any_path_is_greeted_and_none_brings_markup(path: bytes) -> None:
    response = respond(validator(application), PATH_INFO=as_path_info(b"/" + path))
    text = response.body.decode()
    name = text.removeprefix("<h1>Hello, ").removesuffix("!</h1>")
    assert text == f"<h1>Hello, {name}!</h1>"
    assert not set("<>\"'") & set(name)
    assert html.escape(html.unescape(name)) == name
    assert response.field("Content-Length") == str(len(response.body))


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_every_method_is_answered(method: str) -> None:
    response = respond(validator(application), REQUEST_METHOD=method, PATH_INFO="/alice")
    assert (response.status, response.body) == ("200 OK", b"<h1>Hello, alice!</h1>")


def test_head_has_the_fields_of_get_and_no_body() -> None:
    answers: dict[str, Any] = {
        method: respond(validator(application), REQUEST_METHOD=method, PATH_INFO="/alice")
        for method in ("GET", "HEAD")
    }
    assert answers["HEAD"].fields == answers["GET"].fields
    assert answers["HEAD"].body == b""
