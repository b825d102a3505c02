"""`basculectl init`: what it finds in a repository, what it writes, and what it says."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from bascule.version import __version__
from bascule_ops.control.command_line import main

from tests.harness import repositories
from tests.harness.fetch import fetch
from tests.harness.ports import free_port
from tests.harness.processes import ROOT, inherited
from tests.harness.repositories import CALLABLE, FACTORY
from tests.harness.tree import LIMIT

OURS = [".dockerignore", ".env.example", "Dockerfile", "chain.toml", "compose.yaml"]

MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")\n'
DJANGO_WSGI = (
    "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
)
PYRAMID = """
from pyramid.config import Configurator

def main(global_config, **settings):
    with Configurator(settings=settings) as config:
        return config.make_wsgi_app()
"""


Init = Callable[..., tuple[int, str, str]]  # status, output, errors


@pytest.fixture
def init(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Init:
    """Makes the files in a repository and runs the command there; returns what came of it."""

    def run(files: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
        repositories.write(tmp_path, files)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BASCULECTL_DOOR", "basculectl ")
            try:
                status = main(["--project", str(tmp_path), "init", *arguments])
            except SystemExit as end:
                status = int(end.code or 0)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def application(root: Path) -> str:
    """What the chain serves."""
    return str(tomllib.loads((root / "chain.toml").read_text())["application"])


# By framework, what the repository has, and what is served.
FOUND = {
    "a Flask object": ("Flask", {"app.py": "import flask\napp = flask.Flask(__name__)\n"}, "app:app"),
    "a Flask factory": ("Flask", {"shop/__init__.py": FACTORY}, "shop:create_app()"),
    "what calls a factory": (
        "Flask",
        {"shop/__init__.py": FACTORY, "wsgi.py": "from shop import create_app\napp = create_app()\n"},
        "wsgi:app",
    ),
    "what calls a factory that a package hands on": (
        "Flask",
        {
            "shop/__init__.py": "from .factory import create_app\n",
            "shop/factory.py": FACTORY,
            "wsgi.py": "import shop\napplication = shop.create_app('prod')\n",
        },
        "wsgi:application",
    ),
    "a module for servers that imports it": (
        "Flask",
        {"site/__init__.py": "", "site/web.py": "import flask\napp = flask.Flask(__name__)\n",
         "wsgi.py": "from site.web import app as application\n"},
        "wsgi:application",
    ),
    "a subclass": (
        "Flask",
        {"app.py": "from flask import Flask\nclass Shop(Flask):\n    pass\napp = Shop(__name__)\n"},
        "app:app",
    ),
    "an object in a try": (
        "Flask",
        {"app.py": "from flask import Flask\ntry:\n    app = Flask('a')\nexcept OSError:\n    raise\n"},
        "app:app",
    ),
    "packages in src": ("Flask", {"src/shop/__init__.py": FACTORY}, "shop:create_app()"),
    "Django": (
        "Django",
        {
            "manage.py": MANAGE,
            "mysite/__init__.py": "",
            "mysite/settings.py": 'WSGI_APPLICATION = "mysite.wsgi.application"\n',
            "mysite/wsgi.py": DJANGO_WSGI,
        },
        "mysite.wsgi:application",
    ),
    "Django whose settings are a package, and an application elsewhere": (
        "Django",
        {
            "manage.py": MANAGE.replace("settings", "settings.dev"),
            "mysite/settings/dev.py": "from .base import *\n",
            "mysite/settings/base.py": 'WSGI_APPLICATION = "mysite.serving.served"\n',
            "mysite/serving.py": DJANGO_WSGI.replace("application =", "served ="),
            "wsgi.py": CALLABLE,
        },
        "mysite.serving:served",
    ),
    "Bottle": ("Bottle", {"app.py": "import bottle\napplication = bottle.default_app()\n"}, "app:application"),
    "Falcon": ("Falcon", {"api/main.py": "import falcon\napi = falcon.App()\n"}, "api.main:api"),
    "a Pyramid object": (
        "Pyramid",
        {"app.py": "from pyramid.config import Configurator\nwith Configurator() as config:\n"
                   "    application = config.make_wsgi_app()\n"},
        "app:application",
    ),
    "Pyramid's files for PasteDeploy": (
        "Pyramid",
        {
            "development.ini": "[app:main]\nuse = egg:shop\n",
            "production.ini": "[app:main]\nuse = egg:shop\nsetting = %(here)s\n",
            "shop/__init__.py": PYRAMID,
            "setup.py": "",
        },
        'pyramid.paster:get_app("production.ini")',
    ),
    "a file for PasteDeploy, and no module": (
        "PasteDeploy",
        {"shop.ini": "[app:main]\nuse = egg:shop\n"},
        'paste.deploy:loadapp("config:shop.ini", relative_to=".")',
    ),
    "a file for PasteDeploy in a directory, and one of the tests": (
        "PasteDeploy",
        {
            "config/shop.ini": "[app:main]\nuse = egg:shop\n[server:main]\nport = %(http_port)s\n",
            "tests/production.ini": "[app:main]\nuse = egg:shop\n",
        },
        'paste.deploy:loadapp("config:config/shop.ini", relative_to=".")',
    ),
    "a module for servers, whatever it has": (
        "WSGI",
        {"wsgi.py": "from somewhere import make\napplication = make('prod')\n"},
        "wsgi:application",
    ),
    "a module for servers that imports what is elsewhere": (
        "WSGI",
        {"wsgi.py": "from somewhere import app\nother = print\n", "util.py": ""},
        "wsgi:app",
    ),
    "a function": ("WSGI", {"shop.py": CALLABLE}, "shop:application"),
    "an instance": (
        "WSGI",
        {"app.py": "class Shop:\n    def __call__(self, environ, start_response):\n        pass\n"
                   "application = Shop()\n"},
        "app:application",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FOUND)
def test_the_application_is_found(case: str, tmp_path: Path, init: Init) -> None:
    framework, files, target = FOUND[case]
    status, said, errors = init(files)
    assert (status, errors) == (0, "")
    first = said.splitlines()[0]
    assert first.startswith(f"Application: {target} ({framework}, ")
    assert application(tmp_path) == target


def test_the_best_is_taken_and_the_others_are_named(tmp_path: Path, init: Init) -> None:
    files = {"shop/__init__.py": FACTORY, "wsgi.py": CALLABLE, "tools/echo.py": CALLABLE}
    status, said, _ = init(files)
    assert status == 0
    assert application(tmp_path) == "wsgi:application"
    assert "not taken: shop:create_app() (shop/__init__.py); --app 'shop:create_app()'" in said
    assert "not taken: tools.echo:application (tools/echo.py)" in said


# None of these is an application of the repository's.
NONE = {
    "nothing": {},
    "no Python": {"index.html": ""},
    "what only a script has": {
        "app.py": "import flask\nif __name__ == '__main__':\n    app = flask.Flask(__name__)\n"
    },
    "tests and examples": {
        "tests/app.py": CALLABLE,
        "examples/app.py": CALLABLE,
        "test_x.py": CALLABLE,
    },
    "a virtual environment": {"mine/pyvenv.cfg": "", "mine/lib/app.py": CALLABLE},
    "other things called app": {"app.py": "import typer\napp = typer.Typer()\n"},
    "a factory of something else": {"app.py": "def create_app():\n    return Window()\n"},
    "what is not Python": {"app.py": "def application(environ, start_response:\n"},
    "an application for ASGI": {"app.py": "import falcon.asgi\napp = falcon.asgi.App()\n"},
}


@pytest.mark.parametrize("case", NONE)
def test_where_there_is_none_one_message_says_what_to_do(
    case: str, tmp_path: Path, init: Init
) -> None:
    status, said, errors = init(NONE[case])
    assert (status, said) == (1, "")
    assert errors.count("\n") == 1
    assert errors.startswith("basculectl init: no WSGI application found (")
    assert "--app MODULE:CALLABLE" in errors
    assert not (tmp_path / "chain.toml").exists()


def test_a_project_in_a_directory_is_pointed_at(init: Init) -> None:
    assert init({"backend/manage.py": MANAGE}) == (
        1, "", "basculectl init: no WSGI application is here, but backend/manage.py is: call it in backend/\n"
    )  # fmt: skip


def test_requirements_in_a_directory_are_pointed_at_unless_the_application_is_named(
    init: Init,
) -> None:
    files = {"back/end/app.py": CALLABLE, "back/end/requirements.txt": ""}
    assert init(files) == (
        1, "", "basculectl init: back.end.app:application is here, but its requirements are in "
        "back/end/requirements.txt: call it in back/end/, or name the application with --app\n"
    )  # fmt: skip
    assert init({}, "--app", "back.end.app:application")[0] == 0


def test_a_factory_that_needs_arguments_is_pointed_at(init: Init) -> None:
    factory = FACTORY.replace("create_app(", "create_app(name, ")
    assert init({"shop/__init__.py": factory}) == (
        1, "", "basculectl init: shop:create_app needs arguments: name it with them, such as "
        "--app 'shop:create_app(\"production\")'\n"
    )  # fmt: skip


@pytest.mark.parametrize("of", ["environment", ".env"])
def test_what_compose_is_told_to_read_by_name_is_pointed_at(
    of: str, init: Init, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"app.py": CALLABLE}
    if of == ".env":
        files[".env"] = "COMPOSE_FILE=a.yml:b.yml\n"
    else:
        monkeypatch.setenv("COMPOSE_FILE", "a.yml:b.yml")
    said = init(files)[1].splitlines()[-1]
    assert said == 'Compose reads what COMPOSE_FILE names, "a.yml:b.yml": add compose.yaml to it'
    monkeypatch.setenv("COMPOSE_FILE", "compose.yaml:a.yml")
    assert "COMPOSE_FILE" not in init({"compose.yaml": "services:\n"}, "--upgrade")[1]


def test_files_that_cannot_be_read_are_passed_over(tmp_path: Path, init: Init) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "loop.py").symlink_to("loop.py")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\0")
    files = {"deep.py": "(" * 5000, "deeper.py": "x = " + "-" * 50000 + "1", "app.py": CALLABLE}
    assert init(files)[0] == 0
    assert application(tmp_path) == "app:application"


@pytest.mark.parametrize(
    "target",
    [
        "shop:create_app()",
        "shop:create_app('prod')",
        "shop:made_later",
        "wsgiref.simple_server:demo_app",
    ],
)
def test_the_one_that_is_named_is_taken(target: str, tmp_path: Path, init: Init) -> None:
    files = {"shop/__init__.py": f"{FACTORY}\nmade_later = print\n", "wsgi.py": CALLABLE}
    status, _, errors = init(files, "--app", target)
    assert (status, errors) == (0, "")
    assert application(tmp_path) == target


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("shop", "name it as MODULE:CALLABLE, such as shop.wsgi:application or shop:create_app()"),
        ("shop/wsgi.py:app", "name it as MODULE:CALLABLE"),
        ("shop:", "name it as MODULE:CALLABLE"),
        ("shop:create_app(", "name it as MODULE:CALLABLE"),
        ("shop:a.b", "name it as MODULE:CALLABLE"),
        ("shop:creat_app()", "shop/__init__.py has no creat_app; did you mean create_app?"),
        ("shop.wsgi:app", "the repository has no module shop.wsgi"),
        ("shopp:app", "neither the repository nor this virtual environment has a module shopp"),
    ],
)
def test_a_wrong_one_is_refused_and_nothing_is_written(
    target: str, reason: str, tmp_path: Path, init: Init
) -> None:
    status, said, errors = init({"shop/__init__.py": FACTORY}, "--app", target)
    assert (status, said) == (2, "")
    assert errors.startswith(f'basculectl init: --app is "{target}": {reason}')
    assert errors.count("\n") == 1
    assert [each.name for each in tmp_path.iterdir()] == ["shop"]


PROJECT = '[project]\nname = "shop"\nversion = "1"\ndependencies = ["flask"]\n'
# What is installed, and what is copied before the code for that.
REQUIREMENTS = {
    "requirements.txt": ({"requirements.txt": "flask\n"}, ["requirements.txt ./"]),
    "requirements/production.txt": (
        {
            "requirements/production.txt": "-r base.txt\n-c ../pins.txt\ngunicorn\n",
            "requirements/base.txt": "flask  # -r none.txt\n",
            "pins.txt": "flask==3\n",
        },
        ["requirements/production.txt requirements/", "requirements/base.txt requirements/", "pins.txt ./"],
    ),
    "pyproject.toml": ({"pyproject.toml": PROJECT}, ["pyproject.toml ./"]),
    "uv.lock": ({"pyproject.toml": PROJECT, "uv.lock": "", "requirements.txt": ""}, ["pyproject.toml ./", "uv.lock ./"]),
    "poetry.lock": ({"pyproject.toml": PROJECT, "poetry.lock": ""}, ["pyproject.toml ./", "poetry.lock ./"]),
    "Pipfile.lock": ({"Pipfile": "", "Pipfile.lock": "{}"}, ["Pipfile ./", "Pipfile.lock ./"]),
}  # fmt: skip


@pytest.mark.parametrize("told", REQUIREMENTS)
def test_requirements_are_installed_before_the_code_is_there(
    told: str, tmp_path: Path, init: Init
) -> None:
    files, copied = REQUIREMENTS[told]
    _, said, _ = init({"app.py": CALLABLE, **files})
    assert f"\nRequirements: {told}\n" in said
    stage = (
        (tmp_path / "Dockerfile").read_text().partition("AS packages\n")[2].partition("\nFROM ")[0]
    )
    lines = stage.splitlines()
    assert [line.removeprefix("COPY ") for line in lines if line.startswith("COPY ")] == copied
    assert "pip install --no-cache-dir --requirement" in lines[-1] or not lines[-1]


@pytest.mark.parametrize(
    ("told", "files"),
    [
        ("setup.py", {"setup.py": ""}),
        ("setup.cfg", {"setup.cfg": ""}),
        ("requirements.txt", {"requirements.txt": "flask\n-e .[prod]\n"}),
        ("requirements.txt", {"requirements.txt": "./vendored/thing\n"}),
    ],
)
def test_requirements_that_need_the_project_are_installed_after_it(
    told: str, files: Mapping[str, str], tmp_path: Path, init: Init
) -> None:
    _, said, _ = init({"app.py": CALLABLE, **files})
    assert f"Requirements: {told}, which needs the whole project" in said
    project = (tmp_path / "Dockerfile").read_text().partition("AS project\n")[2]
    assert project.index("COPY . .") < project.index("pip install")
    assert "COPY --from=project /opt/bascule/venv" in project


def test_what_is_not_there_is_said(init: Init) -> None:
    _, said, _ = init({"app.py": CALLABLE})
    assert (
        "Requirements: none found; a requirements.txt or a pyproject.toml would have them" in said
    )
    assert "Static files" not in said


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"shop/__init__.py": FACTORY, "shop/static/a.css": ""}, "shop/static/"),
        ({"shop/web/__init__.py": FACTORY, "shop/static/a.css": ""}, "shop/static/"),
        ({"app.py": CALLABLE, "static/a.css": ""}, "static/"),
        ({"src/shop/__init__.py": FACTORY, "src/shop/static/a.css": ""}, "src/shop/static/"),
    ],
)
def test_nginx_gets_the_static_files(
    files: Mapping[str, str], told: str, tmp_path: Path, init: Init
) -> None:
    _, said, _ = init(files)
    assert f"\nStatic files: {told} (nginx serves them under /static/)\n" in said
    chain = tomllib.loads((tmp_path / "chain.toml").read_text())
    assert chain["static"] == told.rstrip("/")


def test_what_a_chain_of_theirs_lacks_is_said(tmp_path: Path, init: Init) -> None:
    files = {
        "app.py": CALLABLE,
        "static/a.css": "",
        "chain.toml": 'application = "app:application"\n',
    }
    _, said, _ = init(files)
    assert '\nAdd to chain.toml, above its links: static = "static"\n' in said
    assert (tmp_path / "chain.toml").read_text() == files["chain.toml"]


def test_an_application_with_places_of_its_own_keeps_its_static_files(
    tmp_path: Path, init: Init
) -> None:
    app = "import flask\napp = flask.Flask(__name__, static_url_path='/assets')\n"
    _, said, _ = init({"app.py": app, "static/a.css": ""})
    assert "Static files" not in said
    assert "static" not in tomllib.loads((tmp_path / "chain.toml").read_text())


SQLITE = """
from pathlib import Path
import os
BASE_DIR = Path(__file__).parent.parent
WSGI_APPLICATION = "mysite.wsgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
MEDIA_ROOT = os.path.join(BASE_DIR, "var", "media")
"""
POSTGRES = SQLITE.replace('sqlite3"', 'postgresql"').replace('BASE_DIR / "db.postgresql"', '"shop"')
INSTANCE = FACTORY.replace("__name__", "__name__, instance_relative_config=True")
SITE = {"manage.py": MANAGE, "mysite/wsgi.py": DJANGO_WSGI}


@pytest.mark.parametrize(
    ("files", "paths"),
    [
        (SITE | {"mysite/settings.py": SQLITE}, ["db.sqlite3", "var/media/"]),
        (SITE | {"mysite/settings.py": POSTGRES}, ["var/media/"]),
        (SITE | {"mysite/settings.py": SQLITE.replace("BASE_DIR,", "'/var/lib',")}, ["db.sqlite3"]),
        ({"shop/__init__.py": INSTANCE}, ["instance/"]),
        ({"src/shop/__init__.py": INSTANCE}, ["src/instance/"]),
        ({"app.py": INSTANCE, "shop/__init__.py": ""}, ["instance/"]),
    ],
)
def test_what_the_application_writes_goes_to_a_volume(
    files: Mapping[str, str], paths: list[str], tmp_path: Path, init: Init
) -> None:
    _, said, _ = init(files)
    assert f"\nData: {', '.join(paths)} (in containers they are in the volume data)\n" in said
    dockerfile = (tmp_path / "Dockerfile").read_text()
    ignored = (tmp_path / ".dockerignore").read_text().splitlines()
    for path in paths:
        name = path.rstrip("/")
        assert f"ln -s /data/{name} {name} " in dockerfile
        assert f"/{name}" in ignored
    assert "\n      - data:/data\n" in (tmp_path / "compose.yaml").read_text()


def test_what_no_file_says_can_be_named(tmp_path: Path, init: Init) -> None:
    named = ("--data", "var/packages/", "--data", "users.db", "--data=instance/")
    _, said, _ = init({"shop/__init__.py": INSTANCE}, *named)
    assert "\nData: instance/, users.db, var/packages/ (in" in said
    dockerfile = (tmp_path / "Dockerfile").read_text()
    assert "mkdir -p /data /data/instance/ /data/var /data/var/packages/ var " in dockerfile
    assert "ln -s /data/var/packages var/packages " in dockerfile


def test_an_upgrade_keeps_in_the_volume_what_was_named(tmp_path: Path, init: Init) -> None:
    init({"app.py": CALLABLE}, "--data", "packages/", "--data", "users.db")
    assert init({}, "--upgrade") == (0, "All is as this version writes it.\n", "")


@pytest.mark.parametrize("path", ["/var/packages", "../packages", "."])
def test_what_is_not_in_the_project_is_no_data_of_it(path: str, tmp_path: Path, init: Init) -> None:
    status, said, errors = init({"app.py": CALLABLE}, "--data", path)
    assert (status, said) == (2, "")
    remedy = "name a file or DIRECTORY/ inside the project"
    assert errors == f'basculectl init: --data is "{path}": {remedy}\n'
    assert not (tmp_path / "Dockerfile").exists()


def test_nginx_serves_djangos_media(tmp_path: Path, init: Init) -> None:
    settings = {"mysite/settings.py": f'{SQLITE}\nMEDIA_URL = "media/"\n'}
    _, said, _ = init(SITE | settings)
    assert "\nData: db.sqlite3 (in containers they are in the volume data)\n" in said
    assert (
        "\nMedia: var/media/ (nginx serves it under /media/; in containers it is a volume)\n"
        in said
    )
    assert tomllib.loads((tmp_path / "chain.toml").read_text())["media"] == "var/media"
    dockerfile = (tmp_path / "Dockerfile").read_text()
    assert "ln -s /var/lib/bascule/media var/media " in dockerfile
    # In development nothing else serves it: there it goes where the rest does.
    server, _, development = dockerfile.partition("FROM project AS dev")
    assert "/data/var" not in server
    assert "ln -s /data/var/media var/media " in development
    assert "/var/media" in (tmp_path / ".dockerignore").read_text().splitlines()


def test_what_writes_nothing_has_no_volume(tmp_path: Path, init: Init) -> None:
    _, said, _ = init({"shop/__init__.py": FACTORY})
    assert "Data:" not in said
    assert "/data" not in (tmp_path / "Dockerfile").read_text()
    assert "\n  data:" not in (tmp_path / "compose.yaml").read_text()


def test_of_djangos_settings_those_are_served_that_the_module_for_servers_names(
    tmp_path: Path, init: Init
) -> None:
    named = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.production")\n'
    settings = 'STATIC_URL = "static/"\nINSTALLED_APPS = ["django.contrib.staticfiles"]\n'
    files = {"mysite/wsgi.py": named + DJANGO_WSGI, "mysite/production.py": settings}
    _, said, _ = init(SITE | files | {"mysite/settings.py": SQLITE})
    assert "ARG DJANGO_SETTINGS_MODULE=mysite.production\n" in (tmp_path / "Dockerfile").read_text()
    assert "Data:" not in said


def test_djangos_settings_are_chosen_by_the_environment(tmp_path: Path, init: Init) -> None:
    settings = (
        f'{SQLITE}\nSTATIC_URL = "static/"\nINSTALLED_APPS = ["django.contrib.staticfiles"]\n'
    )
    _, said, _ = init(SITE | {"mysite/settings.py": settings})
    assert "Static files: what collectstatic collects (nginx serves" in said
    assert tomllib.loads((tmp_path / "chain.toml").read_text())["static"] == "collectstatic"
    assert "bascule_ops.static.collect" in (tmp_path / "Dockerfile").read_text()
    assert "ARG DJANGO_SETTINGS_MODULE=mysite.settings\n" in (tmp_path / "Dockerfile").read_text()
    assert "\n    DJANGO_SETTINGS_MODULE:\n" in (tmp_path / "compose.yaml").read_text()
    in_server = "      DJANGO_SETTINGS_MODULE: ${DJANGO_SETTINGS_MODULE:-mysite.settings}\n"
    assert in_server in (tmp_path / "compose.yaml").read_text()
    assert "\nDJANGO_SETTINGS_MODULE=mysite.settings\n" in (tmp_path / ".env.example").read_text()
    assert "Next: docker compose run --build --rm server python3 manage.py migrate\n" in said


def test_git_sees_its_files_and_nothing_else(tmp_path: Path, init: Init, wheel: Path) -> None:
    repositories.write(tmp_path, repositories.FLASK)
    repositories.commit(tmp_path)
    status, said, _ = init({}, "--bascule", str(wheel))
    assert status == 0
    assert repositories.new_files(tmp_path) == OURS
    assert f"Copied: .bascule/{wheel.name}, which git passes over" in said
    assert "  or: basculectl up --local, without containers\n" in said
    assert (tmp_path / ".bascule" / wheel.name).read_bytes() == wheel.read_bytes()
    dockerfile = (tmp_path / "Dockerfile").read_text()
    assert f"COPY .bascule/{wheel.name} /opt/" in dockerfile
    assert f"bascule=={__version__}" not in dockerfile


@pytest.fixture
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a wheel's name."""
    path = tmp_path_factory.mktemp("wheel") / f"bascule-{__version__}-py3-none-any.whl"
    path.write_bytes(b"PK")
    return path


@pytest.mark.parametrize("name", ["nowhere/bascule-1-py3-none-any.whl", "README.md"])
def test_a_file_that_is_no_wheel_is_refused(name: str, tmp_path: Path, init: Init) -> None:
    files = {"app.py": CALLABLE, "README.md": ""}
    assert init(files, "--bascule", str(tmp_path / name)) == (
        2, "",
        f'basculectl init: --bascule is "{tmp_path / name}": name the file '
        "bascule-VERSION-py3-none-any.whl\n",
    )  # fmt: skip


def test_without_a_wheel_the_index_has_the_version_that_wrote_it(
    tmp_path: Path, init: Init
) -> None:
    init({"app.py": CALLABLE})
    assert (
        f"pip install --no-cache-dir bascule=={__version__}\n"
        in (tmp_path / "Dockerfile").read_text()
    )
    assert not (tmp_path / ".bascule").exists()


def test_nothing_is_written_over(tmp_path: Path, init: Init) -> None:
    theirs = dict.fromkeys((".dockerignore", ".env.example", "chain.toml"), "theirs\n")
    status, said, _ = init({"app.py": CALLABLE, **theirs})
    assert status == 0
    assert "Written: compose.yaml, Dockerfile\n" in said
    assert "Kept as they are: chain.toml, .dockerignore, .env.example\n" in said
    assert {(tmp_path / name).read_text() for name in theirs} == {"theirs\n"}


def test_a_second_time_is_refused(init: Init) -> None:
    init({"app.py": CALLABLE})
    assert init({}) == (
        *(1, ""),
        "basculectl init: it has been done here: compose.yaml and Dockerfile came of it. --upgrade "
        "brings them to this version; to begin anew, remove them first\n",
    )


def test_a_chain_that_is_there_names_the_application(tmp_path: Path, init: Init) -> None:
    chain = 'application = "shop:create_app()"\n'
    files = {"shop/__init__.py": FACTORY, "wsgi.py": CALLABLE, "chain.toml": chain}
    assert init(files)[1].startswith("Application: shop:create_app() (Flask, ")
    assert (tmp_path / "chain.toml").read_text() == chain


def test_a_chain_that_names_none_of_the_repositorys_is_refused(init: Init) -> None:
    files = {"shop/__init__.py": FACTORY, "chain.toml": 'application = "shop:app"\n'}
    status, _, errors = init(files)
    assert (status, errors.partition(": shop/")[0]) == (
        *(2,),
        'basculectl init: the application of chain.toml is "shop:app"',
    )


def as_older(path: Path, old: str, new: str) -> None:
    """Make a file one that an older version wrote, which had `old` where this one has `new`."""
    first, _, rest = path.read_text().partition("\n")
    assert new in rest
    rest = rest.replace(new, old)
    digest = hashlib.sha256(rest.encode()).hexdigest()[:12]
    path.write_text(f"{re.sub('[0-9a-f]{12}', digest, first)}\n{rest}")


def test_an_upgrade_brings_in_what_nobody_has_changed(tmp_path: Path, init: Init) -> None:
    init({"app.py": CALLABLE})
    before = {each.name: each.read_text() for each in tmp_path.iterdir()}
    as_older(tmp_path / ".env.example", "WORKERS=1", "WORKERS=2")
    (tmp_path / ".dockerignore").unlink()
    status, said, errors = init({}, "--upgrade")
    assert (status, errors) == (0, "")
    assert "\n-WORKERS=1\n+WORKERS=2\n" in said
    assert said.endswith("\nWritten: .dockerignore, .env.example\n")
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == before


def test_an_upgrade_leaves_what_somebody_has_changed(tmp_path: Path, init: Init) -> None:
    init({"app.py": CALLABLE})
    path = tmp_path / "compose.yaml"
    as_older(path, "timeout: 3s", "timeout: 4s")
    path.write_text(mine := f"{path.read_text()}# mine\n")
    status, said, _ = init({}, "--upgrade")
    assert status == 0
    assert "\n-  timeout: 3s\n+  timeout: 4s\n" in said
    told = "Changed by you, and left as they are: compose.yaml; above is what would change\n"
    assert said.endswith(told)
    assert path.read_text() == mine


def test_an_upgrade_has_nothing_to_say_where_its_files_are_the_same(
    tmp_path: Path, init: Init
) -> None:
    init(
        {"app.py": CALLABLE, "wsgi.py": CALLABLE, ".env.example": "theirs\n"},
        "--app",
        "app:application",
    )
    path = tmp_path / "Dockerfile"
    path.write_text(f"{path.read_text()}# mine\n")
    assert init({}, "--upgrade") == (0, "All is as this version writes it.\n", "")


def test_there_must_be_something_to_upgrade(tmp_path: Path, init: Init) -> None:
    assert init({"app.py": CALLABLE}, "--upgrade") == (
        *(1, ""),
        f"basculectl init: there is nothing to upgrade in {tmp_path}: call it without --upgrade\n",
    )


def compose(*services: str) -> str:
    """A compose file with services of those names."""
    each = "".join(
        f"  {name}:\n    image: {name}\n    environment:\n      server: x\n" for name in services
    )
    return f"# Ours\nservices:\n\n  # The first\n{each}\nvolumes:\n  nginx:\n"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("compose.yaml", "compose.override.yaml"),
        ("compose.yml", "compose.override.yml"),
        ("docker-compose.yml", "docker-compose.override.yml"),
        ("docker-compose.yaml", "docker-compose.override.yaml"),
    ],
)
def test_beside_their_compose_file_goes_an_override(
    theirs: str, ours: str, tmp_path: Path, init: Init
) -> None:
    text = compose("db", "web")
    status, said, _ = init({"app.py": CALLABLE, theirs: text})
    assert status == 0
    assert f"Written: {ours}, Dockerfile, chain.toml" in said
    assert (tmp_path / theirs).read_text() == text
    assert not (tmp_path / "compose.yaml").exists() or theirs == "compose.yaml"


def test_beside_their_dockerfile_goes_one_that_is_built_on_its_image(
    tmp_path: Path, init: Init
) -> None:
    files = {
        "app.py": CALLABLE,
        "Dockerfile": "FROM scratch\n",
        "docker-compose.yml": compose("web"),
    }
    status, said, _ = init(files)
    assert status == 0
    names = [
        "docker-compose.override.yml",
        "Dockerfile.bascule",
        "chain.toml",
        "Dockerfile.bascule.dockerignore",
    ]
    assert f"Written: {', '.join(names)}, .env.example\n" in said
    assert "The server's image is built on that of your Dockerfile; its command is not run." in said
    assert (tmp_path / "Dockerfile").read_text() == "FROM scratch\n"
    override = (tmp_path / "docker-compose.override.yml").read_text()
    assert "dockerfile: Dockerfile.bascule\n" in override
    assert "    depends_on:\n      server-base: {condition: service_started}\n" in override
    assert init({})[2].startswith(
        "basculectl init: it has been done here: docker-compose.override.yml and "
    )


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ("2.26.1-4", "    APPLICATION: ${COMPOSE_PROJECT_NAME}-server-base"),
        ("v2.37.0", "    application: service:server-base"),
        ("5.1.0", "    application: service:server-base"),
    ],
)
def test_how_their_image_is_named_is_what_this_machines_compose_understands(
    version: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, init: Init
) -> None:
    docker = tmp_path / ".bin" / "docker"
    repositories.write(tmp_path, {".bin/docker": f"#!/bin/sh\necho {version}\n"})
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}:{os.environ['PATH']}")
    init({"app.py": CALLABLE, "Dockerfile": "FROM scratch\n"})
    assert line in (tmp_path / "compose.yaml").read_text().splitlines()


@pytest.mark.parametrize("name", ["nginx", "server"])
def test_a_service_of_theirs_is_not_merged_with_one_of_ours(
    name: str, tmp_path: Path, init: Init
) -> None:
    status, said, errors = init({"app.py": CALLABLE, "compose.yaml": compose("db", name)})
    assert (status, said) == (2, "")
    assert errors == (
        f"basculectl init: compose.yaml has a service called {name}, as one of Bascule's is: give it "
        "another name, and call this again\n"
    )
    assert not (tmp_path / "chain.toml").exists()


def test_an_override_of_theirs_leaves_no_place(init: Init) -> None:
    files = {
        "app.py": CALLABLE,
        "compose.yaml": compose("db"),
        "compose.override.yaml": compose("db"),
    }
    status, _, errors = init(files)
    assert status == 2
    assert errors.startswith(
        "basculectl init: compose.override.yaml is there already, and compose reads one"
    )
    assert errors.count("\n") == 1


def environment() -> dict[str, str]:
    """That of somebody who has Bascule, whatever runs the tests."""
    path = os.pathsep.join(str(ROOT / part) for part in ("server", "middleware", "ops"))
    more = {"PYTHONPATH": path, "BASCULECTL_DOOR": "basculectl ", "PYTHONDONTWRITEBYTECODE": "1"}
    return inherited() | more


def basculectl(
    root: Path, *words: str, before: tuple[str, ...] = (), **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a repository; `before` is what it is run by."""
    return subprocess.run(
        [*before, sys.executable, "-P", "-m", "bascule_ops", *words],
        cwd=root,
        env=environment() | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )


@pytest.mark.integration
def test_a_directory_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    make_bare(tmp_path)
    tmp_path.chmod(0o555)
    # Root may write anyway, unless it gives that up.
    before = () if os.getuid() else ("setpriv", "--bounding-set=-dac_override")
    done = basculectl(tmp_path, "init", before=before)
    assert (done.returncode, done.stdout, done.stderr) == (
        *(1, ""),
        f"basculectl init: {tmp_path}/compose.yaml: Permission denied\n",
    )


def test_where_one_file_cannot_be_written_none_is(tmp_path: Path, init: Init, wheel: Path) -> None:
    place = tmp_path / ".env.example"
    place.symlink_to("/nowhere/at/all")
    status, said, errors = init({"app.py": CALLABLE}, "--bascule", str(wheel))
    assert (status, said) == (1, "")
    assert errors == f"basculectl init: {place}: File exists\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == [".env.example", "app.py"]


def make_flask(root: Path) -> None:
    repositories.write(root, repositories.FLASK)


def make_bare(root: Path) -> None:
    repositories.write(root, repositories.BARE)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("make", "body"),
    [
        (make_flask, "Flask's for 127.0.0.1"),
        (repositories.django, "The install worked successfully!"),
        (make_bare, "nobody's for 127.0.0.1"),
    ],
)
def test_local_mode_serves_what_was_found(
    make: Callable[[Path], None], body: str, tmp_path: Path
) -> None:
    make(tmp_path)
    repositories.commit(tmp_path)
    done = basculectl(tmp_path, "init")
    assert done.returncode == 0, done.stderr
    port = free_port()
    settings = {"HTTP_PORT": str(port), "STATUS_PORT": "off", "WORKERS": "1"}
    try:
        done = basculectl(tmp_path, "up", "--local", **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        reply = fetch(port, "/", limit=LIMIT)
        assert reply.status == 200
        assert body in reply.text
        new = repositories.new_files(tmp_path)
        assert not [name for name in new if name.startswith(".run/")]
    finally:
        basculectl(tmp_path, "down", **settings)


def test_a_service_for_development_is_written_where_the_dockerfile_is_ours(
    init: Init, tmp_path: Path
) -> None:
    requirements = {"requirements.txt": "-r more.txt\nflask\n", "more.txt": "click\n"}
    init({"shop.py": CALLABLE, "db.sqlite3": ""} | requirements)
    compose = (tmp_path / "compose.yaml").read_text()
    service = compose.partition("\n  dev:\n")[2].partition("\nsecrets:")[0]
    assert "profiles: [dev]" in service
    rebuilding = re.findall(r"- path: (\S+)\n +action: rebuild", service)
    assert sorted(rebuilding) == ["more.txt", "requirements.txt"]
    assert "\nFROM project AS dev\n" in (tmp_path / "Dockerfile").read_text()


def test_beside_a_dockerfile_of_theirs_no_service_for_development_is_written(
    init: Init, tmp_path: Path
) -> None:
    init({"shop.py": CALLABLE, "Dockerfile": "FROM python\n"})
    for name in ("compose.yaml", "Dockerfile.bascule", ".env.example"):
        assert "dev" not in (tmp_path / name).read_text().replace("/dev/", "").lower().split()
        assert "DEV_" not in (tmp_path / name).read_text()


WITH_PROCFILE = {
    "shop.py": CALLABLE,
    "other.py": CALLABLE,
    "Procfile": "release: true\nweb: gunicorn -w 4 other:application\nworker: a\nbeat-it: b\n",
}


def services_of(root: Path) -> list[str]:
    """The services of the compose file that was written."""
    text = (root / "compose.yaml").read_text()
    block = text.partition("\nservices:\n")[2].partition("\nsecrets:")[0]
    return re.findall(r"^  ([\w-]+):$", block, re.MULTILINE)


def test_a_procfile_names_the_application_and_services(tmp_path: Path, init: Init) -> None:
    status, said, _ = init(WITH_PROCFILE)
    assert status == 0
    assert "Procfile: release, worker, beat-it (a service each)" in said
    assert application(tmp_path) == "other:application"
    assert services_of(tmp_path) == ["nginx", "server", "release", "worker", "beat-it", "dev"]
    text = (tmp_path / "compose.yaml").read_text()
    assert "scale: ${SCALE_BEAT_IT:-1}" in text
    assert "release: {condition: service_completed_successfully}" in text


def test_another_procfile_is_another_version_of_the_compose_file(
    tmp_path: Path, init: Init
) -> None:
    init(WITH_PROCFILE)
    status, said, _ = init({"Procfile": "worker: a\nclock: c\n"}, "--upgrade")
    assert status == 0
    assert "+  clock:" in said
    assert "-  beat-it:" in said
    assert "Written: compose.yaml" in said
    assert services_of(tmp_path) == ["nginx", "server", "worker", "clock", "dev"]


@pytest.mark.parametrize(
    ("procfile", "said"),
    [
        ("web: a\nworker b\n", "Procfile, line 2: 'worker b' is not NAME: COMMAND"),
        ("nginx: a\n", "Procfile: nginx is what one of Bascule's own services is called"),
    ],
)
def test_a_procfile_with_an_error_is_refused_and_nothing_is_written(
    procfile: str, said: str, tmp_path: Path, init: Init
) -> None:
    status, _, errors = init({"shop.py": CALLABLE, "Procfile": procfile})
    assert status == 2
    assert said in errors
    assert not (tmp_path / "compose.yaml").exists()


def test_a_process_whose_name_a_service_of_theirs_has_is_left_out_and_told_of(
    tmp_path: Path, init: Init
) -> None:
    files = {"docker-compose.yml": compose("worker"), **WITH_PROCFILE}
    status, said, _ = init(files)
    assert status == 0
    assert "Procfile: worker is not taken, since docker-compose.yml has a service of that" in said
    assert "  worker:" not in (tmp_path / "docker-compose.override.yml").read_text()
