"""Django's command line for the site: python -m tests.frameworks.django_site.manage migrate."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.frameworks.django_site.settings")

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
