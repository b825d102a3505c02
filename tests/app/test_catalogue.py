"""The catalogue application, alone and under the link that makes it a page."""

from __future__ import annotations

from pathlib import Path
from wsgiref.validate import validator
from xml.etree import ElementTree

import pytest
from bascule_middleware.links.xslt.xslt import Xslt

from app.catalogue import application
from tests.middleware.gateway import respond

APP = Path(__file__).parents[2] / "app"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("path", ["", "/"])
def test_the_catalogue_is_xml_that_names_its_stylesheet(path: str) -> None:
    response = respond(validator(application), PATH_INFO=path)
    assert response.field("Content-Type") == "application/xml"
    assert ElementTree.fromstring(response.body).tag == "catalogue"
    assert b'href="catalogue.xsl"' in response.body


def test_another_path_is_not_found() -> None:
    assert respond(validator(application), PATH_INFO="/x").status == "404 Not Found"


def test_a_client_that_has_it_is_told_so() -> None:
    tag = respond(application).field("ETag")
    response = respond(validator(application), HTTP_IF_NONE_MATCH=f'"other", W/{tag}')
    assert (response.status, response.body) == ("304 Not Modified", b"")


def test_head_has_the_fields_of_get_and_no_body() -> None:
    response = respond(validator(application), REQUEST_METHOD="HEAD")
    assert response.fields == respond(application).fields
    assert response.body == b""


def test_a_browser_gets_a_page_with_every_bridge() -> None:
    link = Xslt(validator(application), stylesheets=APP)
    response = respond(validator(link), HTTP_ACCEPT=BROWSER)
    assert response.field("Content-Type") == "text/html; charset=utf-8"
    page = response.body.decode()
    assert page.startswith("<!DOCTYPE html>")
    bridges = ElementTree.fromstring(respond(application).body).findall("bridge")
    assert len(bridges) > 1
    for bridge in bridges:
        for part in bridge:
            assert f">{part.text}</" in page
