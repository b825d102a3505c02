"""``python -m bascule_ops.init.collect_static DIRECTORY``: when an image is built.

Runs Django's `collectstatic` in the project's directory, with the settings that
DJANGO_SETTINGS_MODULE names, and copies what it collected. Where they name no STATIC_ROOT, it is
collected into the directory itself.
"""

from __future__ import annotations

import os
import shutil
import sys


def main() -> None:
    """Collect them. Raises whatever the project's settings raise."""
    (directory,) = sys.argv[1:]
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
