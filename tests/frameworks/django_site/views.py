"""What the site answers."""

from __future__ import annotations

from datetime import UTC, datetime

from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt, ensure_csrf_cookie
from django.views.decorators.http import last_modified

from tests.frameworks import common

TEXT = "text/plain; charset=utf-8"


def index(request):
    return HttpResponse("Django")


def hello(request, name):
    return HttpResponse(f"{request.GET.get('greeting', 'Hello')}, {name}!", content_type=TEXT)


def where(request):
    url = request.build_absolute_uri(reverse("hello", args=["alice"]))
    address = request.META["REMOTE_ADDR"]
    return JsonResponse(
        common.where(request.META, url, request.is_secure(), request.get_host(), address)
    )


@csrf_exempt
def form(request):
    response = redirect("hello", name=request.POST["name"])
    response.status_code = 303
    return response


@csrf_exempt
def upload(request):
    file = request.FILES["file"]
    return JsonResponse(common.digest(file.name, file, request.POST["note"]))


def changed(request):
    return datetime.fromtimestamp(int(common.DOWNLOAD.stat().st_mtime), UTC)


@last_modified(changed)
def download(request):
    return FileResponse(
        common.DOWNLOAD.open("rb"), as_attachment=True, filename=common.DOWNLOAD_NAME
    )


def stream(request):
    fields = {"X-Accel-Buffering": "no"}
    return StreamingHttpResponse(common.stream(), content_type=TEXT, headers=fields)


def release(request):
    return HttpResponse(common.release())


def cookies(request):
    response = HttpResponse("set")
    response.set_cookie("session", "a b; c", httponly=True, samesite="Lax")
    response.set_cookie("theme", "dark", path="/")
    return response


def cookies_seen(request):
    return JsonResponse(request.COOKIES)


def error(request, name):
    raise common.OnPurposeError("in Django")


def not_found(request, exception):
    return HttpResponse("Django has no such page", status=404)


def visits(request):
    """Count the visits of a session."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse({"visits": request.session["visits"]})


@ensure_csrf_cookie
def guarded(request):
    """Take a form only with the token that a page of this site has set."""
    return HttpResponse(request.POST.get("text", "send me a form"), content_type=TEXT)
