"""The admin's pages."""

from __future__ import annotations

from django.contrib import admin

from tests.frameworks.django_site.models import Document

admin.site.register(Document)
