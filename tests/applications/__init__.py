"""Small WSGI applications, one behaviour a file, that the tests run under real servers.

Every answer that an application makes itself carries the field ``X-Application``, so that a test
can tell it from an answer that the server made. Where one file has several variants of a
behaviour, ``PATH_INFO`` chooses between them.
"""
