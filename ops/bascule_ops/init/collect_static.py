"""``python -m bascule_ops.init.collect_static SETTINGS DIRECTORY``: when an image is built.

Runs Django's `collectstatic` in the project's directory and copies what it collected. Where the
settings name no STATIC_ROOT, it is collected into the directory itself.
"""

from __future__ import annotations

import os
import shutil
import sys


def main() -> None:
    """Collect them. Raises whatever the project's settings raise."""
    settings_module, directory = sys.argv[1:]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings_module)
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
