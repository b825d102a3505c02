"""Loading chain.toml: what it builds, and what it says of each mistake."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from wsgiref.validate import validator

import pytest
from bascule_middleware.chain import SHORT_NAMES, ChainError, build, line_of, load
from bascule_middleware.settings import SettingError
from hypothesis import given
from hypothesis import strategies as st

from tests.middleware.gateway import respond

HERE = "tests.middleware.test_chain"
LINK = f'application = "app.hello:application"\n[[links]]\nuse = "{HERE}:Link"\nsize = 1\n'


class Link:
    """A link with a setting of every type that a chain file can have."""

    def __init__(
        self,
        application: Any,
        *,
        size: int,
        name: str = "",
        on: bool = False,
        share: float = 0.0,
        limit: int | None = None,
        peers: Sequence[str] = (),
        weights: Mapping[str, int] = {},
        mode: Literal["fast", "safe"] = "fast",
        file: Path | None = None,
        free: Any = None,
    ) -> None:
        self.application = application
        self.settings = (size, name, on, share, limit, peers, weights, mode, file, free)
        if name == "refused":
            raise SettingError("name", '"refused" is refused')
        if name == "broken":
            raise RuntimeError("no connection")

    def __call__(self, environ: Any, start_response: Any) -> Any:
        environ.setdefault("links", []).append(self.settings[:2])
        return self.application(environ, start_response)


def link_function(application: Any, *, size: int = 0) -> Any:
    """Return a link that is a closure: any callable that takes an application is one."""
    return Link(application, size=size)


def foreign_link(app: Any, size: int = 0, names: list[str] | None = None, **options: Any) -> Any:
    """Return a link as others write them: its settings are no keyword-only arguments."""
    return Link(app, size=size, name=options.get("name", ""))


not_callable = "a text"


@pytest.fixture
def chain_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Write a chain file, in a directory that modules can be imported from."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        Path("chain.toml").write_text(textwrap.dedent(text))
        return Path("chain.toml")

    return write


def failure(path: Path) -> str:
    """Return what is said of a wrong chain: always one line."""
    with pytest.raises(ChainError) as caught:
        build(load(path))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_links_are_built_around_the_application_the_first_outermost(
    chain_file: Callable[[str], Path],
) -> None:
    path = chain_file(
        f"""
        application = "app.hello:application"
        [[links]]
        use = "{HERE}:Link"
        size = 1
        name = "outer"
        [[links]]
        use = "{HERE}:link_function"
        size = 2
        """
    )
    response = respond(validator(build(load(path))), PATH_INFO="/alice")
    assert response.environ["links"] == [(1, "outer"), (2, "")]
    assert response.body == b"<h1>Hello, alice!</h1>"


def test_middleware_of_others_is_a_link_too(chain_file: Callable[[str], Path]) -> None:
    text = LINK.replace(":Link", ":foreign_link") + 'name = "foreign"\n'
    response = respond(validator(build(load(chain_file(text)))))
    assert response.environ["links"] == [(1, "foreign")]
    assert failure(chain_file(text + "names = [1]")).endswith(
        'setting "names": [1] is not an array of strings'
    )


def test_a_chain_may_have_no_link(chain_file: Callable[[str], Path]) -> None:
    application = build(load(chain_file('application = "app.hello:application"')))
    assert respond(validator(application)).status == "200 OK"


def test_every_type_of_setting_reaches_its_link(chain_file: Callable[[str], Path]) -> None:
    path = chain_file(
        LINK
        + 'name = "n"\non = true\nshare = 1\nlimit = 3\npeers = ["a", "b"]\n'
        + 'weights = {a = 1}\nmode = "safe"\nfile = "some/where.txt"\nfree = 1979-05-27\n'
    )
    link: Any = build(load(path))
    *settings, free = link.settings
    file = (
        path.parent.absolute() / "some" / "where.txt"
    )  # seen from the chain file, wherever we run
    assert settings == [1, "n", True, 1, 3, ["a", "b"], {"a": 1}, "safe", file]
    assert str(free) == "1979-05-27"


def make(name: str = "world", *, status: str = "200 OK") -> Any:
    """Return an application that says what it was made with."""
    if name == "nobody":
        raise LookupError("no settings\nfor nobody")

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, [])
        return [name.encode()]

    return application


@pytest.mark.parametrize(
    ("call", "status", "body"),
    [
        ("make()", "200 OK", b"world"),
        ("make('a:b')", "200 OK", b"a:b"),
        ('make("alice", status="201 Created")', "201 Created", b"alice"),
    ],
)
def test_what_makes_the_application_is_called(
    chain_file: Callable[[str], Path], call: str, status: str, body: bytes
) -> None:
    built = build(load(chain_file(f"application = '''{HERE}:{call}'''")))
    response = respond(built)
    assert (response.status, response.body) == (status, body)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("application = ", "chain.toml: not valid TOML: Invalid value (at end of document)"),
        ("a = 1\nb = = 1", "chain.toml: not valid TOML: Invalid value (at line 2, column 5)"),
        (
            "",
            'chain.toml: "application" is missing; write application = "package.module:callable"',
        ),
        ("application = 1", 'chain.toml:1: "application" must be a string'),
        ("\n\naplication = 'a:b'", 'chain.toml:3: unknown key "aplication"; did you mean'),
        ("application = 'a:b'\n[link]", 'chain.toml:2: unknown key "link"; did you mean "links"?'),
        (
            "application = 'a:b'\n[links]\nuse = 'exceptions'",
            'chain.toml:2: "links" must be tables; begin each with "[[links]]"',
        ),
        ("application = 'a:b'\nlinks = [1]", 'chain.toml:2: "links" must be tables'),
        (
            "application = 'a:b'\n\n[[links]]\ndebug = true",
            'chain.toml:3: link 1: "use" must name the link, as in use = "exceptions"',
        ),
        ("application = 'a:b'\n[[links]]\nuse = 1", 'chain.toml:3: link 1: "use" must name the'),
    ],
)
def test_a_file_of_a_wrong_shape_is_explained(
    text: str, message: str, chain_file: Callable[[str], Path]
) -> None:
    assert failure(chain_file(text)).startswith(message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hello", 'application "hello" is not of the form "package.module:callable"'),
        ("hello:", 'application "hello:" is not of the form'),
        (
            "app.helo:application",
            'application "app.helo:application": there is no module "app.helo"',
        ),
        ("nowhere.x:y", 'application "nowhere.x:y": there is no module "nowhere"'),
        (
            "app.hello:aplication",
            'application "app.hello:aplication": module "app.hello" has no "aplication"; '
            'did you mean "application"?',
        ),
        (
            f"{HERE}:not_callable",
            f'application "{HERE}:not_callable" is not callable but a str',
        ),
        (
            "broken_inside:application",
            'application "broken_inside:application": importing "broken_inside" failed: '
            "ModuleNotFoundError: No module named 'not_installed'",
        ),
        (
            "broken_syntax:application",
            'application "broken_syntax:application": importing "broken_syntax" failed: '
            "SyntaxError: ",
        ),
        (
            "exits:application",
            'application "exits:application": importing "exits" failed: SystemExit: 3',
        ),
    ],
)
def test_an_application_that_cannot_be_had_is_explained(
    name: str, message: str, chain_file: Callable[[str], Path]
) -> None:
    Path("broken_inside.py").write_text("import not_installed")
    Path("broken_syntax.py").write_text("application =")
    Path("exits.py").write_text("raise SystemExit(3)")
    said = failure(chain_file(f'\napplication = "{name}"'))
    assert said.startswith(f"chain.toml:2: {message}")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("make('nobody')", "the call failed: LookupError: no settings for nobody"),
        *(
            (call, "is no call: write it as ")
            for call in ("make(name)", "make(**{})", "make()()", "make(")
        ),
        ("make.x()", "is no call: write it as "),
    ],
)
def test_a_call_that_makes_no_application_is_explained(
    call: str, message: str, chain_file: Callable[[str], Path]
) -> None:
    said = failure(chain_file(f'\napplication = "{HERE}:{call}"'))
    assert said.startswith(f'chain.toml:2: application "{HERE}:{call}"')
    assert message in said


def test_an_error_inside_the_application_keeps_its_traceback(
    chain_file: Callable[[str], Path],
) -> None:
    Path("broken_deep.py").write_text("1 / 0")
    with pytest.raises(ChainError) as caught:
        build(load(chain_file('application = "broken_deep:application"')))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("exception", 'link "exception" is unknown; did you mean "exceptions"?'),
        ("zzz", f'link "zzz" is unknown (known: {", ".join(sorted(SHORT_NAMES))})'),
        ("nowhere:Link", 'link "nowhere:Link": there is no module "nowhere"'),
        (f"{HERE}:Lnk", f'link "{HERE}:Lnk": module "{HERE}" has no "Lnk"; did you mean "Link"?'),
        (f"{HERE}:not_callable", f'link "{HERE}:not_callable" is not callable but a str'),
    ],
)
def test_a_link_that_cannot_be_had_is_explained(
    use: str, message: str, chain_file: Callable[[str], Path]
) -> None:
    text = f'application = "app.hello:application"\n\n[[links]]\n# why\nuse = "{use}"\n'
    assert failure(chain_file(text)) == f"chain.toml:5: {message}"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("nam = 'x'", 'setting "nam": unknown; did you mean "name"?'),
        ("application = 'x'", 'setting "application": unknown'),
        ("size = true", 'setting "size": true is not an integer'),
        ("on = 1", 'setting "on": 1 is not true or false'),
        ("on = 'true'", 'setting "on": "true" is not true or false'),
        ("name = ['x']", 'setting "name": ["x"] is not a string'),
        ("share = '1'", 'setting "share": "1" is not a number'),
        ("share = true", 'setting "share": true is not a number'),
        ("limit = 1.5", 'setting "limit": 1.5 is not an integer'),
        ("peers = 'unix'", 'setting "peers": "unix" is not an array of strings'),
        ("peers = ['a', 1]", 'setting "peers": ["a", 1] is not an array of strings'),
        ("weights = {a = 'x'}", 'setting "weights": a table is not a table of integers'),
        ("weights = 1", 'setting "weights": 1 is not a table of integers'),
        ("mode = 'quick'", 'setting "mode": "quick" is not "fast" or "safe"'),
        ("file = 1", 'setting "file": 1 is not the path of a file or directory'),
        ("name = 'refused'", 'setting "name": "refused" is refused'),
        ("name = 'broken'", "cannot be built: RuntimeError: no connection"),
    ],
)
def test_a_wrong_setting_is_explained(
    setting: str, message: str, chain_file: Callable[[str], Path]
) -> None:
    text = LINK.replace("size = 1\n", "size = 1\n" if setting[:4] != "size" else "")
    line = text.count("\n") + 1
    said = failure(chain_file(f"{text}{setting}\n"))
    if "broken" in setting:
        line = 2  # not the setting's fault, for all that is known: the link's line
    assert said.startswith(f'chain.toml:{line}: link "{HERE}:Link"')
    assert said.endswith(message) or message in said


def test_a_missing_setting_is_reported_at_the_link(chain_file: Callable[[str], Path]) -> None:
    text = LINK.replace("size = 1\n", "")
    assert failure(chain_file(text)) == (
        f'chain.toml:2: link "{HERE}:Link": setting "size": missing, and it has no default'
    )


def test_a_wrong_network_is_explained(chain_file: Callable[[str], Path]) -> None:
    text = """\
        application = "app.hello:application"

        [[links]]
        use = "exceptions"

        [[links]]
        use = "proxy_headers"
        trusted = [
            "unix",
            "10.0.0.1/8",
        ]
        """
    assert failure(chain_file(text)) == (
        'chain.toml:8: link "proxy_headers": setting "trusted": "10.0.0.1/8" is not a network; '
        'did you mean "10.0.0.0/8"?'
    )


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.toml"
    assert failure(missing) == f"{missing}: No such file or directory"


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "chain.toml"
    path.write_bytes(b'application = "\xff"')
    assert failure(path) == f"{path}: not UTF-8, from byte 15 on"


@pytest.mark.parametrize(
    ("text", "where", "line"),
    [
        ('"a" = 1', ("a",), 1),
        ("# a = 0\n\n'a' = 1", ("a",), 3),
        ("a.b = 1", ("a", "b"), 1),
        ('x = """\na = 1\n"""\na = 1', ("a",), 4),
        ("x = [\n1,\n# a\n]\na = [\n1,\n]", ("a",), 5),
        ("[[l]]\na = 1\n[[l]]\n\nb = 1\na = 1", ("l", 1, "a"), 6),
        ("[[l]]\n[[l]]\n", ("l", 1), 2),
        ("l = [{a = 1}, {a = 2}]", ("l", 1, "a"), 1),
        ("[[l]]\na = 1\n[l.t]\nb = 1", ("l", 0, "t"), 3),
        ('x = "\u2028"\na = 1', ("a",), 2),
        ("a = 1", ("b",), None),
    ],
)
def test_the_line_of_a_key_is_found(
    text: str, where: tuple[str | int, ...], line: int | None
) -> None:
    assert line_of(text, where) == line


@given(
    st.lists(
        st.sampled_from(["# a", "", "b = 1", 'c = """\na = 2\n"""', "d = [\n1\n]"]), unique=True
    )
)
def test_the_line_of_a_key_does_not_depend_on_what_stands_above(above: list[str]) -> None:
    text = "\n".join([*above, "a = 1", "z = 2"])
    assert line_of(text, ("a",)) == text.split("\n").index("a = 1") + 1


def test_lines_end_with_line_feeds_or_crlf(tmp_path: Path) -> None:
    path = tmp_path / "chain.toml"
    path.write_bytes(b'application = "app.hello:application"\r\n\r\nlnks = 1\r\n')
    assert failure(path).startswith(f'{path}:3: unknown key "lnks"')


def test_the_shipped_chain_is_in_the_documented_order() -> None:
    chain = load(Path(__file__).parents[2] / "app" / "chain.toml")
    first, second, third, *_, last = [link.use for link in chain.links]
    assert (first, second, third) == ("request_id", "exceptions", "proxy_headers")
    assert last == "dispatch"
    assert chain.application == "app.hello:application"
