"""`python -m bascule_middleware`: the chain as a tree, checked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from bascule_middleware.__main__ import main
from bascule_middleware.chain import load
from bascule_middleware.links.dispatch import Dispatch
from bascule_middleware.schema import chain_schema
from bascule_middleware.tree import lines, tree

from tests.applications.hello import application

ROOT = Path(__file__).parents[2]
HERE = "tests.middleware.test_tree"


def link(
    application: Any,
    *,
    size: int,
    name: str = "",
    on: bool = False,
    share: float = 0.0,
    limit: int | None = None,
    peers: Sequence[str] = ("unix",),
    weights: Mapping[str, int] = {},
    free: Any = None,
) -> Any:
    return application


def foreign_link(app: Any, names: list[str] | None = None, **options: Any) -> Any:
    return app


deepest = Dispatch(application, mounts={"/end": "app.forms:greeter"})
nested = Dispatch(application, mounts={"/deep": f"{HERE}:deepest", "/other": "app.forms:generator"})


@pytest.fixture
def chain_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Write a chain file in the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        Path("chain.toml").write_text(text)
        return Path("chain.toml")

    return write


def test_every_link_has_its_class_and_every_setting_its_value_and_mounts_branch(
    chain_file: Callable[[str], Path],
) -> None:
    path = chain_file(
        f"""
        application = "app.hello:application"
        [[links]]
        use = "request_id"
        trusted = ["unix", "10.0.0.0/8"]
        [[links]]
        use = "{HERE}:link"
        size = 1
        weights = {{ "a b" = 2, c = 1 }}
        share = 0.5
        free = 1979-05-27
        [[links]]
        use = "{HERE}:foreign_link"
        name = "é"
        [[links]]
        use = "dispatch"
        default = false
        [links.mounts]
        "/class" = "app.forms:Greeting"
        "*.example.com/é" = "{HERE}:nested"
        "/last" = "app.forms:writer"
        [[links]]
        use = "exceptions"
        """
    )
    assert "\n".join(lines(tree(load(path)))) == (
        f"""\
chain.toml
├── request_id  (bascule_middleware.links.request_id:RequestId)
│       trusted = ["unix", "10.0.0.0/8"]
├── {HERE}:link
│       size = 1
│       name = ""  # default
│       on = false  # default
│       share = 0.5
│       limit is not set  # default
│       peers = ["unix"]  # default
│       weights = {{ "a b" = 2, "c" = 1 }}
│       free = 1979-05-27
├── {HERE}:foreign_link
│       names is not set  # default
│       name = "é"
├── dispatch  (bascule_middleware.links.dispatch:Dispatch)
│   │   default = false
│   ├── "/class"  app.forms:Greeting
│   ├── "*.example.com/é"  {HERE}:nested
│   │   ├── "/deep"  {HERE}:deepest
│   │   │   └── "/end"  app.forms:greeter
│   │   └── "/other"  app.forms:generator
│   └── "/last"  app.forms:writer
├── exceptions  (bascule_middleware.links.exceptions:Exceptions)
│       debug = false  # default
└── app.hello:application"""
    )


def test_the_shipped_chain_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(ROOT / "app" / "chain.toml")]) == 0
    shown, said = capsys.readouterr()
    assert shown.startswith(f"{ROOT}/app/chain.toml\n├── request_id  (")
    assert '│   ├── "/forms/class"  app.forms:Greeting\n' in shown
    assert shown.endswith("\n└── app.hello:application\n")
    assert said == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("application = 'app.helo:application'", "chain.toml:1: application"),
        (
            "application = 'app.hello:application'\n[[links]]\nuse = 'exceptions'\ndebig = true",
            'chain.toml:4: link "exceptions": setting "debig": unknown; did you mean "debug"?',
        ),
        (
            "application = 'app.hello:application'\n[[links]]\nuse = 'dispatch'\n"
            "mounts = { '/x' = 'nowhere:app' }",
            'chain.toml:4: link "dispatch": setting "mounts": "/x": "nowhere:app": there is no',
        ),
    ],
)
def test_a_wrong_chain_is_one_line_and_exit_code_2(
    text: str,
    message: str,
    chain_file: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([str(chain_file(text))]) == 2
    shown, said = capsys.readouterr()
    assert shown == ""
    assert said.startswith(f"python -m bascule_middleware: {message}")
    assert said.count("\n") == 1


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nowhere.toml"]) == 2
    said = capsys.readouterr().err
    assert said == "python -m bascule_middleware: nowhere.toml: No such file or directory\n"


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(chain_schema()))


@pytest.mark.parametrize("arguments", [[], ["--schema", "chain.toml"]])
def test_one_of_file_and_schema_is_asked_for(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


@pytest.mark.integration
def test_the_output_is_utf_8_in_any_locale() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bascule_middleware", "app/chain.toml"],
        cwd=ROOT,
        env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert "└── app.hello:application" in done.stdout.decode()
