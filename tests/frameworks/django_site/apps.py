"""The site as an application of Django's."""

from __future__ import annotations

from django.apps import AppConfig


class Site(AppConfig):
    name = "tests.frameworks.django_site"
    label = "site"
