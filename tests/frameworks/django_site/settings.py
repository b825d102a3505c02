"""Settings of the site; everything that it writes is in SITE_DIRECTORY."""

from __future__ import annotations

import os
from pathlib import Path

DIRECTORY = Path(os.environ["SITE_DIRECTORY"])

SECRET_KEY = "of-a-site-that-lives-for-a-test"
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1", ".example"]
# An exception goes on to the chain's `exceptions`, which logs it and answers.
DEBUG_PROPAGATE_EXCEPTIONS = True

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "tests.frameworks.django_site.apps.Site",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "tests.frameworks.django_site.urls"
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DIRECTORY / "site.sqlite3"}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MEDIA_ROOT = DIRECTORY / "media"

# nginx serves it.
STATIC_URL = "/static/"
STATIC_ROOT = DIRECTORY / "static"
