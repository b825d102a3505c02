"""``tests/bench/run``: the server beside its peers, measured alike; docs/bench/README.md says how."""
