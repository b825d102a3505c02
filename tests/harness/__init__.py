"""What all tests and the developers' tools share; the standard library is enough for it.

waiting     waits for a fact
ports       a free port, and a socket that listens
processes   starts a process, waits for what it says or does, ends it with all that is below it
client      sends bytes on a connection and reads responses strictly
fetch       sends one usual request and returns the response
log         reads a log whose lines are JSON
servers     our server and the baseline, before an application of the tests
nginx       nginx before upstreams that a test scripts
tree        a copy of the checkout, in which a test runs a stack
"""
