"""The wire policy of docs/http.md, read without a socket."""
