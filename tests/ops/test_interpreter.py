"""What is said where the project's packages are not in the Python that local mode runs with."""

from __future__ import annotations

from pathlib import Path

import pytest
from bascule_ops.control import interpreter

SAID = "bascule: cannot load shop:app: ModuleNotFoundError: No module named 'flask.json'\n"


def make_venv(place: Path, *files: str) -> Path:
    for name in ("pyvenv.cfg", *files):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    return place


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    return root


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """An environment with nothing but Bascule."""
    return make_venv(tmp_path / "own", "pipx_metadata.json")


def test_the_projects_environment_is_named(root: Path, own: Path) -> None:
    venv = make_venv(root / ".venv")
    assert interpreter.remedy(SAID, root, {}, own) == (
        f"it runs with the Python of {own}, which has no flask: install bascule into {venv} as "
        f"well, then {venv}/bin/basculectl up"
    )
    make_venv(venv, "bin/basculectl")
    assert interpreter.remedy(SAID, root, {}, own).endswith(
        f": {venv}/bin/basculectl up runs it with the project's"
    )


def test_the_active_environment_goes_before_others(root: Path, own: Path, tmp_path: Path) -> None:
    make_venv(root / ".venv")
    active = make_venv(tmp_path / "active")
    said = interpreter.remedy(SAID, root, {"VIRTUAL_ENV": str(active)}, own)
    assert f"install bascule into {active} as well" in said
    # The one that it runs with is none of the others.
    said = interpreter.remedy(SAID, root, {"VIRTUAL_ENV": str(own)}, own)
    assert f"install bascule into {root}/.venv as well" in said


@pytest.mark.parametrize("receipt", ["pipx_metadata.json", "uv-receipt.toml"])
def test_nothing_is_to_be_put_into_the_environment_of_one_program(
    root: Path, tmp_path: Path, receipt: str
) -> None:
    said = interpreter.remedy(SAID, root, {}, make_venv(tmp_path / "tool", receipt))
    assert "that environment is Bascule's own. Make one for the project" in said


def test_elsewhere_the_requirements_are_to_be_installed(root: Path, tmp_path: Path) -> None:
    said = interpreter.remedy(SAID, root, {}, make_venv(tmp_path / "venv"))
    assert said.endswith(": install the project's requirements into it, then ops/up")


@pytest.mark.parametrize(
    ("said", "file"),
    [
        ("bascule: cannot load shop:app: NameError: name 'x' is not defined", "shop.py"),
        ("... ModuleNotFoundError: No module named 'shop.views'", "shop/__init__.py"),
        ("... ModuleNotFoundError: No module named 'shop'", "src/shop/__init__.py"),
    ],
)
def test_what_is_wrong_in_the_project_is_not_the_environments(
    root: Path, own: Path, said: str, file: str
) -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).touch()
    assert interpreter.remedy(said, root, {}, own) == ""
