"""The links of the chain: a file or a folder each."""
