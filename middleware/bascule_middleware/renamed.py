"""What Bascule 0.1 called the modules of this package, for messages only; to be removed in 0.3.

A project may have a package ``middleware`` of its own. So nothing stands in for the old one: where
a module is not there, the message says what it is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SUCCESSORS: Final[Mapping[str, str]] = {
    "middleware": "bascule_middleware",
    "middleware.allowlist": "bascule_middleware.links.allowlist.allowlist",
    "middleware.chain": "bascule_middleware.chain",
    "middleware.dispatch": "bascule_middleware.links.dispatch",
    "middleware.exceptions": "bascule_middleware.links.exceptions",
    "middleware.forward": "bascule_middleware.links.forward.forward",
    "middleware.proxy_headers": "bascule_middleware.links.proxy_headers",
    "middleware.ratelimit": "bascule_middleware.links.ratelimit.ratelimit",
    "middleware.request_id": "bascule_middleware.links.request_id",
    "middleware.settings": "bascule_middleware.settings",
    "middleware.xslt": "bascule_middleware.links.xslt.xslt",
}


def successor(asked: str, missing: str) -> str:
    """Return what a module is called now, as the rest of a message; empty where it is none of 0.1.

    Args:
        asked: the module that was to be imported.
        missing: what cannot be found: that, a package that it is in, or something that it imports.
    """
    sought = (asked, missing) if asked.startswith(f"{missing}.") else (missing,)
    for old in sought:
        if new := SUCCESSORS.get(old):
            return f"; {old} of Bascule 0.1 is now {new} (docs/upgrading.md)"
    return ""
