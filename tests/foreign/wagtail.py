"""Wagtail's own project: https://docs.wagtail.org/en/stable/getting_started/.

In production, as its deployment page says: the settings module is another one, and `local.py`
beside it has the secret and the host.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any, Final

from tests.foreign.application import Application
from tests.foreign.site import Site
from tests.frameworks.browser import Browser
from tests.harness.fetch import Reply

PASSWORD: Final = "correct horse battery"
LOCAL_SETTINGS: Final = 'SECRET_KEY = "not for others"\nALLOWED_HOSTS = ["localhost"]\n'


def make(site: Site) -> None:
    """What `wagtail start` makes."""
    site.shell("wagtail", "start", "mysite", ".")
    (site.root / "mysite" / "settings" / "local.py").write_text(LOCAL_SETTINGS)


def before(site: Site) -> None:
    """Make the tables, and a user."""
    site.one_off("python", "manage.py", "migrate", "--noinput")
    named = ("env", f"DJANGO_SUPERUSER_PASSWORD={PASSWORD}", "python", "manage.py")
    words = ("createsuperuser", "--noinput", "--username=alice", "--email=alice@localhost")
    site.one_off(*named, *words)


def walk(site: Site) -> Sequence[str]:
    """An editor logs in, uploads a picture, publishes a page, and a visitor finds it."""
    editor = site.browser()
    login = editor.get("/admin/login/")
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', login.text):
        reply = site.get(path)
        assert reply.status == 200, path
        assert "immutable" in (reply.field("Cache-Control") or ""), path
    form = {"username": "alice", "password": PASSWORD, "next": "/admin/"}
    reply = editor.post_form("/admin/login/", form | token(login))
    assert reply.field("Location") == "/admin/", reply.text
    assert "Welcome to" in editor.get("/admin/").text or "alice" in editor.get("/admin/").text
    upload_picture(site, editor)
    publish(editor)
    found = site.get("/search/?query=Marmalade")
    assert "Marmalade today" in found.text
    assert "No results found" in site.get("/search/?query=Nothingofthekind").text
    return ["logs in to the admin", "uploads a picture", "publishes a page", "finds it by search"]


def token(page: Reply) -> dict[str, str]:
    """The form's field against forgery."""
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert found, page.text
    return {"csrfmiddlewaretoken": found[1]}


def upload_picture(site: Site, editor: Browser) -> None:
    """Upload one of some size; a visitor gets it, and the thumbnail that was made of it."""
    picture = png(1200, 900)
    form: dict[str, Any] = {"title": "A picture", "file": ("picture.png", picture, "image/png")}
    page = editor.get("/admin/images/add/")
    reply = editor.post_files("/admin/images/add/", form | token(page))
    assert reply.field("Location") == "/admin/images/", reply.text
    listed = editor.get("/admin/images/").text
    (thumbnail,) = re.findall(r'src="(/media/images/[^"]+)"', listed)
    assert site.get(thumbnail).status == 200, thumbnail
    reply = site.get("/media/original_images/picture.png")
    assert reply.status == 200
    assert reply.body == picture
    assert reply.field("Content-Type") == "image/png"


def publish(editor: Browser) -> None:
    """A page below the first one."""
    where = "/admin/pages/add/home/homepage/3/"
    form = {
        **{"title": "Marmalade today", "slug": "marmalade", "action-publish": "action-publish"},
        **{"seo_title": "", "search_description": "", "go_live_at": "", "expire_at": ""},
        **{f"comments-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL", "MIN_NUM", "MAX_NUM")},
    }
    reply = editor.post_form(where, form | token(editor.get(where)))
    assert reply.status == 302, reply.text


def png(width: int, height: int) -> bytes:
    """A picture of noise, which no compression makes small."""
    import random
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    rows = io.BytesIO()
    noise = random.Random(1)
    for _ in range(height):
        rows.write(b"\0" + noise.randbytes(3 * width))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(rows.getvalue())
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", body), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


WAGTAIL: Final = Application(
    distribution="wagtail",
    framework="Django",
    make=make,
    settings={"DJANGO_SETTINGS_MODULE": "mysite.settings.production"},
    before=before,
    walk=walk,
    written=("static/",),
    base_images=["python:3.14-slim-bookworm"],
)
