"""PEP 3333: from a message to the environ, the call, and its answer."""
