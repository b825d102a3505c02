"""Measures what the chain costs a request: `python -m tests.middleware.measure`."""

from __future__ import annotations

import itertools
import tempfile
import timeit
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from bascule_middleware.links.allowlist.allowlist import Allowlist
from bascule_middleware.links.dispatch import Dispatch
from bascule_middleware.links.exceptions import Exceptions
from bascule_middleware.links.proxy_headers import ProxyHeaders
from bascule_middleware.links.ratelimit.ratelimit import RateLimit
from bascule_middleware.links.request_id import RequestId
from bascule_middleware.links.xslt.xslt import Xslt

from tests.middleware.gateway import Gateway

CALLS = 50_000
ROUNDS = 7  # the best one is told: the others were disturbed

# What nginx/snippets/forwarded.conf adds to a browser's request.
NGINX = {
    "HTTP_X_REQUEST_ID": "04a387772f01c0785ca97a62d6fbe6a4",
    "HTTP_X_FORWARDED_FOR": "192.0.2.1",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "shop.example",
    "HTTP_X_FORWARDED_PORT": "443",
}

# Limits that admit all that is measured.
ONE_LIMIT = ["1000000/second"]
TWO_LIMITS = [*ONE_LIMIT, "1000000/hour per path"]


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def start_response(status: str, fields: Any, exc_info: Any = None) -> None:
    pass


def microseconds(call: Callable[[], Any]) -> float:
    return min(timeit.repeat(call, number=CALLS, repeat=ROUNDS)) / CALLS * 1e6


def main() -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        measure(file.name)


def measure(table: str) -> None:
    """Print all figures. `table`: an empty file in memory, for what workers share."""
    mounts = {f"/forms/{form}": "app.hello:application" for form in ("class", "instance", "write")}
    dispatch = Dispatch(application, mounts=mounts)
    chain = RequestId(Exceptions(ProxyHeaders(dispatch)))
    for title, fields in (("behind nginx", NGINX), ("without a proxy", {})):
        environ = Gateway(application, **fields).environ
        bare = microseconds(lambda environ=environ: application(dict(environ), start_response))
        print(f"{title}:")
        for name, link in (
            ("request_id", RequestId(application)),
            ("exceptions", Exceptions(application)),
            ("proxy_headers", ProxyHeaders(application)),
            ("dispatch", dispatch),
            ("allowlist", Allowlist(application, rules=["deny 203.0.113.0/24"])),
            ("xslt, elsewhere", Xslt(application, stylesheets=Path(), under=["/catalogue"])),
            ("ratelimit", RateLimit(application, limits=ONE_LIMIT, table=table)),
            ("  two limits", RateLimit(application, limits=TWO_LIMITS, table=table)),
            ("all four", chain),
        ):
            cost = microseconds(
                lambda link=link, environ=environ: link(dict(environ), start_response)
            )
            print(f"  {name:16}{cost - bare:6.2f} µs")
    clients = itertools.count(0x08000000)
    environ = Gateway(application, **NGINX).environ

    def new_client(link: Any) -> None:
        address = str(IPv4Address(next(clients)))
        link(environ | {"HTTP_X_FORWARDED_FOR": address}, start_response)

    bare = microseconds(lambda: new_client(application))
    cost = microseconds(lambda: new_client(chain))
    print(f"behind nginx, each time a new client:\n  {'all four':14}{cost - bare:6.2f} µs")


if __name__ == "__main__":
    main()
