"""The site in Bottle."""

from __future__ import annotations

from urllib.parse import quote, urljoin

from bottle import Bottle, redirect, request, response, static_file

from tests.frameworks import common

# catchall=False: an exception goes on to the chain's `exceptions`, which logs it and answers.
application = Bottle(catchall=False)


@application.get("/")
def index():
    return "Bottle"


@application.get("/hello/<name>", name="hello")
def hello(name):
    response.content_type = "text/plain; charset=utf-8"
    return f"{request.query.getunicode('greeting', 'Hello')}, {name}!"


@application.get("/where")
def where():
    url = urljoin(request.url, application.get_url("hello", name="alice"))
    parts = request.urlparts
    secure = parts.scheme == "https"
    return common.where(request.environ, url, secure, parts.netloc, request.remote_addr)


@application.post("/form")
def form():
    name = quote(request.forms.getunicode("name"))
    redirect(application.get_url("hello", name=name), 303)


@application.post("/upload")
def upload():
    file = request.files.file
    return common.digest(file.raw_filename, file.file, request.forms.getunicode("note"))


@application.get("/download")
def download():
    file = common.DOWNLOAD
    return static_file(file.name, root=str(file.parent), download=common.DOWNLOAD_NAME)


@application.get("/stream")
def stream():
    response.content_type = "text/plain"
    response.set_header("X-Accel-Buffering", "no")
    return common.stream()


@application.get("/release")
def release():
    return common.release()


@application.get("/cookies")
def cookies():
    response.set_cookie("session", "a b; c", httponly=True, samesite="lax")
    response.set_cookie("theme", "dark", path="/")
    return "set"


@application.get("/cookies/seen")
def cookies_seen():
    return dict(request.cookies)


@application.get("/error/<name>")
def error(name):
    raise common.OnPurposeError("in Bottle")


@application.error(404)
def not_found(_):
    return "Bottle has no such page"
