"""A site in Django: a JSON view, and a view with session, template and a query to SQLite."""

from __future__ import annotations

import json

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path as route
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

from tests.bench import shop

settings.configure(
    SECRET_KEY="of-a-site-that-lives-for-a-measurement",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.sessions"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": shop.database()}},
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    ("django.template.loaders.locmem.Loader", {"page.html": shop.TEMPLATE})
                ],
            },
        }
    ],
)


@csrf_exempt  # type: ignore[untyped-decorator]
def resource(request: HttpRequest, name: str) -> JsonResponse:
    """Answer in JSON."""
    sent = json.loads(request.body) if request.method == "POST" else None
    found = {"name": name, "query": request.GET.dict(), "sent": sent, "tags": ["a", "b", "c"]}
    return JsonResponse(found)


@csrf_exempt  # type: ignore[untyped-decorator]  # the population's forms have no token of this site
def page(request: HttpRequest, path: str) -> HttpResponse:
    """Answer with a page."""
    visits = request.session.get("visits", 0) + 1 + len(request.POST)
    request.session["visits"] = visits
    with connection.cursor() as cursor:
        cursor.execute(shop.QUERY.format("%s"), [shop.first_product(path)])
        found = cursor.fetchall()
    return render(request, "page.html", {"path": path, "visits": visits, "products": found})


urlpatterns = [route("v1/<path:name>", resource), re_path("^(?P<path>.*)$", page)]
application = get_wsgi_application()
