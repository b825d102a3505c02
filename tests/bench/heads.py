"""Request heads that clients send: what a usual browser sends, and what nginx makes of it."""

from __future__ import annotations

from typing import Final

# A browser's own fields, without Host and the hop-by-hop ones.
BROWSER: Final = (
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ),
    (
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("Accept-Language", "en-GB,en;q=0.7,de;q=0.3"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Cookie", "session=b8c1f0d2a7e94c3f9a52e6d1c07b3f48; theme=dark"),
    ("Upgrade-Insecure-Requests", "1"),
)
HOST: Final = "www.example.org"
TARGET: Final = "/alice"
# Where the id stands that nginx makes for every request: 32 hexadecimal digits.
UNIQUE: Final = "\0"


def proxied() -> str:
    """Return the head that our nginx forwards to a worker, `UNIQUE` in place of the id.

    The order is nginx's: what `nginx/snippets/forwarded.conf` sets, then the client's fields.
    A test compares it with what a real nginx sends.
    """
    fields = (
        ("Host", HOST),
        ("X-Request-ID", UNIQUE),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", HOST),
        ("X-Forwarded-Port", "80"),
        *BROWSER,
    )
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"GET {TARGET} HTTP/1.1\r\n{lines}\r\n"
