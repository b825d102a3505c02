"""Requests as their client saw them: nginx's lines; the workers' where nginx has none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from ops.log_reader.record import Record, is_request, parsed
from ops.log_reader.selection import Selection

# nginx's line in the order of nginx/snippets/log_json.conf. Reading it so takes a third of the time
# that json.loads takes; a line that has an escape, or any other order, is left to json.
_NGINX: Final = re.compile(
    r'\{"time":"([^"]{24})","level":"info","event":"request","worker":"nginx",'
    r'"request_id":"([^"]*)","connection":\d+,"remote_addr":"([^"]*)","method":"([^"\\]*)",'
    r'"target":"([^"\\]*)","protocol":"[^"]*","host":"[^"\\]*","status":(\d+),"bytes":(\d+),'
    r'"request_bytes":\d+,"duration_ms":(\d+),"upstream":"([^"]*)","upstream_status":"[^"]*",'
    r'"upstream_connect_time":"[^"]*","upstream_header_time":"[^"]*","upstream_time":"[^"]*",'
    r'"referer":"[^"\\]*","user_agent":"([^"\\]*)"\}'
)
_IS_REQUEST: Final = re.compile(rb'"event": ?"request"').search
_BY_NGINX: Final = b'"worker":"nginx"'


class Requests:
    """Reads the requests of a log.

    Attributes:
        by_nginx: whether they are nginx's, as soon as one has been read.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._searches = [needle.search for needle in selection.needles()]
        self.by_nginx = False

    def read(self, lines: Iterable[bytes]) -> Iterator[Record]:
        """Yield each request that is asked for.

        With nginx's first line `by_nginx` becomes true; requests from before are to be forgotten.
        """
        for raw in lines:
            if _BY_NGINX in raw:
                self.by_nginx = True
            elif self.by_nginx or not _IS_REQUEST(raw):
                continue
            if not all(search(raw) for search in self._searches):
                continue
            record = request_of(raw)
            if record and self._selection.has(record):
                yield record


def request_of(raw: bytes) -> Record | None:
    """The record of a line about a request; None where it is no such line."""
    text = raw.decode("utf-8", "replace")
    if match := _NGINX.fullmatch(text):
        time, request_id, address, method, target, status, size, duration, upstream, agent = (
            match.groups()
        )
        return {
            "time": time,
            "event": "request",
            "worker": "nginx",
            "request_id": request_id,
            "remote_addr": address,
            "method": method,
            "target": target,
            "status": int(status),
            "bytes": int(size),
            "duration_ms": int(duration),
            "upstream": upstream,
            "user_agent": agent,
        }
    record = parsed(raw)
    return record if is_request(record) else None
