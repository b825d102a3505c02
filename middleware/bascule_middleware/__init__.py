"""The middleware chain: its links, each plain PEP 3333 middleware, and the loader of chain.toml."""
