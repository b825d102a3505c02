"""Which files `basculectl dev` serves in front of an application, and which it never does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote
from wsgiref.util import FileWrapper

import pytest
from bascule_ops.front import Files
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

THEIRS = b"the application's"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = {
        "project/static/shop.css": "body {}",
        "project/static/deep/er/a.js": "1",
        "project/static/a.unknown": "?",
        "project/static/a.svg.gz": "?",
        "project/static/.hidden": "a secret",
        "project/static/.git/config": "a secret",
        "project/shop.py": "a secret",
        "secret": "a secret",
    }
    for name, text in made.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    static = tmp_path / "project" / "static"
    (static / "within.css").symlink_to("shop.css")
    (static / "out").symlink_to("../../secret")
    (static / "away").symlink_to("..")
    return static


def ask(place: Path, path: str, method: str = "GET") -> tuple[bytes, dict[str, str]]:
    """Ask as a server does, which has decoded the path (PEP 3333); return body and fields."""
    head: dict[str, str] = {}

    def application(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("404 Not Found", [])
        return [THEIRS]

    environ = {
        "PATH_INFO": path.encode("utf-8", "surrogateescape").decode("latin-1"),
        "REQUEST_METHOD": method,
        "wsgi.file_wrapper": FileWrapper,
    }
    found = Files(application, {"static": place})(environ, lambda _, fields: head.update(fields))
    body = b"".join(found)
    if isinstance(found, FileWrapper):
        found.close()
    return body, head


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/static/shop.css", b"body {}", "text/css; charset=utf-8"),
        ("/static/within.css", b"body {}", "text/css; charset=utf-8"),
        ("/static//deep/er/a.js", b"1", "text/javascript; charset=utf-8"),
        ("/static/a.unknown", b"?", "application/octet-stream"),
        ("/static/a.svg.gz", b"?", "application/octet-stream"),
    ],
)
def test_files_are_served_with_their_type(place: Path, path: str, body: bytes, kind: str) -> None:
    found, fields = ask(place, path)
    assert found == body
    assert fields["Content-Length"] == str(len(body))
    # Python 3.11 calls scripts application/javascript.
    assert (
        fields["Content-Type"].replace("application/javascript", "text/javascript; charset=utf-8")
        == kind
    )


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/static", "/static/", "/static/deep", "/static/absent.css", "/media/shop.css"),
        *("/static/../shop.py", "/static/deep/../../shop.py", "/static//../../secret"),
        *("/static/.hidden", "/static/.git/config", "/static/out", "/static/away/shop.py"),
        *("/static//etc/passwd", "/static/shop.css\0", "/static/shop.css/", "/static/\udcff"),
    ],
)
def test_all_else_is_the_applications(place: Path, path: str) -> None:
    assert ask(place, path)[0] == THEIRS


def test_only_reading_is_for_files(place: Path) -> None:
    assert ask(place, "/static/shop.css", "POST")[0] == THEIRS


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(
        st.sampled_from(
            [
                "..",
                ".",
                "",
                "deep",
                "er",
                "away",
                "out",
                "secret",
                "shop.py",
                "a.js",
                "~",
                quote(".."),
            ]
        )
    )
)
def test_no_way_leads_out(place: Path, parts: list[str]) -> None:
    assert b"secret" not in ask(place, "/static/" + "/".join(parts))[0]
