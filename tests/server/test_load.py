"""What ``MODULE:CALLABLE`` names: how it is found, and what is said of one that is not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from bascule.errors import LoadError
from bascule.wsgi.load import check_library, explain, load_application
from bascule.wsgi.renamed import successor

HELLO = """
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]

class other:
    application = application

text = "no application"
_hidden = application
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project's directory, in which the process is; it imports nothing of the tree's own."""
    root = Path(__file__).parents[2]
    kept = [each for each in sys.path if each and Path(each) != root]
    monkeypatch.setattr("sys.path", kept)
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    (tmp_path / "site_.py").write_text(HELLO)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refused(name: str) -> LoadError:
    with pytest.raises(LoadError) as caught:
        load_application(name)
    return caught.value


@pytest.mark.parametrize("name", ["site_:application", "site_:other.application"])
def test_a_callable_is_found_by_its_name(name: str) -> None:
    assert callable(load_application(name))


MAKES = """
class Made:
    def __init__(self, *arguments, **named):
        self.told = (arguments, named)
    def __call__(self, environ, start_response): ...
"""


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("app = Made('app'); application = Made('application')", "application"),
        ("app = Made('app')\ndef create_app(): return Made('made')", "app"),
        ("import json as app\ndef create_app(): return Made('made')", "made"),
        ("def make_app(config='none'): return Made(config)", "none"),
    ],
)
def test_of_a_module_alone_the_application_is_found(source: str, found: str, here: Path) -> None:
    (here / "alone.py").write_text(MAKES + source)
    assert load_application("alone").told == ((found,), {})  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("Made()", ((), {})),
        ("Made('prod', 3, debug=False)", (("prod", 3), {"debug": False})),
        ("Made(['a'], {'b': None})", ((["a"], {"b": None}), {})),
        ("inner.Made(-1)", ((-1,), {})),
        ("Outer(1).again(2)", ((2,), {})),
    ],
)
def test_a_factory_is_called_with_literals(path: str, told: object, here: Path) -> None:
    (here / "made.py").write_text(
        f"{MAKES}class inner:\n    Made = Made\n"
        "class Outer:\n"
        "    again = staticmethod(Made)\n"
        "    def __init__(self, number): ...\n"
    )
    assert load_application(f"made:{path}").told == told  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("create(", "AttributeError: module 'made' has no attribute 'create('; did you mean 'create'?"),
        ("create(1 +)", "create(1 +) is neither a name nor a call such as create_app()"),
        ("create.x[0].y()", "create.x[0] is neither a name nor a call such as create_app()"),
        ("create(name)", "create(name): arguments are literals only, such as "
                         "create_app('prod', debug=False)"),
        ("create(*[1])", "create(*[1]): arguments are literals only, such as "
                         "create_app('prod', debug=False)"),
        ("create(1, 2)", "create() takes 1 positional argument but 2 were given; write its "
                         "arguments, such as create('prod', debug=False)"),
        ("create(**{'one': 1})", "create() got an unexpected keyword argument '**'; write its "
                                 "arguments, such as create('prod', debug=False)"),
        ("create(None)", "create(None) gave no callable but a NoneType"),
        ("number()", "number is not callable but a int"),
        ("creat()", "AttributeError: module 'made' has no attribute 'creat'; did you mean 'create'?"),
        ("breaks()", "TypeError: can only concatenate str (not \"int\") to str"),
    ],
)  # fmt: skip
def test_a_factory_that_cannot_be_called_is_explained(path: str, said: str, here: Path) -> None:
    (here / "made.py").write_text(
        "number = 1\ndef create(one): return one\ndef breaks(): return 'a' + 1\n"
    )
    assert str(refused(f"made:{path}")) == f"cannot load made:{path}: {said}"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "it has no callable named application, app, create_app or make_app"),
        ("import json as app", "it has no callable named application, app, create_app or make_app "
                               "(app is a module)"),
        ("from json import dumps\nclass Site: pass\ndef wsgi(): pass",
         "it has no callable named application, app, create_app or make_app; "
         "if Site or wsgi is it, name it: alone:Site"),
        ("def create_app(): pass", "create_app() gave no callable but a NoneType"),
        ("def create_app(config): pass",
         "create_app() missing 1 required positional argument: 'config'; write its arguments, "
         "such as create_app('prod', debug=False)"),
    ],
)  # fmt: skip
def test_of_a_module_that_has_none_it_is_said_what_it_has(
    source: str, said: str, here: Path
) -> None:
    (here / "alone.py").write_text(source)
    error = refused("alone")
    assert str(error) == f"cannot load alone: {said}"
    assert explain(error) == ""


def test_a_mistake_within_a_factory_is_shown(here: Path) -> None:
    (here / "alone.py").write_text("def create_app():\n    return {}['it']\n")
    error = refused("alone")
    assert str(error) == "cannot load alone: KeyError: 'it'"
    assert f'  File "{here}/alone.py", line 2, in create_app' in explain(error)


def test_the_current_directory_comes_first_and_once(here: Path) -> None:
    (here / "site_first.py").write_text(HELLO)
    before = sys.path[:]
    for name in ("site_:application", "site_first:application"):
        load_application(name)
    assert sys.path == [str(here), *before]


def test_what_is_installed_with_the_server_needs_no_project(here: Path) -> None:
    refused("bascule_ops.nothing:application")
    assert str(here) not in sys.path


def test_what_is_there_and_cannot_be_called_is_said() -> None:
    assert str(refused("site_:text")) == "cannot load site_:text: it is not callable but a str"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sit_:application", "No module named 'sit_'; did you mean 'site_'?"),
        ("site_:aplication", "module 'site_' has no attribute 'aplication'; "
                             "did you mean 'application'?"),
        ("site_:other.aplication", "type object 'other' has no attribute 'aplication'; "
                                   "did you mean 'application'?"),
        ("site_:hidden", "module 'site_' has no attribute 'hidden'"),
        ("pack.wsgy:application", "No module named 'pack.wsgy'; did you mean 'pack.wsgi'?"),
        ("pack.deep.on:application", "No module named 'pack.deep.on'; "
                                     "did you mean 'pack.deep.one'?"),
        ("pac.wsgi:application", "No module named 'pac'; did you mean 'pack'?"),
        ("nothing_like_it:application", "No module named 'nothing_like_it'"),
        ("site_:nothing_like_it", "module 'site_' has no attribute 'nothing_like_it'"),
        ("wants:application", "No module named 'want'"),
        ("site_.application", "No module named 'site_.application'; 'site_' is not a package; "
                              "did you mean 'site_:application'?"),
        ("pack.deep.application", "No module named 'pack.deep.application'; "
                                  "did you mean 'pack.deep:application'?"),
    ],
)  # fmt: skip
def test_a_name_that_is_nearly_right_is_corrected(name: str, said: str, here: Path) -> None:
    for package in ("pack", "pack/deep"):
        (here / package).mkdir()
        (here / package / "__init__.py").write_text(HELLO)
    for module in ("pack/wsgi", "pack/deep/one", "pack/deep/only"):
        (here / f"{module}.py").write_text(HELLO)
    (here / "wants.py").write_text("import want")
    error = refused(name)
    kind = type(error.__cause__).__name__
    assert str(error) == f"cannot load {name}: {kind}: {said}"


@pytest.mark.parametrize(
    "source",
    [
        "async def app(scope, receive, send): ...",
        "class App:\n    async def __call__(self, scope, receive, send): ...\napp = App()",
    ],
)
def test_an_application_for_asgi_is_said_to_be_one(source: str, here: Path) -> None:
    (here / "asgi_.py").write_text(source)
    assert str(refused("asgi_")) == (
        "cannot load asgi_: it is an application for ASGI, and WSGI is served"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("site_.py", "it is a path; name the module: site_"),
        ("./site_.py:application", "it is a path; name the module: site_"),
        ("pack/wsgi:application", "it is a path; name the module: pack.wsgi"),
        (".site_:application", "it is no module's name, such as project.wsgi"),
        ("site_.:application", "it is no module's name, such as project.wsgi"),
    ],
)
def test_what_is_no_module_s_name_is_said(name: str, said: str) -> None:
    assert str(refused(name)) == f"cannot load {name}: {said}"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise ValueError", "ValueError: no reason given"),
        ("raise ValueError('of\\n  two lines')", "ValueError: of two lines"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise AttributeError('application_')", "AttributeError: application_"),
        ("applications = 1\ndef __getattr__(_): raise ValueError('x')", "ValueError: x"),
    ],
)
def test_whatever_a_module_raises_is_said_in_one_line(source: str, said: str, here: Path) -> None:
    (here / "fails.py").write_text(source)
    assert str(refused("fails:application")) == f"cannot load fails:application: {said}"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("server.cgi:application", "server.cgi", "bascule.wsgi.cgi"),
        ("server.other:application", "server", "bascule"),
        ("middleware:build", "middleware", "bascule_middleware"),
        ("wants_old:application", "server", "bascule"),
        ("wants_old_module:application", "server", "bascule"),
    ],
)
def test_what_was_renamed_is_named(name: str, old: str, new: str, here: Path) -> None:
    (here / "wants_old.py").write_text("import server")
    (here / "wants_old_module.py").write_text("import server.cgi")
    said = f"; {old} of Bascule 0.1 is now {new} (docs/upgrading.md)"
    assert str(refused(name)).endswith(said)


def test_a_module_of_the_project_that_has_an_old_name_is_its_own(here: Path) -> None:
    (here / "server").mkdir()
    (here / "server" / "__init__.py").write_text("def application(): raise ValueError")
    assert callable(load_application("server:application"))
    (here / "middleware.py").write_text("raise ImportError('name it', name='server')")
    assert "0.1" not in str(refused("middleware:application"))


def test_of_what_was_never_renamed_there_is_nothing_to_say() -> None:
    for error in (ValueError(), ModuleNotFoundError(name="nothing_like_it")):
        assert successor("nothing_like_it.at_all", error) == ""


# --- what is shown of a mistake ------------------------------------------------------------------


def test_a_mistake_is_shown_with_the_lines_that_led_to_it_and_no_others(here: Path) -> None:
    (here / "site_.py").write_text("import json\nimport inner_\n")
    (here / "inner_.py").write_text(
        "def read():\n"
        "    raise KeyError('it')\n"
        "try:\n"
        "    read()\n"
        "except KeyError as error:\n"
        "    raise RuntimeError('because') from error\n"
    )
    lines = explain(refused("site_:application")).splitlines()
    # Python 3.13 points at more than 3.12 does.
    assert [line for line in lines if not line or line.strip("~^ ")] == [
        "Traceback (most recent call last):",
        f'  File "{here}/inner_.py", line 4, in <module>',
        "    read()",
        f'  File "{here}/inner_.py", line 2, in read',
        "    raise KeyError('it')",
        "KeyError: 'it'",
        "",
        "Traceback (most recent call last):",
        f'  File "{here}/site_.py", line 2, in <module>',
        "    import inner_",
        f'  File "{here}/inner_.py", line 6, in <module>',
        "    raise RuntimeError('because') from error",
        "RuntimeError: because",
    ]


@pytest.mark.parametrize(
    ("raised", "shown"),
    [("ValueError() from None", ["ValueError"]), ("ValueError()", ["KeyError", "ValueError"])],
)
def test_what_was_being_handled_is_shown_unless_that_is_not_wished(
    raised: str, shown: list[str], here: Path
) -> None:
    (here / "site_.py").write_text(f"try:\n    {{}}[1]\nexcept KeyError:\n    raise {raised}\n")
    text = explain(refused("site_:application"))
    assert [name for name in ("KeyError", "ValueError") if f"\n{name}" in text] == shown


def test_a_line_that_is_no_python_is_shown(here: Path) -> None:
    (here / "site_.py").write_text("\ndef application(:\n")
    text = explain(refused("site_:application"))
    assert f'  File "{here}/site_.py", line 2\n' in text
    assert "Traceback" not in text


def test_of_a_name_that_is_wrong_no_traceback_is_shown() -> None:
    assert explain(refused("sit_:application")) == ""
    assert explain(refused("site_:aplication")) == ""


# --- a library that replaces others ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "question"),
    [("gevent.monkey", "is_module_patched"), ("eventlet.patcher", "is_monkey_patched")],
)
def test_a_library_that_has_replaced_what_the_server_needs_is_named(
    module: str, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced: list[str] = ["ssl", "subprocess"]
    library = ModuleType(module)
    setattr(library, question, lambda name: name in replaced)
    monkeypatch.setitem(sys.modules, module, library)
    check_library("site_:application")
    for name in ("thread", "threading", "select", "socket", "time", "os", "signal"):
        replaced[:] = [name]
        with pytest.raises(LoadError, match="cannot serve site_:application: it has ") as caught:
            check_library("site_:application")
        assert str(caught.value).count(module.partition(".")[0]) == 2
