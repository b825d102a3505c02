"""Bascule's WSGI server: HTTP/1.1 in pure Python, standard library only.

Layers, imports strictly downward (docs/server.md):

0. ``errors``, ``config``, ``grammar``, ``event_log``, ``http_date``, ``memo``, ``stacks``
1. ``request``, ``response`` (no sockets, no clock, no threads), ``body``, and ``load``
2. ``environ``, ``gateway``, ``cgi``, ``access_log``, ``counters``, ``metrics``, ``overload``,
   ``recent_errors`` (PEP 3333, never the wire)
3. ``listen``, ``loop``, ``crew``, ``outgoing`` (sockets and threads, never HTTP)
4. ``service`` (what connections share), ``connection`` (one client), ``counted``,
   ``accept``
5. ``worker``, ``status``, ``slow_calls``, ``__main__`` (the process)
"""

from __future__ import annotations

__version__ = "0.1.0"
