"""The site's paths."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from tests.frameworks.django_site import views

urlpatterns = [
    path("", views.index),
    path("hello/<str:name>", views.hello, name="hello"),
    path("where", views.where),
    path("form", views.form),
    path("upload", views.upload),
    path("download", views.download),
    path("stream", views.stream),
    path("release", views.release),
    path("cookies", views.cookies),
    path("cookies/seen", views.cookies_seen),
    path("error/<str:name>", views.error),
    path("visits", views.visits),
    path("guarded", views.guarded),
    path("admin/", admin.site.urls),
]
handler404 = "tests.frameworks.django_site.views.not_found"
