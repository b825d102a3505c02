"""Reads the stack's log and answers questions from it (docs/logs.md).

Standard library only: in the checkout any Python 3.11 or newer reads a log.
A record is one line as a mapping, whoever wrote it.
"""
