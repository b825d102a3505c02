"""The server's modules, each through its public names."""
