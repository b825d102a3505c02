"""Every form of an application is served alike."""

from __future__ import annotations

import pytest

from .requests import get, head, post

FORMS = ["Greeting", "greeter", "generator", "writer"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_form_is_served_as_the_plain_function_is(form: str, method: str, bascule) -> None:
    target = "/alice?a=b"
    sent = {"GET": get(target), "HEAD": head("HEAD", target), "POST": post(target, b"a body")}
    responses = []
    for application in ("app.hello:application", f"app.forms:{form}"):
        with bascule[application].client() as client:
            # Twice: the connection is fit for a second request.
            client.request(sent[method], method=method)
            responses.append(client.request(sent[method], method=method))
    expected, response = responses
    assert (response.status, response.body) == (expected.status, expected.body)
    assert response.complete
    assert dict(response.fields)["Content-Type"] == dict(expected.fields)["Content-Type"]
