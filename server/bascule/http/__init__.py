"""Bytes to messages and back (RFC 9110, RFC 9112): no sockets, no clock, no threads."""
