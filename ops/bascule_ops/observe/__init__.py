"""What an operator sees of a running stack: one snapshot, and the ways to show it.

`snapshot.take` asks every part and judges what it hears. `ops/status`, `ops/running` and
`ops/top` show it in a terminal; `application` serves it to browsers and to Prometheus.
"""
