"""dispatch: which application a request reaches, and what it sees of its path."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any
from wsgiref.util import request_uri, shift_path_info
from wsgiref.validate import validator

import pytest
from bascule_middleware.chain import ChainError, build, load
from bascule_middleware.links.dispatch import Dispatch
from bascule_middleware.links.exceptions import Exceptions
from bascule_middleware.settings import SettingError
from hypothesis import given
from hypothesis import strategies as st

from tests.middleware.gateway import Gateway, respond

HERE = "tests.middleware.test_dispatch"


class Told:
    """An application that says which one it is and what it sees."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [json.dumps([self.name, environ["SCRIPT_NAME"], environ["PATH_INFO"]]).encode()]


def raises(environ: Any, start_response: Any) -> Any:
    raise ValueError("broken")


inner, a, b, c, d = map(Told, ["inner", "a", "b", "c", "d"])
A, B, C, D = (f"{HERE}:{name}" for name in "abcd")
nested = Dispatch(inner, mounts={"/deep": B, "/deep/er": C})


def reached(link: Any, path: str, **variables: str) -> list[str]:
    """Return name, SCRIPT_NAME and PATH_INFO of the application that answers."""
    variables = {"PATH_INFO": path.encode().decode("latin-1"), **variables}
    answer: list[str] = json.loads(respond(validator(link), **variables).body)
    return [text.encode("latin-1").decode() for text in answer]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/cat", ["a", "/cat", ""]),
        ("/cat/", ["a", "/cat", "/"]),
        ("/cat//", ["a", "/cat", "//"]),
        ("/cat/x/y", ["a", "/cat", "/x/y"]),
        ("/cat/dogs", ["b", "/cat/dogs", ""]),
        ("/cat/dogs/x", ["b", "/cat/dogs", "/x"]),
        ("/cat/dogsx", ["a", "/cat", "/dogsx"]),
        ("/catalogue", ["inner", "", "/catalogue"]),
        ("/cat\n", ["inner", "", "/cat\n"]),
        ("/Cat", ["inner", "", "/Cat"]),
        ("//cat", ["inner", "", "//cat"]),
        ("/x/cat", ["inner", "", "/x/cat"]),
        ("/", ["inner", "", "/"]),
        ("/小明", ["c", "/小明", ""]),
        ("/小明/小", ["c", "/小明", "/小"]),
        ("/a.b", ["d", "/a.b", ""]),
        ("/aXb", ["inner", "", "/aXb"]),
        # Dot segments are left to the application, as they would be without this link.
        ("/cat/../x", ["a", "/cat", "/../x"]),
    ],
)
def test_the_longest_prefix_of_whole_segments_is_found(path: str, answer: list[str]) -> None:
    link = Dispatch(inner, mounts={"/cat": A, "/cat/dogs/": B, "/小明": C, "/a.b": D})
    assert reached(link, path) == answer


def test_what_is_mounted_first_does_not_matter() -> None:
    for mounts in ({"/cat": A, "/cat/dogs": B}, {"/cat/dogs": B, "/cat": A}):
        assert reached(Dispatch(inner, mounts=mounts), "/cat/dogs/x")[0] == "b"


def test_an_empty_path_reaches_the_default_application() -> None:
    link = Dispatch(inner, mounts={"/cat": A})
    assert reached(link, "", SCRIPT_NAME="/app") == ["inner", "/app", ""]


def test_a_prefix_is_added_to_the_script_name_that_is_there() -> None:
    link = Dispatch(inner, mounts={"/cat": A})
    assert reached(link, "/cat/x", SCRIPT_NAME="/site") == ["a", "/site/cat", "/x"]


HOSTS = {
    "/x": A,
    "shop.example": B,
    "shop.example/x/y": C,
    "*.example/x": D,
    "*.deep.example": A,
    "shop.example:8080/x": D,
    "[::1]/x": B,
}


@pytest.mark.parametrize(
    ("host", "path", "answer"),
    [
        # An exact host, and in it the longest path.
        ("shop.example", "/x", ["b", "", "/x"]),
        ("shop.example", "/x/y/z", ["c", "/x/y", "/z"]),
        ("SHOP.Example", "/", ["b", "", "/"]),
        ("shop.example.", "/", ["b", "", "/"]),
        ("shop.example:81", "/", ["b", "", "/"]),
        # A port that a mount names.
        ("shop.example:8080", "/x/y", ["d", "/x", "/y"]),
        ("shop.example:8080", "/z", ["b", "", "/z"]),
        # A domain: any name in it, not the domain itself; the longer domain first.
        ("a.example", "/x", ["d", "/x", ""]),
        ("b.a.example:99", "/x/", ["d", "/x", "/"]),
        ("example", "/x", ["a", "/x", ""]),
        ("xexample", "/x", ["a", "/x", ""]),
        ("a.deep.example", "/x", ["a", "", "/x"]),
        # A host that has the path nowhere leaves it to the less exact ones.
        ("a.example", "/y", ["inner", "", "/y"]),
        ("[::1]", "/x", ["b", "/x", ""]),
        ("[0:0::0:1]:8000", "/x", ["b", "/x", ""]),
        ("[::2]", "/x", ["a", "/x", ""]),
        # What is no host is no mount's host.
        ("[::1", "/x", ["a", "/x", ""]),
        ("a b", "/x", ["a", "/x", ""]),
    ],
)
def test_the_most_exact_host_that_has_the_path_wins(
    host: str, path: str, answer: list[str]
) -> None:
    assert reached(Dispatch(inner, mounts=HOSTS), path, HTTP_HOST=host) == answer


def test_an_exact_host_goes_before_a_domain_of_the_same_length() -> None:
    for mounts in ({"*.example": A, "b.example": B}, {"b.example": B, "*.example": A}):
        assert reached(Dispatch(inner, mounts=mounts), "/", HTTP_HOST="b.example")[0] == "b"


@pytest.mark.parametrize(
    ("scheme", "host", "name"),
    [
        ("http", "s.example", "a"),
        ("http", "s.example:80", "a"),
        ("https", "s.example", "b"),
        ("https", "s.example:443", "b"),
        ("https", "s.example:80", "a"),
        ("http", "s.example:81", "inner"),
    ],
)
def test_a_host_without_a_port_has_its_schemes_port(scheme: str, host: str, name: str) -> None:
    link = Dispatch(inner, mounts={"s.example:80": A, "s.example:443": B})
    assert reached(link, "/", HTTP_HOST=host, **{"wsgi.url_scheme": scheme})[0] == name


def test_a_request_without_host_has_the_servers_name_and_port() -> None:
    gateway = Gateway(Dispatch(inner, mounts={"one.example:81/x": A}), PATH_INFO="/x")
    del gateway.environ["HTTP_HOST"]
    gateway.environ |= {"SERVER_NAME": "One.Example", "SERVER_PORT": "81"}
    assert json.loads(gateway.run().body) == ["a", "/x", ""]


def test_dispatch_nests() -> None:
    link = Dispatch(inner, mounts={"/top": f"{HERE}:nested"})
    assert reached(link, "/top/deep/x") == ["b", "/top/deep", "/x"]
    assert reached(link, "/top/deep/er/x") == ["c", "/top/deep/er", "/x"]
    assert reached(link, "/top/else") == ["inner", "/top", "/else"]


def test_a_mounted_application_may_have_a_chain_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text(f'application = "{A}"\n[[links]]\nuse = "request_id"\n')
    Path("own_chain.py").write_text(
        textwrap.dedent(
            """\
            from pathlib import Path
            from bascule_middleware import chain
            application = chain.build(chain.load(Path(__file__).with_name("own.toml")))
            """
        )
    )
    link = Dispatch(inner, mounts={"/own": "own_chain:application"})
    response = respond(validator(link), PATH_INFO="/own/x")
    assert json.loads(response.body) == ["a", "/own", "/x"]
    assert response.field("X-Request-ID")


def test_the_url_of_the_request_stays_the_same_for_who_rebuilds_it() -> None:
    link = Dispatch(inner, mounts={"/cat": A})
    for path in ("/cat", "/cat/", "/cat/x", "/y"):
        gateway = Gateway(link, PATH_INFO=path)
        before = request_uri(gateway.environ)
        assert request_uri(gateway.run().environ) == before


@pytest.mark.parametrize(
    ("accept", "content_type", "body"),
    [
        ("text/html", "text/html; charset=utf-8", "<h1>Not Found</h1><p>Request 6f1c</p>"),
        ("application/json", "application/json", '{"error": "Not Found", "request_id": "6f1c"}'),
        ("", "text/plain; charset=utf-8", "Not Found\nRequest 6f1c\n"),
    ],
)
def test_without_a_default_what_no_mount_matches_is_not_found(
    accept: str, content_type: str, body: str
) -> None:
    link = Dispatch(inner, mounts={"/cat": A}, default=False)
    variables = {"HTTP_ACCEPT": accept, "bascule.request_id": "6f1c"}
    response = respond(validator(link), PATH_INFO="/dog", **variables)
    assert response.status == "404 Not Found"
    assert response.field("Content-Type") == content_type
    assert response.field("Content-Length") == str(len(response.body))
    assert response.field("Vary") == "Accept"
    assert body in response.body.decode()
    assert reached(link, "/cat")[0] == "a"


def test_not_found_has_no_body_for_head() -> None:
    link = Dispatch(inner, mounts={"/cat": A}, default=False)
    get, head = (
        respond(validator(link), PATH_INFO="/dog", REQUEST_METHOD=method)
        for method in ("GET", "HEAD")
    )
    assert head.fields == get.fields
    assert head.body == b""


@pytest.mark.parametrize(
    ("mounts", "message"),
    [
        ({"/": A}, '"/": the application further in has all that is not mounted'),
        ({"": A}, '"": the application further in has all that is not mounted'),
        ({"//": A}, '"//": no segment may be empty, "." or ".."'),
        ({"/x//y": A}, '"/x//y": no segment may be empty, "." or ".."'),
        ({"/x/../y": A}, '"/x/../y": no segment may be empty, "." or ".."'),
        ({"/caf%C3%A9": A}, '"/caf%C3%A9": write the path decoded'),
        ({"/x?y": A}, '"/x?y": write the path decoded'),
        ({"a b/x": A}, '"a b/x": a mount begins with "/", a host or "*." and a domain'),
        ({"*/x": A}, '"*/x": a mount begins with "/", a host or "*." and a domain'),
        ({"*.*.a/x": A}, '"*.*.a/x": a mount begins with'),
        ({"[::1/x": A}, '"[::1/x": a mount begins with'),
        ({"http://a/x": A}, '"http://a/x": no segment may be empty'),
        ({"a:b/x": A}, '"a:b/x": a mount begins with'),
        ({"/x": A, "/x/": B}, '"/x/" is mounted twice'),
        ({"a.example/x": A, "A.Example./x": B}, '"A.Example./x" is mounted twice'),
        ({"/x": "nowhere:app"}, '"/x": "nowhere:app": there is no module "nowhere"'),
        ({"/x": "nowhere"}, '"/x": "nowhere" is not of the form "package.module:callable"'),
        ({"/x": f"{HERE}:HERE"}, f'"/x": "{HERE}:HERE" is not callable but a str'),
    ],
)
def test_a_wrong_mount_is_explained(mounts: dict[str, str], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        Dispatch(inner, mounts=mounts)
    assert str(caught.value).startswith(f'setting "mounts": {message}')


def test_a_mount_that_cannot_be_imported_stops_the_start_at_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "fails_here.py").write_text("1 / 0")
    (tmp_path / "chain.toml").write_text(
        textwrap.dedent(
            f"""\
            application = "{A}"

            [[links]]
            use = "dispatch"

            [links.mounts]
            "/good" = "{B}"
            "/bad" = "fails_here:application"
            """
        )
    )
    with pytest.raises(ChainError) as caught:
        build(load(tmp_path / "chain.toml"))
    assert str(caught.value) == (
        f'{tmp_path}/chain.toml:8: link "dispatch": setting "mounts": "/bad": '
        '"fails_here:application": importing "fails_here" failed: '
        "ZeroDivisionError: division by zero"
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_exception_in_a_mounted_application_is_logged_with_the_whole_path(
    caplog: pytest.LogCaptureFixture,
) -> None:
    link = Exceptions(Dispatch(inner, mounts={"/broken": f"{HERE}:raises"}))
    assert respond(validator(link), PATH_INFO="/broken/x").status.startswith("500")
    assert [getattr(record, "path", "") for record in caplog.records] == ["/broken/x"]


segments = st.lists(st.sampled_from(["a", "b", "ab", "", "é"]), max_size=4)
paths = segments.map(lambda names: "".join(f"/{name}" for name in names))
MOUNTED = ["/a", "/a/b", "/ab", "/b/a/b", "/é"]


@given(paths)
def test_any_path_reaches_what_moving_segment_by_segment_would_reach(path: str) -> None:
    """The reference: shift_path_info of the standard library, and the last mount that it passes."""
    wire = path.encode().decode("latin-1")
    environ = {"SCRIPT_NAME": "", "PATH_INFO": wire}
    expected = ("", path)
    while shift_path_info(environ) is not None:
        moved = environ["SCRIPT_NAME"].encode("latin-1").decode()
        # shift_path_info drops empty segments, which are no mount's.
        if moved in MOUNTED and path.startswith(moved):
            expected = (moved, path.removeprefix(moved))
    link = Dispatch(inner, mounts=dict.fromkeys(MOUNTED, A))
    response = respond(link, PATH_INFO=wire, SCRIPT_NAME="")
    _, *seen = json.loads(response.body)
    assert tuple(text.encode("latin-1").decode() for text in seen) == expected
