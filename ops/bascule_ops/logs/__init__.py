"""Reads the stack's log and answers questions from it (docs/logs.md).

Standard library only, and nothing of the other packages: ops/logs, requests, slow and report run it
with whatever Python 3.11 or newer there is. A record is one line as a mapping, whoever wrote it.
"""
