"""Runs Django's `collectstatic`: for an image that is built, and for a generation of local mode.

``python -m bascule_ops.static.collect DIRECTORY``, in the project's directory and with its Python,
leaves in the directory what was collected. Django's settings are those that DJANGO_SETTINGS_MODULE
names, else those that the project's files do. Where these name no STATIC_ROOT, it is collected into
the directory itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bascule_ops.errors import CommandError
from bascule_ops.init import django_project
from bascule_ops.init.sources import Sources


def run(directory: Path, environ: Mapping[str, str]) -> None:
    """Collect those of the project in PROJECT_DIR. Raises `CommandError`."""
    done = subprocess.run(
        [environ["PYTHON"], "-m", __name__, str(directory)],
        cwd=environ["PROJECT_DIR"],
        env=environ,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        why = done.stderr.strip().rpartition("\n")[2]
        raise CommandError(f"collectstatic failed, as chain.toml asks for it: {why}")


def main() -> None:
    """Collect them. Raises whatever the project's settings raise."""
    (directory,) = sys.argv[1:]
    if project := django_project.find(Sources(Path())):
        os.environ.setdefault(django_project.SETTINGS, project.settings)
    import django  # noqa: PLC0415 (the project's own)
    from django.conf import settings  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415

    if not settings.STATIC_ROOT:
        settings.STATIC_ROOT = directory
    django.setup()
    call_command("collectstatic", interactive=False, verbosity=0)
    if os.path.realpath(settings.STATIC_ROOT) != os.path.realpath(directory):
        shutil.copytree(settings.STATIC_ROOT, directory, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
