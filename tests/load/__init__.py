"""A load that accounts for every request: what was sent, what came back, and was it right."""
