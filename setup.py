"""What pyproject.toml has no word for: a software bill of materials in the wheel (PEP 770).

https://github.com/pypa/setuptools/issues/4821
"""

import json
import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel

# Run and not imported: what is built need not be on the path.
SBOM = Path(__file__).parent / "ops" / "bascule_ops" / "sbom.py"


class WheelWithSbom(bdist_wheel):
    """The usual wheel, and ``sboms/`` among its metadata."""

    def write_wheelfile(self, wheelfile_base: str, *arguments: str, **options: str) -> None:
        """Write the directory beside the file WHEEL."""
        super().write_wheelfile(wheelfile_base, *arguments, **options)
        metadata = self.distribution.metadata
        of_wheel = runpy.run_path(str(SBOM))["of_wheel"]
        document = of_wheel(metadata.name, metadata.version, metadata.license_expression)
        sboms = Path(wheelfile_base, "sboms")
        sboms.mkdir(exist_ok=True)
        text = json.dumps(document, indent=2)
        (sboms / f"{metadata.name}.cdx.json").write_text(f"{text}\n", encoding="utf-8")


setup(cmdclass={"bdist_wheel": WheelWithSbom})
