"""A site in Flask: a JSON view, and a view with session, template and a query to SQLite."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from flask import Flask, Response, jsonify, render_template, request, session
from jinja2 import DictLoader

from tests.bench import shop

METHODS = ["GET", "POST", "PUT", "DELETE"]

application = Flask(__name__)
application.secret_key = "of-a-site-that-lives-for-a-measurement"
application.jinja_loader = DictLoader({"page.html": shop.TEMPLATE})


@application.route("/v1/<path:name>", methods=METHODS)
def resource(name: str) -> Response:
    """Answer in JSON."""
    sent = request.get_json(silent=True) if request.method == "POST" else None
    return jsonify(name=name, query=request.args.to_dict(), sent=sent, tags=["a", "b", "c"])


@application.route("/", defaults={"path": ""}, methods=METHODS)
@application.route("/<path:path>", methods=METHODS)
def page(path: str) -> str:
    """Answer with a page."""
    session["visits"] = session.get("visits", 0) + 1 + len(request.form)
    with closing(sqlite3.connect(shop.database())) as connection:
        found = connection.execute(shop.QUERY.format("?"), [shop.first_product(path)]).fetchall()
    return render_template("page.html", path=path, visits=session["visits"], products=found)
