"""The site in Falcon."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import falcon

from tests.frameworks import common


class Index:
    def on_get(self, req, resp):
        resp.text = "Falcon"


class Hello:
    def on_get(self, req, resp, name):
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"{req.get_param('greeting', default='Hello')}, {name}!"

    on_head = on_get  # Falcon answers HEAD only where it is told to


class Where:
    def on_get(self, req, resp):
        url = f"{req.prefix}/hello/alice"
        secure = req.scheme == "https"
        resp.media = common.where(req.env, url, secure, req.netloc, req.remote_addr)


class Form:
    def on_post(self, req, resp):
        raise falcon.HTTPSeeOther(f"{req.prefix}/hello/{quote(req.get_media()['name'])}")


class Upload:
    def on_post(self, req, resp):
        note = ""
        told = {}
        for part in req.get_media():
            if part.name == "note":
                note = part.text
            else:
                told = common.digest(part.filename, part.stream, "")
        resp.media = {**told, "note": note}


class Download:
    def on_get(self, req, resp):
        status = common.DOWNLOAD.stat()
        resp.last_modified = changed = datetime.fromtimestamp(int(status.st_mtime), UTC)
        if req.if_modified_since and req.if_modified_since >= changed:
            resp.status = falcon.HTTP_304
            return
        resp.content_type = "application/octet-stream"
        resp.downloadable_as = common.DOWNLOAD_NAME
        resp.set_stream(common.DOWNLOAD.open("rb"), status.st_size)

    on_head = on_get


class Stream:
    def on_get(self, req, resp):
        resp.content_type = falcon.MEDIA_TEXT
        resp.set_header("X-Accel-Buffering", "no")
        resp.stream = common.stream()


class Release:
    def on_get(self, req, resp):
        resp.text = common.release()


class Cookies:
    def on_get(self, req, resp):
        resp.set_cookie("session", "a b; c", http_only=True, same_site="Lax", secure=False)
        resp.set_cookie("theme", "dark", path="/", secure=False)
        resp.text = "set"

    def on_get_seen(self, req, resp):
        resp.media = req.cookies


class Error:
    def on_get(self, req, resp, name):
        raise common.OnPurposeError("in Falcon")


def passes_on(req, resp, error, params):
    raise error


def not_found(req, resp, **_):
    resp.status = falcon.HTTP_404
    resp.content_type = falcon.MEDIA_TEXT
    resp.text = "Falcon has no such page"


application = falcon.App()
application.add_route("/", Index())
application.add_route("/hello/{name}", Hello())
application.add_route("/where", Where())
application.add_route("/form", Form())
application.add_route("/upload", Upload())
application.add_route("/download", Download())
application.add_route("/stream", Stream())
application.add_route("/release", Release())
application.add_route("/cookies", Cookies())
application.add_route("/cookies/seen", Cookies(), suffix="seen")
application.add_route("/error/{name}", Error())
application.add_sink(not_found, "/")
# An exception goes on to the chain's `exceptions`, which logs it and answers.
application.add_error_handler(Exception, passes_on)
