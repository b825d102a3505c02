"""pypiserver: https://github.com/pypiserver/pypiserver#gunicorn."""

from __future__ import annotations

import base64
import hashlib
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.foreign.application import Application
from tests.foreign.site import Site

USER: Final = ("alice", "alice's")
# As `htpasswd -s` writes it.
SHA1: Final = base64.b64encode(hashlib.sha1(USER[1].encode()).digest()).decode()
HTPASSWD: Final = f"{USER[0]}:{{SHA}}{SHA1}\n"


def make(site: Site) -> None:
    """What its gunicorn page and its upload page ask for."""
    (site.root / "requirements.txt").write_text("pypiserver\npasslib\n")
    (site.root / "packages").mkdir()
    (site.root / "htpasswd.txt").write_text(HTPASSWD)


def walk(site: Site) -> Sequence[str]:
    """twine uploads, pip installs; a stranger uploads nothing."""
    place = site.root.parent / f"{site.root.name}-client"
    place.mkdir()
    wheel = make_wheel(place)
    said = upload(site, wheel, "somebody", "else's", check=False)
    assert "403 Forbidden" in said, said
    upload(site, wheel, *USER)
    assert "already exists" in upload(site, wheel, *USER, check=False)
    install = ("-m", "pip", "install", "--no-deps", f"--index-url={site.url}/simple/")
    site.client(*install, f"--target={place / 'target'}", "marmalade")
    assert (place / "target" / "marmalade.py").read_text() == "SPREAD = True\n"
    assert "marmalade" in site.get("/simple/").text
    shutil.rmtree(place)
    return ["twine uploads, and is refused with another password", "pip installs what it uploaded"]


def upload(site: Site, wheel: Path, user: str, password: str, *, check: bool = True) -> str:
    """Call twine; return what it says."""
    who = (f"--username={user}", f"--password={password}")
    words = ("-m", "twine", "upload", "--non-interactive", "--disable-progress-bar", "--verbose")
    return site.client(*words, f"--repository-url={site.url}/", *who, str(wheel), check=check)


def make_wheel(place: Path) -> Path:
    """A wheel of one module, and of some size, which no compression makes small."""
    path = place / "marmalade-1.0-py3-none-any.whl"
    info = "marmalade-1.0.dist-info"
    files = {
        "marmalade.py": "SPREAD = True\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: marmalade\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
        packed.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in files))
    return path


PYPISERVER: Final = Application(
    distribution="pypiserver",
    framework="Bottle",
    packages=["passlib"],
    clients=["twine"],
    init=[
        *("--app", 'pypiserver:app(root="packages", password_file="htpasswd.txt")'),
        *("--data", "packages/"),
    ],
    make=make,
    walk=walk,
)
