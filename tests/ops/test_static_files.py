"""Static files of a project: where they are, how nginx gets them, and how long the old ones stay."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from bascule_ops.static import publish, source

from tests.harness import repositories
from tests.harness.fetch import Reply, fetch
from tests.harness.ports import free_port
from tests.ops.test_init import basculectl


def files(root: Path, **texts: str) -> dict[str, Path]:
    """A version's files, by their names with a dot for the last underscore."""
    root.mkdir()
    found = {name.replace("_", "."): root / name for name in texts}
    for name, text in texts.items():
        (root / name).write_text(text)
    return found


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Where nginx is to find them."""
    place = tmp_path / "site"
    place.mkdir()
    return place


def served(site: Path) -> dict[str, str]:
    """What nginx finds."""
    top = site / publish.FILES
    return {
        each.relative_to(top).as_posix(): each.read_text()
        for each in top.rglob("*")
        if each.is_file()
    }


def test_before_it_serves_a_version_brings_in_new_names_only(tmp_path: Path, site: Path) -> None:
    publish.put(files(tmp_path / "old", a_css="old", b1_css="b"), site)
    publish.add(files(tmp_path / "new", a_css="new", b2_css="b"), site)
    assert served(site) == {"a.css": "old", "b1.css": "b", "b2.css": "b"}


def test_when_it_serves_its_files_are_there_beside_those_of_the_version_before(
    tmp_path: Path, site: Path
) -> None:
    old = files(tmp_path / "old", a_css="old", b1_css="b")
    publish.put(old, site)
    publish.put(files(tmp_path / "new", a_css="new", b2_css="b"), site)
    assert served(site) == {"a.css": "new", "b1.css": "b", "b2.css": "b"}
    publish.put(old, site)  # a rollback
    assert served(site) == {"a.css": "old", "b1.css": "b", "b2.css": "b"}


def test_what_no_version_has_goes_after_a_day(
    tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.time()
    old, new = files(tmp_path / "old", a1_css="a", c_css="c"), files(tmp_path / "new", a2_css="a")
    old["deep/b.css"] = old["c.css"]

    def put(which: dict[str, Path], hours: float) -> set[str]:
        monkeypatch.setattr(time, "time", lambda: began + hours * 3600)
        publish.put(which, site)
        return set(served(site))

    put(old, 0)
    everything = {"a1.css", "a2.css", "c.css", "deep/b.css"}
    assert put(new, 1000) == everything  # however long it had served
    assert put(new, 1023) == everything
    del old["c.css"]
    assert put(old, 1024) == everything  # it serves once more
    assert put(new, 1026) == everything - {"c.css"}
    assert put(new, 1049.9) == everything - {"c.css"}
    assert put(new, 1050.1) == {"a2.css"}
    assert not (site / publish.FILES / "deep").exists()


def test_a_file_that_stays_is_not_written_again(tmp_path: Path, site: Path) -> None:
    """So that its ETag stays, and browsers keep what they have."""
    publish.put(files(tmp_path / "old", a_css="same"), site)
    before = (site / publish.FILES / "a.css").stat()
    publish.put(files(tmp_path / "new", a_css="same"), site)
    after = (site / publish.FILES / "a.css").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_directory_and_a_file_may_change_places(tmp_path: Path, site: Path) -> None:
    version = files(tmp_path / "old", a="a", b="b")
    first = {"x": version["a"], "y/z": version["b"]}
    second = {"x/z": version["a"], "y": version["b"]}
    publish.put(first, site)
    publish.add(second, site)
    assert served(site) == {"x": "a", "y/z": "b"}
    publish.put(second, site)
    assert served(site) == {"x/z": "a", "y": "b"}


def test_where_no_nginx_is_to_serve_them_nothing_is_written(tmp_path: Path) -> None:
    version = files(tmp_path / "old", a="a")
    publish.add(version, tmp_path / "nowhere")
    publish.put(version, tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    publish.put(version, Path("/proc/sys"))  # as a directory on a read-only file system is


def test_links_are_followed_and_hidden_files_left(tmp_path: Path) -> None:
    """A link would lead nginx elsewhere, which is in another container."""
    texts = {"chain.toml": 'application = "a:b"\nstatic = "web/static"\n'}
    texts |= {f"web/static/{name}": "x" for name in (".env", ".git/config", "a/b.css")}
    repositories.write(tmp_path, texts | {"node_modules/c.js": "c"})
    (tmp_path / "web/static/c.js").symlink_to("../../node_modules/c.js")
    (tmp_path / "web/static/gone.js").symlink_to("nowhere")
    found = source.files({"PROJECT_DIR": str(tmp_path)}, tmp_path)
    assert set(found) == {"a/b.css", "c.js"}


@pytest.mark.parametrize("text", ['application = "a:b"\n', "wrong", None])
def test_a_chain_that_names_none_has_none(tmp_path: Path, text: str | None) -> None:
    if text:
        (tmp_path / "chain.toml").write_text(text)
    assert source.files({"PROJECT_DIR": str(tmp_path)}, tmp_path) == {}


CALLABLE = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"of the application"]
"""


class Site:
    """A repository in local mode, after `basculectl init` and `up`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()
        self.settings = {"HTTP_PORT": str(self.port), "STATUS_PORT": "off", "WORKERS": "1"}

    def run(self, *words: str) -> str:
        """Run a command that succeeds."""
        done = basculectl(self.root, *words, **self.settings)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def get(self, target: str) -> Reply:
        """Ask nginx."""
        return fetch(self.port, target)


@pytest.mark.integration
def test_local_mode_serves_them_and_those_of_the_version_before(tmp_path: Path) -> None:
    static = tmp_path / "static"
    texts = {"app.py": CALLABLE, "static/a.0a1b2c3d4e5f.css": "old", "static/b.css": "old"}
    repositories.write(tmp_path, texts)
    site = Site(tmp_path)
    try:
        site.run("init")
        said = site.run("up", "--local")
        assert "\nStatic files: 2, which nginx serves under /static/\n" in said
        assert site.get("/static/b.css").text == "old"
        assert site.get("/static/none.css").text == "of the application"
        (static / "a.0a1b2c3d4e5f.css").rename(static / "a.5f4e3d2c1b0a.css")
        (static / "b.css").write_text("new")
        assert site.get("/static/b.css").text == "old"
        site.run("restart")
        assert site.get("/static/b.css").text == "new"
        for name in ("a.0a1b2c3d4e5f.css", "a.5f4e3d2c1b0a.css"):
            reply = site.get(f"/static/{name}")
            assert reply.text == "old"
            assert reply.field("Cache-Control") == "public, max-age=31536000, immutable"
    finally:
        site.run("down")


@pytest.mark.integration
def test_local_mode_collects_djangos(tmp_path: Path) -> None:
    repositories.django(tmp_path)
    site = Site(tmp_path)
    try:
        assert "\nStatic files: what collectstatic collects (nginx serves" in site.run("init")
        assert "\nStatic files: 1" in site.run("up", "--local")
        reply = site.get("/static/admin/css/base.css")
        assert reply.field("Content-Type") == "text/css"
        assert reply.field("Cache-Control") == "public, max-age=60"
        settings = tmp_path / "mysite" / "settings.py"
        settings.write_text(settings.read_text() + "\nSTATICFILES_FINDERS = ['nowhere.Finder']\n")
        done = basculectl(tmp_path, "restart", **site.settings)
        assert done.returncode == 1
        assert "collectstatic failed, as chain.toml asks for it: " in done.stderr
        assert site.get("/static/admin/css/base.css").status == 200
    finally:
        site.run("down")
    assert not (tmp_path / "static").exists()


@pytest.mark.integration
def test_where_there_are_none_it_is_said(tmp_path: Path) -> None:
    chain = 'application = "app:application"\nstatic = "dist"\n'
    repositories.write(tmp_path, {"app.py": CALLABLE, "chain.toml": chain})
    site = Site(tmp_path)
    try:
        said = site.run("up", "--local")
        assert 'Static files: there are none, though the chain names them: static is "dist"' in said
        assert site.get("/static/a.css").text == "of the application"
    finally:
        site.run("down")
