"""The site in Pyramid."""

from __future__ import annotations

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import FileResponse, Response

from tests.frameworks import common


def index(request):
    return Response("Pyramid")


def hello(request):
    greeting = request.params.get("greeting", "Hello")
    return Response(f"{greeting}, {request.matchdict['name']}!", content_type="text/plain")


def where(request):
    url = request.route_url("hello", name="alice")
    secure = request.scheme == "https"
    return common.where(request.environ, url, secure, request.host, request.remote_addr)


def form(request):
    return HTTPSeeOther(request.route_url("hello", name=request.POST["name"]))


def upload(request):
    file = request.POST["file"]
    return common.digest(file.filename, file.file, request.POST["note"])


def download(request):
    response = FileResponse(common.DOWNLOAD, request, content_type="application/octet-stream")
    response.content_disposition = f'attachment; filename="{common.DOWNLOAD_NAME}"'
    response.conditional_response = True
    return response


def stream(request):
    response = Response(app_iter=common.stream(), content_type="text/plain")
    response.headers["X-Accel-Buffering"] = "no"
    return response


def release(request):
    return Response(common.release())


def cookies(request):
    response = Response("set")
    response.set_cookie("session", "a b; c", httponly=True, samesite="Lax")
    response.set_cookie("theme", "dark", path="/")
    return response


def cookies_seen(request):
    return dict(request.cookies)


def error(request):
    raise common.OnPurposeError("in Pyramid")


def not_found(request):
    return Response("Pyramid has no such page", status=404)


with Configurator() as config:
    for view, path, renderer in [
        (index, "/", None),
        (hello, "/hello/{name}", None),
        (where, "/where", "json"),
        (form, "/form", None),
        (upload, "/upload", "json"),
        (download, "/download", None),
        (stream, "/stream", None),
        (release, "/release", None),
        (cookies, "/cookies", None),
        (cookies_seen, "/cookies/seen", "json"),
        (error, "/error/{name}", None),
    ]:
        config.add_route(view.__name__, path)
        config.add_view(view, route_name=view.__name__, renderer=renderer)
    config.add_notfound_view(not_found)
    application = config.make_wsgi_app()
