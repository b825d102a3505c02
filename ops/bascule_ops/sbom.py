"""The software bill of materials of an image, or of the wheel: CycloneDX 1.6, JSON.

``python -m bascule_ops.sbom --image NAME [--site-packages DIRECTORY ...]`` prints what is
installed, not what was asked for: Debian's packages by dpkg's records, Python's by the metadata
that pip wrote. Both Dockerfiles run it. setup.py puts `of_wheel` into the wheel, which lists what
of others is in there (PEP 770). The same packages give the same bytes: no time, no chance.

https://cyclonedx.org/docs/1.6/json/ https://github.com/package-url/purl-spec (a package's name for
every database of vulnerabilities)
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from email.parser import HeaderParser
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

DPKG_STATUS = Path("/var/lib/dpkg/status")
INSTALLED = {"install ok installed", "hold ok installed"}


def debian_packages(status: str, release: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield a component for each installed package of dpkg's status file.

    `status`: the file's text, paragraphs of RFC 822 fields (deb-control(5)); `release`: what
    os-release(5) says.
    """
    for paragraph in re.split(r"\n{2,}", status.strip()):
        fields = HeaderParser().parsestr(paragraph)
        # Removed packages stay there as long as their configuration does.
        if fields["Status"] not in INSTALLED:
            continue
        qualifiers = f"arch={fields['Architecture']}&distro={release['ID']}-{release['VERSION_ID']}"
        # Debian's security advisories go by the source package: "openssl (3.5.1-1)".
        if source := fields["Source"]:
            qualifiers += f"&upstream={quote(source.partition(' ')[0])}"
        yield _component(f"deb/{release['ID']}", fields["Package"], fields["Version"], qualifiers)


def python_packages(installed: Iterable[Distribution]) -> Iterator[dict[str, Any]]:
    """Yield a component for each installed distribution."""
    for each in installed:
        # Names are compared in this form (PyPI's normalisation, PEP 503).
        name = re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower()
        component = _component("pypi", name, each.version)
        if "License-Expression" in each.metadata:  # PEP 639
            component["licenses"] = [{"expression": each.metadata["License-Expression"]}]
        yield component


# Its first line names its version.
UPLOT = Path(__file__).parent / "observe" / "static" / "uplot" / "uPlot.iife.min.js"


def bundled() -> Iterator[dict[str, Any]]:
    """Yield a component for each work of others that is in the wheel.

    Raises `ValueError` where one does not say its version.
    """
    banner = UPLOT.read_text(encoding="utf-8").partition("\n")[0]
    version = re.search(r"\(v([0-9.]+)\)", banner)
    if version is None:
        raise ValueError(f"{UPLOT} names no version in its first line")
    yield _component("npm", "uplot", version[1]) | {"licenses": [{"license": {"id": "MIT"}}]}


def _component(kind: str, name: str, version: str, qualifiers: str = "") -> dict[str, Any]:
    purl = f"pkg:{kind}/{quote(name)}@{quote(version, safe=':~')}"
    if qualifiers:
        purl += f"?{qualifiers}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def of_image(
    image: str, release: Mapping[str, str], packages: Iterable[dict[str, Any]]
) -> dict[str, Any]:
    """Return the document about an image: its operating system and its packages."""
    system = {
        "type": "operating-system",
        "bom-ref": "operating-system",
        "name": release["ID"],
        "version": release["VERSION_ID"],
    }
    components = [system, *sorted(packages, key=lambda each: str(each["purl"]))]
    return _document({"type": "container", "bom-ref": image, "name": image}, components)


def of_wheel(name: str, version: str, licence: str) -> dict[str, Any]:
    """Return the document about the wheel of that name: `bundled`."""
    subject = _component("pypi", name, version) | {"licenses": [{"expression": licence}]}
    return _document(subject, list(bundled()))


def _document(subject: dict[str, Any], components: list[dict[str, Any]]) -> dict[str, Any]:
    listed = json.dumps([subject["bom-ref"], components], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, listed).urn,
        "version": 1,
        "metadata": {"component": subject},
        "components": components,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bascule_ops.sbom", description=__doc__)
    parser.add_argument("--image", required=True, help="the image's name")
    parser.add_argument(
        "--site-packages",
        action="append",
        default=[],
        metavar="DIRECTORY",
        help="where Python's packages are; may be repeated",
    )
    parser.add_argument(
        "--dpkg-status",
        type=Path,
        default=DPKG_STATUS,
        metavar="FILE",
        help="dpkg's records (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    release = platform.freedesktop_os_release()
    packages = [
        *debian_packages(arguments.dpkg_status.read_text(encoding="utf-8"), release),
        *python_packages(distributions(path=arguments.site_packages)),
    ]
    json.dump(of_image(arguments.image, release, packages), sys.stdout, indent=2)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
