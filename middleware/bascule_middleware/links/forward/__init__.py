"""Forwards requests to other servers, balanced."""
