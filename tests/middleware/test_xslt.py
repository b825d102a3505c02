"""The link `xslt`: which responses become HTML, and with which fields."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from bascule_middleware.links.xslt.xslt import Xslt
from bascule_middleware.settings import SettingError

from tests.middleware.gateway import Gateway, respond

SHEET = """<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:output method="html" encoding="utf-8"/>
<xsl:template match="/"><html><body>%s<xsl:value-of select="."/></body></html></xsl:template>
</xsl:stylesheet>"""
NAMED = b'<?xml-stylesheet type="text/xsl" href="page.xsl"?>'
DOCUMENT = NAMED + b"<greeting>hello</greeting>"
PAGE = b"<html><body>hello</body></html>"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
XML = ("Content-Type", "application/xml")
ERROR = "500 Internal Server Error"


@pytest.fixture
def sheets(tmp_path: Path) -> Path:
    """A directory of stylesheets, with page.xsl in it, and nothing but it in its parent."""
    directory = tmp_path / "sheets"
    directory.mkdir()
    (directory / "page.xsl").write_text(SHEET % "")
    return directory


def answering(
    *blocks: bytes, status: str = "200 OK", fields: Any = (XML,)
) -> Callable[[Any, Any], list[bytes]]:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(status, list(fields))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else list(blocks)

    return application


def test_a_browser_gets_html(sheets: Path) -> None:
    link = Xslt(validator(answering(NAMED, b"<greeting>hello</greeting>")), stylesheets=sheets)
    response = respond(validator(link), HTTP_ACCEPT=BROWSER)
    assert (response.status, response.body.strip()) == ("200 OK", PAGE)
    assert dict(response.fields) == {
        "ETag": response.field("ETag"),
        "Vary": "Accept",
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(response.body)),
    }


@pytest.mark.parametrize("accept", ["", "*/*", "application/xml", "application/*", "text/html;q=0"])
def test_who_does_not_prefer_html_gets_the_applications_own_response(
    sheets: Path, accept: str
) -> None:
    blocks = [DOCUMENT]

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [XML, ("ETag", '"x"'), ("Content-Length", str(len(DOCUMENT)))])
        return blocks

    response = respond(Xslt(application, stylesheets=sheets), HTTP_ACCEPT=accept)
    assert response.iterable is blocks
    assert response.fields == [
        XML,
        ("ETag", '"x"'),
        ("Content-Length", str(len(DOCUMENT))),
        ("Vary", "Accept"),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        [("Content-Type", "application/xml; charset=utf-8")],
        [("content-type", "TEXT/XML")],
        [("Content-Type", "application/atom+xml")],
        [XML, ("Content-Encoding", "identity")],
        [XML, ("Content-Disposition", 'inline; filename="attachment.xml"')],
    ],
)
@pytest.mark.parametrize("status", ["200 OK", "201 Created", "404 Not Found", "503 Away"])
def test_any_xml_with_a_document_in_it_becomes_html(sheets: Path, fields: Any, status: str) -> None:
    link = Xslt(answering(DOCUMENT, status=status, fields=fields), stylesheets=sheets)
    response = respond(validator(link), HTTP_ACCEPT=BROWSER)
    assert (response.status, response.body.strip()) == (status, PAGE)


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        ("200 OK", [("Content-Type", "text/plain")]),
        ("200 OK", [("Content-Type", "application/xhtml+xml")]),
        ("200 OK", [("Content-Type", "image/svg+xml")]),
        ("200 OK", [XML, ("Content-Encoding", "gzip")]),
        ("200 OK", [XML, ("Content-Disposition", "Attachment; filename=x.xml")]),
        ("200 OK", [XML, ("Cache-Control", "max-age=5, no-transform")]),
    ],
)
def test_what_is_no_xml_to_show_is_passed_as_it_is(sheets: Path, status: str, fields: Any) -> None:
    blocks = [DOCUMENT]

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(status, fields)
        return blocks

    response = respond(Xslt(application, stylesheets=sheets), HTTP_ACCEPT=BROWSER)
    assert response.iterable is blocks
    assert response.fields == fields


def test_a_part_of_a_document_and_no_document_are_passed(sheets: Path) -> None:
    for status in ("204 No Content", "206 Partial Content", "304 Not Modified"):
        link = Xslt(answering(DOCUMENT, status=status), stylesheets=sheets)
        response = respond(link, HTTP_ACCEPT=BROWSER)
        assert (response.status, response.body) == (status, DOCUMENT)


@pytest.mark.parametrize(
    "document",
    [
        b"<greeting>hello</greeting>",
        b"<greeting>xml-stylesheet</greeting>",
        b"<?xml-stylesheet type='text/css' href='page.xsl'?><a/>",
        b"<?xml-stylesheet type='text/xsl' href='page.xsl' alternate='yes'?><a/>",
        b"<?xml-stylesheet type='text/xsl' href='http://example.com/page.xsl'?><a/>",
        b"<?xml-stylesheet type='text/xsl' href='/page.xsl'?><a/>",
        b"<?xml-stylesheet type='text/xsl' href='../sheets/page.xsl'?><a/>",
        b"<?xml-stylesheet type='text/xsl' href='file:page.xsl'?><a/>",
        b"<?xml-stylesheet type='text/xsl' href='page.xml'?><a/>",
        b"<?xml-stylesheet type='text/xsl'?><a/>",
        b"<a><?xml-stylesheet type='text/xsl' href='page.xsl'?></a>",
    ],
)
def test_a_document_that_names_no_stylesheet_of_ours_stays_xml(
    sheets: Path, document: bytes
) -> None:
    link = Xslt(answering(document), stylesheets=sheets)
    response = respond(validator(link), HTTP_ACCEPT=BROWSER)
    assert (response.status, response.body) == ("200 OK", document)
    assert response.fields == [XML, ("Vary", "Accept")]


def test_the_first_stylesheet_of_a_suitable_type_is_taken(sheets: Path) -> None:
    (sheets / "other.xsl").write_text(SHEET % "other")
    before = b"<?xml-stylesheet type='text/css' href='x.css'?><!-- -->"
    after = b"<?xml-stylesheet type='text/xsl' href='other.xsl'?>"
    link = Xslt(answering(before + NAMED + after + b"<a>hello</a>"), stylesheets=sheets)
    assert respond(link, HTTP_ACCEPT=BROWSER).body.strip() == PAGE


def test_a_document_may_be_in_another_encoding(sheets: Path) -> None:
    text = f'<?xml version="1.0" encoding="utf-16"?>{NAMED.decode()}<a>zażółć</a>'
    link = Xslt(answering(text.encode("utf-16")), stylesheets=sheets)
    assert "zażółć" in respond(link, HTTP_ACCEPT=BROWSER).body.decode()


@pytest.mark.parametrize(
    ("output", "encoding"),
    [
        ('encoding="ISO-8859-1"', "iso-8859-1"),
        ("", "utf-8"),
        ('encoding="Windows-1252"', "windows-1252"),
    ],
)
def test_a_page_says_which_encoding_it_is_in(sheets: Path, output: str, encoding: str) -> None:
    (sheets / "page.xsl").write_text(SHEET.replace('encoding="utf-8"', output) % "<head/>")
    link = Xslt(answering(NAMED + "<a>é</a>".encode()), stylesheets=sheets)
    response = respond(link, HTTP_ACCEPT=BROWSER)
    assert response.field("Content-Type") == f"text/html; charset={encoding}"
    assert "é" in response.body.decode(encoding)


def test_a_path_may_have_a_stylesheet_that_goes_before_the_documents_own(sheets: Path) -> None:
    for name in ("shop", "all"):
        (sheets / f"{name}.xsl").write_text(SHEET % name)
    link = Xslt(
        answering(DOCUMENT), stylesheets=sheets, paths={"/shop": "shop.xsl", "/shop/a/": "all.xsl"}
    )

    def body(script_name: str, path: str) -> bytes:
        response = respond(link, HTTP_ACCEPT=BROWSER, SCRIPT_NAME=script_name, PATH_INFO=path)
        return response.body.strip()

    assert b"<body>shop" in body("", "/shop")
    assert b"<body>shop" in body("/shop", "/x")
    assert b"<body>all" in body("", "/shop/a/b")
    assert body("", "/shopping") == PAGE


def test_the_path_is_the_one_that_was_asked_for(sheets: Path) -> None:
    (sheets / "cafe.xsl").write_text(SHEET % "café ")

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        environ["PATH_INFO"] = path.encode("latin-1").decode()  # as some frameworks do
        return answering(DOCUMENT)(environ, start_response)

    link = Xslt(application, stylesheets=sheets, paths={"/café": "cafe.xsl"})
    path = "/café/x".encode().decode("latin-1")
    assert "café hello" in respond(link, HTTP_ACCEPT=BROWSER, PATH_INFO=path).body.decode()


def test_the_link_leaves_alone_what_is_not_under_its_paths(sheets: Path) -> None:
    link = Xslt(answering(DOCUMENT), stylesheets=sheets, under=["/shop", "/news/"])

    def fields(path: str) -> list[tuple[str, str]]:
        return respond(link, HTTP_ACCEPT=BROWSER, PATH_INFO=path).fields

    for path in ("/shop", "/shop/x", "/news", "/news/x"):
        assert ("Content-Type", "text/html; charset=utf-8") in fields(path)
    for path in ("/", "/shopping", "/x/shop"):
        assert fields(path) == [XML]


def test_fields_that_speak_of_the_xml_are_dropped_and_others_kept(sheets: Path) -> None:
    of_the_xml = [
        ("Content-Length", str(len(DOCUMENT))),
        ("ETag", '"xml"'),
        ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Accept-Ranges", "bytes"),
        ("Repr-Digest", "sha-256=:AA==:"),
    ]
    others = [("Set-Cookie", "a=b"), ("Set-Cookie", "c=d"), ("Cache-Control", "max-age=60")]
    link = Xslt(answering(DOCUMENT, fields=[XML, *of_the_xml, *others]), stylesheets=sheets)
    response = respond(validator(link), HTTP_ACCEPT=BROWSER)
    for field in of_the_xml:
        assert field not in response.fields
    assert [field for field in response.fields if field in others] == others


@pytest.mark.parametrize(
    ("vary", "expected"),
    [("accept, Cookie", []), ("*", []), ("Accept-Encoding", [("Vary", "Accept")])],
)
@pytest.mark.parametrize("accept", [BROWSER, "*/*"])
def test_vary_names_accept_once(sheets: Path, vary: str, expected: Any, accept: str) -> None:
    link = Xslt(answering(DOCUMENT, fields=[XML, ("Vary", vary)]), stylesheets=sheets)
    fields = respond(link, HTTP_ACCEPT=accept).fields
    assert [field for field in fields if field[0] == "Vary"] == [("Vary", vary), *expected]


def test_who_has_the_html_is_told_so_until_the_stylesheet_changes(sheets: Path) -> None:
    seen = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.extend(name for name in environ if name.startswith("HTTP_IF_"))
        start_response("200 OK", [XML, ("ETag", '"xml"'), ("Cache-Control", "max-age=60")])
        return [DOCUMENT]

    link = Xslt(validator(application), stylesheets=sheets)
    tag = respond(link, HTTP_ACCEPT=BROWSER).field("ETag")
    for sent in (tag, f'W/{tag}, "xml"'):
        response = respond(
            validator(link),
            HTTP_ACCEPT=BROWSER,
            HTTP_IF_NONE_MATCH=sent,
            HTTP_IF_MODIFIED_SINCE="Sun, 06 Nov 1994 08:49:37 GMT",
        )
        assert (response.status, response.body) == ("304 Not Modified", b"")
        assert response.fields == [
            ("Cache-Control", "max-age=60"),
            ("ETag", tag),
            ("Vary", "Accept"),
        ]
    assert seen == []  # it must not answer for its XML

    (sheets / "page.xsl").write_text(SHEET % "new ")
    response = respond(validator(link), HTTP_ACCEPT=BROWSER, HTTP_IF_NONE_MATCH=tag)
    assert response.status == "200 OK"
    assert response.field("ETag") != tag


def test_who_has_the_xml_is_told_so_by_the_application(sheets: Path) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        assert environ["HTTP_IF_NONE_MATCH"] == '"xml"'
        start_response("304 Not Modified", [("ETag", '"xml"')])
        return []

    link = Xslt(validator(application), stylesheets=sheets)
    response = respond(validator(link), HTTP_ACCEPT=BROWSER, HTTP_IF_NONE_MATCH='"xml"')
    assert response.status == "304 Not Modified"


def test_head_of_a_page_that_the_client_has_is_304(sheets: Path) -> None:
    link = Xslt(validator(answering(DOCUMENT)), stylesheets=sheets)
    known = {
        "HTTP_ACCEPT": BROWSER,
        "HTTP_IF_NONE_MATCH": respond(link, HTTP_ACCEPT=BROWSER).field("ETag"),
    }
    response = respond(validator(link), REQUEST_METHOD="HEAD", **known)
    assert response.status == "304 Not Modified"
    post = respond(link, REQUEST_METHOD="POST", **known)
    assert (post.status, post.body.strip()) == ("200 OK", PAGE)


@pytest.mark.parametrize("lazy", [False, True])
def test_head_has_the_fields_of_get(sheets: Path, lazy: bool) -> None:
    application: Any = answering(DOCUMENT, fields=[XML, ("Content-Length", str(len(DOCUMENT)))])

    def generator(environ: dict[str, Any], start_response: Any) -> Any:
        yield from application(environ, start_response)

    link = Xslt(validator(generator if lazy else application), stylesheets=sheets)
    head = respond(validator(link), HTTP_ACCEPT=BROWSER, REQUEST_METHOD="HEAD")
    get = respond(link, HTTP_ACCEPT=BROWSER)
    assert (head.status, head.fields, head.body) == (get.status, get.fields, b"")
    assert get.field("Content-Length") == str(len(get.body))


# --- How the body comes, and how it ends ---


class Response:
    """A response whose blocks may be a stream, and which counts its closings."""

    def __init__(self, *blocks: bytes, fails: bool = False) -> None:
        self.blocks, self.fails = blocks, fails
        self.made = self.closings = 0

    def __call__(self, _environ: Any, start_response: Any) -> Response:
        start_response("200 OK", [XML])
        return self

    def __iter__(self) -> Any:
        for block in self.blocks:
            self.made += 1
            yield block
        if self.fails:
            raise ValueError("<secret>")

    def close(self) -> None:
        self.closings += 1


def test_a_transformed_response_is_closed_once(sheets: Path) -> None:
    response = Response(NAMED, b"", b"<a>hello</a>")
    link = Xslt(response, stylesheets=sheets)
    assert respond(link, HTTP_ACCEPT=BROWSER).body.strip() == PAGE
    assert response.closings == 1


def test_a_response_that_fails_is_closed_and_the_exception_goes_on(sheets: Path) -> None:
    response = Response(NAMED, fails=True)
    gateway = Gateway(Xslt(response, stylesheets=sheets), HTTP_ACCEPT=BROWSER)
    with pytest.raises(ValueError, match="<secret>"):
        gateway.run()
    assert (gateway.status, response.closings) == ("", 1)


def test_a_broken_response_is_closed_once(sheets: Path) -> None:
    response = Response(NAMED, b"<a>")
    assert respond(Xslt(response, stylesheets=sheets), HTTP_ACCEPT=BROWSER).status == ERROR
    assert response.closings == 1


def test_what_was_written_is_transformed_too(sheets: Path) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [XML])
        write(NAMED)
        write(b"<a>hel")
        return [b"lo</a>"]

    link = Xslt(validator(application), stylesheets=sheets)
    assert respond(validator(link), HTTP_ACCEPT=BROWSER).body.strip() == PAGE


def test_an_application_may_change_its_mind_while_the_response_is_held(sheets: Path) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [XML])(NAMED)
        try:
            raise LookupError
        except LookupError:
            start_response("503 Away", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"sorry"]

    response = respond(Xslt(application, stylesheets=sheets), HTTP_ACCEPT=BROWSER)
    assert (response.status, response.body) == ("503 Away", b"sorry")


def test_what_was_held_of_a_response_goes_with_it(sheets: Path) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [XML])(b"<secret")
        try:
            raise LookupError
        except LookupError:
            start_response("503 Away", [XML], sys.exc_info())
        return [DOCUMENT]

    response = respond(Xslt(application, stylesheets=sheets), HTTP_ACCEPT=BROWSER)
    assert (response.status, response.body.strip()) == ("503 Away", PAGE)


def test_an_application_that_starts_twice_is_told_so(sheets: Path) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [XML])
        start_response("200 OK", [XML])
        return []

    with pytest.raises(AssertionError, match="second time"):
        respond(Xslt(application, stylesheets=sheets), HTTP_ACCEPT=BROWSER)


# --- Too long ---


def test_a_document_that_says_it_is_too_long_is_passed_untouched(
    sheets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocks = [DOCUMENT]

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [XML, ("Content-Length", str(len(DOCUMENT)))])
        return blocks

    link = Xslt(application, stylesheets=sheets, limit=len(DOCUMENT) - 1)
    response = respond(link, HTTP_ACCEPT=BROWSER)
    assert response.iterable is blocks
    assert response.field("Vary") == "Accept"
    (record,) = caplog.records
    assert (record.levelno, vars(record)["event"]) == (logging.WARNING, "xslt_too_long")


def test_a_document_that_turns_out_too_long_goes_on_as_a_stream(
    sheets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    response = Response(NAMED, *[b"x" * 100] * 50)
    link = Xslt(response, stylesheets=sheets, limit=300)
    gateway = Gateway(link, HTTP_ACCEPT=BROWSER)
    iterable = link(gateway.environ, gateway.start_response)
    assert gateway.fields == [XML, ("Vary", "Accept")]
    assert response.made < 6  # no more than was needed to know it
    body = b"".join(iterable)
    iterable.close()  # type: ignore[attr-defined]
    assert (body, response.closings) == (NAMED + b"x" * 5000, 1)
    assert [vars(record)["event"] for record in caplog.records] == ["xslt_too_long"]


def test_what_is_written_past_the_limit_goes_on_as_it_is_written(sheets: Path) -> None:
    seen: list[int] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [XML])
        for _ in range(5):
            write(b"x" * 100)
            seen.append(len(gateway.body))
        return [b"end"]

    gateway = Gateway(Xslt(application, stylesheets=sheets, limit=250), HTTP_ACCEPT=BROWSER)
    gateway.run()
    assert seen == [0, 0, 300, 400, 500]
    assert gateway.body == b"x" * 500 + b"end"


# --- Stylesheets ---


def rewrite(path: Path, text: str) -> None:
    path.write_text(text)


def replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    os.utime(new, ns=times)  # as a copy that keeps times would
    new.rename(path)


@pytest.mark.parametrize("change", [rewrite, replace])
@pytest.mark.parametrize("name", ["page.xsl", "common/part.xsl"])
def test_a_changed_stylesheet_is_compiled_again(
    sheets: Path, change: Callable[[Path, str], None], name: str
) -> None:
    (sheets / "common").mkdir()
    (sheets / "common" / "part.xsl").write_text(SHEET % "old ")
    include = '<xsl:include href="common/part.xsl"/></xsl:stylesheet>'
    head, _, _ = SHEET.partition("<xsl:output")
    (sheets / "page.xsl").write_text(head + include)
    link = Xslt(answering(DOCUMENT), stylesheets=sheets)
    assert b"old hello" in respond(link, HTTP_ACCEPT=BROWSER).body
    change(sheets / name, SHEET % "new ")
    assert b"new hello" in respond(link, HTTP_ACCEPT=BROWSER).body


def test_an_unchanged_stylesheet_is_not_read_again(sheets: Path) -> None:
    link = Xslt(answering(DOCUMENT), stylesheets=sheets)
    assert respond(link, HTTP_ACCEPT=BROWSER).body.strip() == PAGE
    path = sheets / "page.xsl"
    status = path.stat()
    text = path.read_text()
    path.write_text("x" * len(text))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert respond(link, HTTP_ACCEPT=BROWSER).body.strip() == PAGE


def test_a_stylesheet_that_was_broken_is_mended_without_a_restart(sheets: Path) -> None:
    (sheets / "page.xsl").write_text("<broken>")
    link = Xslt(answering(DOCUMENT), stylesheets=sheets)
    assert respond(link, HTTP_ACCEPT=BROWSER).status == ERROR
    (sheets / "page.xsl").write_text(SHEET % "")
    assert respond(link, HTTP_ACCEPT=BROWSER).body.strip() == PAGE


def test_a_stylesheet_may_use_entities_of_its_own(sheets: Path) -> None:
    dtd = '<!DOCTYPE xsl:stylesheet [<!ENTITY dots "...">]>'
    (sheets / "page.xsl").write_text(dtd + SHEET % "&dots;")
    link = Xslt(answering(DOCUMENT), stylesheets=sheets)
    assert b"...hello" in respond(link, HTTP_ACCEPT=BROWSER).body


def test_threads_share_a_stylesheet_and_get_their_own_pages(sheets: Path) -> None:
    names = "<xsl:element name='n{.}'><xsl:value-of select='name(*/*)'/></xsl:element>"
    (sheets / "page.xsl").write_text(SHEET % names)

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [XML])
        name = environ["QUERY_STRING"]
        return [NAMED + f"<a><x{name}>{name}</x{name}></a>".encode()]

    link = Xslt(application, stylesheets=sheets)
    wrong: list[bytes] = []

    def client(number: int) -> None:
        for turn in range(100):
            name = f"{number}i{turn}"
            body = respond(link, HTTP_ACCEPT=BROWSER, QUERY_STRING=name).body
            if f"<n{name}>x{name}</n{name}>{name}".encode() not in body:
                wrong.append(body)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# --- Settings ---


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stylesheets": Path("nowhere")}, 'setting "stylesheets": "nowhere": No such file'),
        ({"stylesheets": Path(__file__)}, "is not a directory"),
        ({"limit": 0}, 'setting "limit": 0 is not a number of bytes'),
        ({"output_limit": -1}, 'setting "output_limit": -1 is not a number of bytes'),
        ({"under": ["shop"]}, 'setting "under": "shop" does not begin with "/"'),
        ({"paths": {"shop": "page.xsl"}}, 'setting "paths": "shop" does not begin with "/"'),
        ({"paths": {"/a": "page.xsl", "/a/": "page.xsl"}}, '"/a/" is there twice'),
        ({"paths": {"/": "none.xsl"}}, 'setting "paths": "/": "none.xsl": No such file'),
        ({"paths": {"/": "../page.xsl"}}, '"../page.xsl" is not the name of a stylesheet'),
        ({"paths": {"/": "bad.xsl"}}, 'setting "paths": "/": "bad.xsl": '),
    ],
)
def test_a_wrong_setting_is_refused_at_start(
    sheets: Path, settings: dict[str, Any], message: str
) -> None:
    (sheets / "bad.xsl").write_text("<broken>")
    with pytest.raises(SettingError) as caught:
        Xslt(answering(), **{"stylesheets": sheets, **settings})
    assert message in str(caught.value)


def test_a_missing_package_is_named(sheets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "lxml",
        "bascule_middleware.links.xslt.stylesheets",
        "bascule_middleware.links.xslt.transformation",
    ):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "lxml", None)
    with pytest.raises(SettingError, match="pip install lxml"):
        Xslt(answering(), stylesheets=sheets)
