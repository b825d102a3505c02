"""Requests as their client saw them: nginx's lines; the workers' where nginx has none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from bascule_ops.logs import nginx_access
from bascule_ops.logs.record import Record, is_request, parsed
from bascule_ops.logs.selection import Selection

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
        searches, selection = self._searches, self._selection
        for raw in lines:
            match = nginx_access.matched(raw)
            if match or _BY_NGINX in raw:
                self.by_nginx = True
            elif self.by_nginx or not _IS_REQUEST(raw):
                continue
            if searches and not all(search(raw) for search in searches):
                continue
            record = nginx_access.record(match) if match else parsed(raw)
            if (match or is_request(record)) and selection.has(record):
                yield record
