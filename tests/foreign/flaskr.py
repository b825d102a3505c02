"""Flask's tutorial application: https://flask.palletsprojects.com/en/stable/tutorial/.

It comes with Flask's source distribution, in examples/tutorial.
"""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Sequence
from typing import Final

from tests.foreign.application import Application
from tests.foreign.site import VERSIONS, Site


def make(site: Site) -> None:
    """Take the directory out of the source distribution, as its README has it of the checkout."""
    place = site.root.parent / f"{site.root.name}-source"
    download = ("pip", "download", "--quiet", "--no-deps", "--no-binary=flask")
    site.shell(*download, f"--constraint={VERSIONS}", f"--dest={place}", "flask")
    (archive,) = place.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(place, filter="data")
    (tutorial,) = place.glob("*/examples/tutorial")
    shutil.copytree(tutorial, site.root, dirs_exist_ok=True)
    shutil.rmtree(place)
    site.commands.clear()  # the tutorial's reader has the directory


def before(site: Site) -> None:
    """Make the tables."""
    site.one_off("flask", "--app", "flaskr", "init-db")


def walk(site: Site) -> Sequence[str]:
    """Two authors, of whom one writes and the other may not change it."""
    author, other = site.browser(), site.browser()
    for name, browser in (("alice", author), ("bob", other)):
        form = {"username": name, "password": f"{name}'s"}
        assert browser.post_form("/auth/register", form).field("Location") == "/auth/login"
        assert browser.post_form("/auth/login", form).field("Location") == "/"
        assert f"<span>{name}</span>" in browser.get("/").text
    post = {"title": "Ünïcode & <b>", "body": "first\nsecond"}
    assert author.post_form("/create", post).status == 302
    page = other.get("/").text
    assert "Ünïcode &amp; &lt;b&gt;" in page
    assert "/1/update" not in page
    assert other.post_form("/1/update", post).status == 403
    assert author.post_form("/1/update", post | {"title": "Changed"}).status == 302
    assert "Changed" in site.get("/").text
    (style,) = re.findall(r'<link rel="stylesheet" href="([^"]+)">', page)
    assert "--" not in style
    reply = site.get(style)
    assert reply.status == 200
    assert reply.field("Content-Type") == "text/css"
    assert author.post_form("/1/delete", {}).status == 302
    assert "Changed" not in site.get("/").text
    return ["registers two users", "writes, changes and deletes a post", "fetches the style sheet"]


FLASKR: Final = Application(
    distribution="flask", framework="Flask", make=make, before=before, walk=walk
)
