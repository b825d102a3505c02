"""The site in Flask."""

from __future__ import annotations

from flask import Flask, Response, jsonify, redirect, request, send_file, url_for

from tests.frameworks import common

application = Flask(__name__)
# An exception goes on to the chain's `exceptions`, which logs it and answers.
application.config["PROPAGATE_EXCEPTIONS"] = True


@application.get("/")
def index():
    return "Flask"


@application.get("/hello/<name>")
def hello(name):
    greeting = request.args.get("greeting", "Hello")
    return Response(f"{greeting}, {name}!", mimetype="text/plain")


@application.get("/where")
def where():
    url = url_for("hello", name="alice", _external=True)
    return jsonify(
        common.where(request.environ, url, request.is_secure, request.host, request.remote_addr)
    )


@application.post("/form")
def form():
    return redirect(url_for("hello", name=request.form["name"]), 303)


@application.post("/upload")
def upload():
    file = request.files["file"]
    return jsonify(common.digest(file.filename, file.stream, request.form["note"]))


@application.get("/download")
def download():
    return send_file(common.DOWNLOAD, as_attachment=True, download_name=common.DOWNLOAD_NAME)


@application.get("/stream")
def stream():
    return Response(common.stream(), mimetype="text/plain", headers={"X-Accel-Buffering": "no"})


@application.get("/release")
def release():
    return common.release()


@application.get("/cookies")
def cookies():
    response = Response("set")
    response.set_cookie("session", "a b; c", httponly=True, samesite="Lax")
    response.set_cookie("theme", "dark", path="/")
    return response


@application.get("/cookies/seen")
def cookies_seen():
    return jsonify(request.cookies)


@application.get("/error/<name>")
def error(name):
    raise common.OnPurposeError("in Flask")


@application.errorhandler(404)
def not_found(_):
    return "Flask has no such page", 404
