"""The software bill of materials: valid CycloneDX, and exactly what is installed."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bascule_ops import sbom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).parents[2]

STATUS = """\
Package: nginx
Status: install ok installed
Architecture: amd64
Version: 1.26.3-3+deb13u1
Description: small, powerful
 web server
 .
 Version: 9 (a line of prose)

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: libssl3t64
Status: install ok installed
Source: openssl (3.5.1-1)
Architecture: amd64
Version: 1:3.5.1-1~b2
"""
METADATA = """\
Metadata-Version: 2.4
Name: Zope_Interface
Version: 7.0
License-Expression: ZPL-2.1
"""


def written(tmp_path: Path) -> str:
    """What the command prints about an image with the packages above."""
    (tmp_path / "status").write_text(STATUS)
    packages = tmp_path / "site-packages"
    (packages / "zope_interface-7.0.dist-info").mkdir(parents=True, exist_ok=True)
    (packages / "zope_interface-7.0.dist-info" / "METADATA").write_text(METADATA)
    command = [
        *(sys.executable, "-m", "bascule_ops.sbom", "--image", "an-image"),
        *("--dpkg-status", str(tmp_path / "status"), "--site-packages", str(packages)),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


@pytest.fixture
def components(tmp_path: Path) -> dict[str, Any]:
    """The components by their names."""
    found = json.loads(written(tmp_path))["components"]
    return {each["name"]: each for each in found}


def test_it_is_valid_cyclonedx(tmp_path: Path) -> None:
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(written(tmp_path))
    assert problem is None, problem


def test_it_lists_what_is_installed_and_nothing_else(components: dict[str, Any]) -> None:
    system = components.pop(platform.freedesktop_os_release()["ID"])
    assert system["type"] == "operating-system"
    versions = {name: each["version"] for name, each in components.items()}
    assert versions == {
        "nginx": "1.26.3-3+deb13u1",
        "libssl3t64": "1:3.5.1-1~b2",
        "zope-interface": "7.0",
    }


def test_package_urls_name_the_package_as_databases_do(components: dict[str, Any]) -> None:
    nginx = PackageURL.from_string(components["nginx"]["purl"])
    assert (nginx.type, nginx.name) == ("deb", "nginx")
    assert nginx.namespace == platform.freedesktop_os_release()["ID"]
    assert nginx.version == "1.26.3-3+deb13u1"
    assert isinstance(nginx.qualifiers, dict)
    assert nginx.qualifiers["arch"] == "amd64"
    library = PackageURL.from_string(components["libssl3t64"]["purl"])
    assert library.version == "1:3.5.1-1~b2"
    assert isinstance(library.qualifiers, dict)
    assert library.qualifiers["upstream"] == "openssl"
    assert components["zope-interface"]["purl"] == "pkg:pypi/zope-interface@7.0"
    assert components["zope-interface"]["licenses"] == [{"expression": "ZPL-2.1"}]


def test_what_the_wheel_bundles_is_what_was_fetched() -> None:
    (uplot,) = sbom.bundled()
    script = (ROOT / "tests" / "vendor" / "run").read_text()
    assert f"package uplot {uplot['version']} " in script


def test_the_same_packages_give_the_same_bytes(tmp_path: Path) -> None:
    assert written(tmp_path) == written(tmp_path)
