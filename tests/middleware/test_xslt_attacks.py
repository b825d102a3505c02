"""Documents and stylesheets that want more than the link `xslt` grants: every one is refused.

Refused means: 500, an error page without a word of the cause, one line in the log, no file written
and no connection made, at once.
"""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator
from xml.sax.saxutils import quoteattr

import pytest
from bascule_middleware.links.xslt.xslt import LIMIT, Xslt
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.harness.ports import listen
from tests.middleware.gateway import respond

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
NAMED = '<?xml-stylesheet type="text/xsl" href="page.xsl"?>'
COPY = '<xsl:copy-of select="."/>'


def sheet(body: str, top: str = "") -> str:
    return (
        '<xsl:stylesheet version="1.1" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" '
        'xmlns:exsl="http://exslt.org/common" xmlns:str="http://exslt.org/strings" '
        'xmlns:dyn="http://exslt.org/dynamic" xmlns:saxon="http://icl.com/saxon" '
        'extension-element-prefixes="exsl saxon">'
        f'{top}<xsl:template match="/"><html>{body}</html></xsl:template></xsl:stylesheet>'
    )


class Target:
    """What attacks aim at: a file with a secret, a place to write to, a server."""

    def __init__(self, directory: Path, listener: socket.socket) -> None:
        self.secret = directory / "secret.xml"
        self.secret.write_text("<a>top-secret</a>")
        self.written = directory / "written.xml"
        self.pipe = directory / "pipe"
        os.mkfifo(self.pipe)  # whoever opens it waits for ever
        self.listener = listener
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.xml"
        self.sheets = directory / "sheets"
        self.sheets.mkdir()
        (self.sheets / "page.xsl").write_text(sheet(COPY))

    def filled(self, text: str) -> str:
        for name in ("secret", "written", "pipe", "url"):
            text = text.replace(f"@{name}@", str(getattr(self, name)))
        return text

    def was_reached(self) -> bool:
        try:
            self.listener.accept()
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    with listen() as listener:
        listener.setblocking(False)
        yield Target(tmp_path, listener)


def assert_refused(target: Target, document: str | bytes, caplog: Any, **settings: Any) -> None:
    body = document.encode() if isinstance(document, str) else document

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/xml"), ("Set-Cookie", "a=b")])
        return [body]

    link = Xslt(validator(application), stylesheets=target.sheets, **settings)
    began = time.monotonic()
    response = respond(
        validator(link), HTTP_ACCEPT=BROWSER, **{"bascule.request_id": "the-id\nforged"}
    )
    took = time.monotonic() - began

    assert response.status == "500 Internal Server Error"
    assert [name for name, _ in response.fields] == ["Content-Type", "Content-Length", "Vary"]
    page = "<h1>Internal Server Error</h1><p>Request the-id\nforged</p></html>"
    assert response.body.decode().endswith(page)
    (record,) = caplog.records
    assert vars(record)["event"] == "xslt_failed"
    assert vars(record)["request_id"] == "the-id\nforged"
    assert "\n" not in record.getMessage()
    assert "top-secret" not in record.getMessage()
    assert str(target.sheets) not in record.getMessage()
    assert not target.written.exists()
    assert not target.was_reached()
    assert took < 5, "an attack took its time"


def entities(fold: int) -> str:
    lines = [f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, fold)]
    return f'<!DOCTYPE a [<!ENTITY e0 "lol">{"".join(lines)}]>'


DOCUMENTS = {
    "billion laughs": entities(10) + "<a>&e9;</a>",
    "billion laughs in an attribute": entities(10) + '<a b="&e9;"/>',
    "billion laughs that nobody calls": entities(10) + "<a/>",
    "few laughs": entities(2) + "<a>&e1;</a>",
    "quadratic blow-up": f'<!DOCTYPE a [<!ENTITY e "{"x" * 50_000}">]><a>{"&e;" * 50_000}</a>',
    "quadratic blow-up in attributes": f'<!DOCTYPE a [<!ENTITY e "{"x" * 50_000}">]>'
    "<a>" + '<b c="&e;"/>' * 20_000 + "</a>",
    "an entity of a file": '<!DOCTYPE a [<!ENTITY e SYSTEM "@secret@">]><a>&e;</a>',
    "an entity of a file by URL": '<!DOCTYPE a [<!ENTITY e SYSTEM "file://@secret@">]><a>&e;</a>',
    "an entity that nobody ever ends": '<!DOCTYPE a [<!ENTITY e SYSTEM "@pipe@">]><a>&e;</a>',
    "an entity of the network": '<!DOCTYPE a [<!ENTITY e SYSTEM "@url@">]><a>&e;</a>',
    "a parameter entity of a file": '<!DOCTYPE a [<!ENTITY % e SYSTEM "@secret@"> %e;]><a/>',
    "a parameter entity of the network": '<!DOCTYPE a [<!ENTITY % e SYSTEM "@url@"> %e;]><a/>',
    "parameter entities that nest": '<!DOCTYPE a [<!ENTITY % a "&#x25;b;"><!ENTITY % b "%a;"> %b;]><a/>',
    "an external subset of a file": '<!DOCTYPE a SYSTEM "@secret@"><a/>',
    "an external subset of the network": '<!DOCTYPE a SYSTEM "@url@"><a/>',
    "a public external subset": '<!DOCTYPE a PUBLIC "-//A//B" "@url@"><a/>',
    "default attributes": '<!DOCTYPE a [<!ATTLIST a b CDATA "c">]><a/>',
    "a harmless document type": "<!DOCTYPE a><a/>",
    "deep nesting": "<a>" * 100_000 + "</a>" * 100_000,
    "a long name": f"<{'a' * 200_000}/>",
    "broken XML": "<a><b></a>",
    "nothing": "",
    "an unknown encoding": '<?xml version="1.0" encoding="x-nothing"?><a/>',
}

STYLESHEETS = {
    "document() of a file": sheet("<xsl:copy-of select=\"document('@secret@')\"/>"),
    "document() of a file by URL": sheet("<xsl:copy-of select=\"document('file://@secret@')\"/>"),
    "document() of the network": sheet("<xsl:copy-of select=\"document('@url@')\"/>"),
    "document() of a neighbour": sheet("<xsl:copy-of select=\"document('page.xsl')\"/>"),
    "document() of the stylesheet": sheet("<xsl:copy-of select=\"document('')\"/>"),
    "document() as the document says": sheet('<xsl:copy-of select="document(/*/@href)"/>'),
    "document() by dyn:evaluate": sheet(
        "<xsl:copy-of select=\"dyn:evaluate('document(/*/@href)')\"/>"
    ),
    "xsl:include of a file": sheet("", '<xsl:include href="@secret@"/>'),
    "xsl:include of a file by URL": sheet("", '<xsl:include href="file://@secret@"/>'),
    "xsl:include of a parent": sheet("", '<xsl:include href="../secret.xml"/>'),
    "xsl:include of the network": sheet("", '<xsl:include href="@url@"/>'),
    "xsl:include of itself": sheet("", '<xsl:include href="page.xsl"/>'),
    "xsl:import of a file": sheet("", '<xsl:import href="@secret@"/>'),
    "xsl:import of the network": sheet("", '<xsl:import href="@url@"/>'),
    "xsl:document": sheet('<xsl:document href="@written@">x</xsl:document>'),
    "exsl:document": sheet('<exsl:document href="@written@">x</exsl:document>'),
    "exsl:document to the network": sheet('<exsl:document href="@url@">x</exsl:document>'),
    "saxon:output": sheet('<saxon:output href="@written@">x</saxon:output>'),
    "xsl:message terminate": sheet('<xsl:message terminate="yes">stop</xsl:message>'),
    "an unknown function": sheet(
        '<xsl:value-of select="x:y()" xmlns:x="http://example.com/"/>',
    ),
    "endless recursion": sheet(
        '<xsl:call-template name="t"/>',
        '<xsl:template name="t"><b><xsl:call-template name="t"/></b></xsl:template>',
    ),
    "endless application": sheet(
        '<xsl:apply-templates select="*"/>',
        '<xsl:template match="*"><xsl:apply-templates select="."/></xsl:template>',
    ),
    "an unknown encoding": sheet("", '<xsl:output encoding="x-nothing"/>'),
    "a huge result": sheet(
        "<xsl:for-each select=\"str:tokenize(str:padding(2000, 'x '))\">"
        "<xsl:value-of select=\"str:padding(9000, 'y')\"/></xsl:for-each>"
    ),
    "no result": '<xsl:stylesheet version="1.0" '
    'xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"/></xsl:stylesheet>',
    "an entity of a file": '<!DOCTYPE a [<!ENTITY e SYSTEM "@secret@">]>' + sheet("&e;"),
    "an entity of the network": '<!DOCTYPE a [<!ENTITY e SYSTEM "@url@">]>' + sheet("&e;"),
    "billion laughs": entities(10) + sheet("&e9;"),
    "no stylesheet": "<a/>",
    "broken XSL": sheet('<xsl:value-of select="[["/>'),
    "broken XML": "<xsl:stylesheet",
}


@pytest.mark.parametrize("attack", DOCUMENTS)
@pytest.mark.parametrize("configured", [False, True])
def test_a_hostile_document_is_refused(
    target: Target, attack: str, configured: bool, caplog: pytest.LogCaptureFixture
) -> None:
    document = target.filled(DOCUMENTS[attack])
    if configured:
        assert_refused(target, document, caplog, paths={"/": "page.xsl"})
    else:
        assert_refused(target, NAMED + document, caplog)


def test_a_document_type_hides_in_no_other_encoding(
    target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    text = f'<?xml version="1.0" encoding="utf-16"?>{NAMED}{entities(2)}<a>&e1;</a>'
    assert_refused(target, text.encode("utf-16"), caplog)


@pytest.mark.parametrize("attack", STYLESHEETS)
def test_a_stylesheet_reaches_nothing_but_its_neighbours_and_comes_to_an_end(
    target: Target, attack: str, caplog: pytest.LogCaptureFixture
) -> None:
    (target.sheets / "page.xsl").write_text(target.filled(STYLESHEETS[attack]))
    assert_refused(target, NAMED + target.filled('<a href="@secret@"/>'), caplog)


def test_an_included_stylesheet_reaches_no_further(
    target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    (target.sheets / "page.xsl").write_text(sheet("", '<xsl:include href="part/part.xsl"/>'))
    (target.sheets / "part").mkdir()
    outside = '<xsl:include href="../../secret.xml"/>'
    (target.sheets / "part" / "part.xsl").write_text(sheet("", outside))
    assert_refused(target, NAMED + "<a/>", caplog)


@pytest.mark.parametrize(
    "href", ["link.xsl", "directory/page.xsl", "loop.xsl", "none.xsl", "d.xsl"]
)
def test_a_name_leads_nowhere_but_to_a_file_in_the_directory(
    target: Target, href: str, caplog: pytest.LogCaptureFixture
) -> None:
    outside = target.sheets.parent / "outside"
    outside.mkdir()
    (outside / "page.xsl").write_text(sheet(COPY))
    (target.sheets / "link.xsl").symlink_to(outside / "page.xsl")
    (target.sheets / "directory").symlink_to(outside)
    (target.sheets / "loop.xsl").symlink_to("loop.xsl")
    (target.sheets / "d.xsl").mkdir()
    assert_refused(target, NAMED.replace("page.xsl", href) + "<a/>", caplog)


@given(st.text(st.sampled_from("./\\\\abpageout:%#?&;~ \t\xe9") | st.characters(codec="utf-8")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("../outside/page.xsl")
@example("..\\outside\\page.xsl")
@example("%2e%2e/outside/page.xsl")
@example("file:../outside/page.xsl")
@example("./page.xsl/../../outside/page.xsl")
def test_no_name_reads_a_file_outside_of_the_directory(target: Target, href: str) -> None:
    outside = target.sheets.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "page.xsl").write_text(sheet("outside"))
    document = f"<?xml-stylesheet type='text/xsl' href={quoteattr(href)}?><a/>".encode()

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/xml")])
        return [document]

    response = respond(Xslt(application, stylesheets=target.sheets), HTTP_ACCEPT=BROWSER)
    assert response.status.startswith(("200", "500"))
    assert b"outside</html>" not in response.body


def test_a_document_that_is_too_long_is_not_even_parsed(target: Target) -> None:
    document = (NAMED + entities(10) + f"<a>{'x' * LIMIT}&e9;</a>").encode()

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/xml")])
        return [document]

    response = respond(Xslt(application, stylesheets=target.sheets), HTTP_ACCEPT=BROWSER)
    assert (response.status, response.body) == ("200 OK", document)


def test_documents_with_ever_new_names_do_not_fill_the_memory(target: Target) -> None:
    """libxml2 keeps the names of a thread for as long as it lives; lxml, those of a stylesheet."""
    number = 0

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        nonlocal number
        start_response("200 OK", [("Content-Type", "application/xml")])
        number += 1
        names = (f"<n{number}x{n:012}/>" for n in range(40_000))
        return [f"{NAMED}<a>{''.join(names)}</a>".encode()]

    (target.sheets / "page.xsl").write_text(sheet(COPY))
    link = Xslt(application, stylesheets=target.sheets)

    def peak_after(requests: int) -> int:
        for _ in range(requests):
            assert respond(link, HTTP_ACCEPT=BROWSER).status == "200 OK"
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    settled = peak_after(5)
    assert peak_after(20) - settled < 10_000, "kB; 40 MB and more where the names stay"
