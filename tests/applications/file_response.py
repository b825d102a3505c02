"""wsgi.file_wrapper with real files and with objects that only look like files.

/file            a real file, no length
/file-length     the same with its length
/file-offset     a real file whose position is 1000
/file-part       a real file and a Content-Length of its first 100 bytes
/file-short      a real file and a Content-Length of more than it has
/file-block-size a real file and a block size
/empty-file      a real file of no bytes
/memory          a BytesIO, no length
/memory-length   a BytesIO with its length
/pipe            a real descriptor that sendfile cannot serve
/no-close        an object with read() and nothing else
"""

from __future__ import annotations

import io
import os
import tempfile

CONTENT = bytes(range(256)) * 1024  # 256 KiB: more than a socket's first send takes


def real_file(content=CONTENT):
    """Return an open file without a name that has `content`."""
    file = tempfile.TemporaryFile()  # the server closes it  # noqa: SIM115
    file.write(content)
    file.seek(0)
    return file


def pipe():
    """Return the reading end of a pipe that has 12 bytes in it and ends."""
    reading, writing = os.pipe()
    os.write(writing, b"from a pipe\n")
    os.close(writing)
    return os.fdopen(reading, "rb")


class OnlyRead:
    """The least that file_wrapper accepts."""

    def __init__(self, content):
        self._file = io.BytesIO(content)

    def read(self, size):
        """Return at most `size` bytes."""
        return self._file.read(size)


LENGTHS = {
    "/file-length": str(len(CONTENT)),
    "/file-part": "100",
    "/file-short": str(len(CONTENT) + 1000),
    "/memory-length": str(len(CONTENT)),
}


def application(environ, start_response):
    """Answer with a wrapped file."""
    path = environ["PATH_INFO"]
    fields = [("X-Application", "file_response"), ("Content-Type", "application/octet-stream")]
    if path in LENGTHS:
        fields.append(("Content-Length", LENGTHS[path]))
    start_response("200 OK", fields)
    wrap = environ["wsgi.file_wrapper"]
    if path.startswith("/memory"):
        return wrap(io.BytesIO(CONTENT))
    if path == "/pipe":
        return wrap(pipe())
    if path == "/no-close":
        return wrap(OnlyRead(b"only read\n"), 4)
    file = real_file(b"" if path == "/empty-file" else CONTENT)
    if path == "/file-offset":
        file.seek(1000)
    return wrap(file, 4096) if path == "/file-block-size" else wrap(file)
