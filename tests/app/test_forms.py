"""The forms of an application: each greets as the hello application does."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any
from wsgiref.validate import validator

import pytest

from app import forms, hello
from tests.middleware.gateway import respond

applications = pytest.mark.parametrize(
    "application", [forms.Greeting, forms.greeter, forms.generator, forms.writer]
)


@applications
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize("path", ["/", "", "/alice", "/<b>", "/\xe5\xb0\x8f", "/\xff"])
def test_every_form_greets_as_hello_does(
    application: Callable[..., Any], method: str, path: str
) -> None:
    variables = {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "/forms"}
    response = respond(validator(application), **variables)
    expected = respond(hello.application, **variables)
    assert (response.status, response.body) == (expected.status, expected.body)
    assert response.fields == [("Content-Type", "text/html; charset=utf-8")]


@applications
def test_one_application_serves_request_after_request(application: Callable[..., Any]) -> None:
    for name in ("alice", "bob"):
        response = respond(application, PATH_INFO=f"/{name}")
        assert response.body == f"<h1>Hello, {name}!</h1>".encode()


def test_the_forms_are_what_they_are_called() -> None:
    assert inspect.isclass(forms.Greeting)
    assert not inspect.isroutine(forms.greeter)
    assert inspect.isgeneratorfunction(forms.generator)
    assert inspect.isfunction(forms.writer)
    assert inspect.isfunction(hello.application)


def test_an_instance_keeps_its_settings() -> None:
    response = respond(forms.Greeter("Good <morning>"), PATH_INFO="/alice")
    assert response.body == b"<h1>Good &lt;morning&gt;, alice!</h1>"


def test_writer_sends_through_write_and_returns_nothing() -> None:
    response = respond(forms.writer)
    assert response.iterable == []
    assert response.body == b"<h1>Hello, web!</h1>"
