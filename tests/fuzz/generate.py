"""Streams of requests, from valid to hostile: a grammar with a mutator over its tokens.

Plain ``random.Random``: the same seed makes the same streams, many thousands a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, TypeVar

Item = TypeVar("Item")

# Follows most streams: where a parser ends the request before it elsewhere, this shows it.
SENTINEL: Final = b"GET /after HTTP/1.1\r\nHost: after\r\n\r\n"

METHODS: Final = (
    *(b"GET", b"POST", b"PUT", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH", b"GET", b"POST", b"POST"),
    *(b"get", b"FOO", b"M-SEARCH", b"QUERY", b"PRI", b"CONNECT", b"TRACE", b"A!#$%&'*+.^_`|~9"),
)
TARGETS: Final = (
    *(
        b"/",
        b"/",
        b"/a/b?c=d",
        b"*",
        b"/%00%zz%2e",
        b"//a/b",
        b"/../a",
        b"/a?b?c",
        b"/a#b",
        b"/\xff",
    ),
    *(b"http://a/", b"http://a", b"HTTPS://a:443/b?c", b"http://b/", b"http://u@a/", b"http:///"),
    *(b"ftp://a/", b"a:80", b"a", b'/\\|"<>^`{}', b"http://a?b", b"http://[::1]/", b"?", b"/a;b,c"),
)
VERSIONS: Final = (
    *(b"HTTP/1.1",) * 8,
    *(b"HTTP/1.0", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"HTTP/1.10"),
    *(b"HTTP/01.1", b"HTTP/1,1", b"HTTP/1", b"ICE/1.0", b"RTSP/1.0", b""),
)
HOSTS: Final = (b"a",) * 6 + (
    b"a:80",
    b"[::1]",
    b"b",
    b"",
    b"a,b",
    b"a b",
    b"u@a",
    b"A",
    b"a/b",
    b"%61",
)
LENGTHS: Final = (
    *(b"0", b"1", b"3", b"5", b"10", b"99", b"00", b"05", b"+5", b"-1", b"0x5", b"5,5", b"5, 5"),
    *(b"5,", b"5 5", b"5.0", b"1e1", b"5_0", b"", b"\xb2", b"5\x0b", b"\x005", b"5;a", b'"5"'),
    *(b"18446744073709551621", b"4294967301", b"9" * 18, b"9" * 19, b"0" * 40 + b"5", b"five"),
)
CODINGS: Final = (
    *(b"chunked",) * 8,
    *(b"Chunked", b"CHUNKED", b" chunked ", b"\tchunked\t", b"gzip, chunked", b"chunked, gzip"),
    *(b"gzip", b"identity", b"", b"chunked, chunked", b"chunked,", b",chunked", b", , chunked"),
    *(b"xchunked", b"chunkedx", b"chunked;q=1", b"\x0bchunked", b"chunked\x00", b"chun ked"),
    *(b"identity, chunked", b"chunked, identity", b'"chunked"', b"deflate;a=b, chunked"),
)
CONNECTIONS: Final = (
    *(b"close", b"keep-alive", b"Close", b"keep-alive, close", b"close, keep-alive", b"x, close"),
    *(
        b"upgrade",
        b"x",
        b"",
        b",close",
        b"closed",
        b"close;",
        b"Upgrade, HTTP2-Settings",
        b"c lose",
    ),
    *(b"keep-alivex", b"close\tx", b"transfer-encoding", b"TE", b"close,", b"proxy-connection"),
)
NAMES: Final = (
    *(b"Host", b"host", b"Content-Length", b"content-length", b"Transfer-Encoding", b"Connection"),
    *(b"X-Request-ID",) * 4,
    *(b"X-A", b"x-a", b"X_A", b"Cookie", b"Expect", b"Upgrade", b"Content-Type", b"TE", b"Trailer"),
    *(
        b"Content_Length",
        b"Transfer_Encoding",
        b"Proxy-Connection",
        b"Keep-Alive",
        b"A!#$%&'*+.^`|~9",
    ),
    *(b"", b"X A", b"X-A ", b"\tX-A", b"X\x00A", b"X\xe9", b"X(A)", b"Transfer-Encodin", b"Hos"),
)
VALUES: Final = (
    *(
        b"b",
        b"",
        b"a b",
        b"a\tb",
        b"a, b",
        b'"a"',
        b"caf\xe9",
        b"\xc3\xa9",
        b"100-continue",
        b"h2c",
    ),
    *(
        b"a\x00b",
        b"a\x01b",
        b"a\x7fb",
        b"a\x0bb",
        b"\x1b[2J",
        b"a:b",
        b"a\rb",
        b"a\nb",
        b"text/plain",
    ),
    *(
        b"websocket",
        b"trailers, gzip",
        b"200-ok",
        b"x" * 300,
        b"x" * 9000,
        b" a ",
        b"\x85",
        b"\xa0",
    ),
)
SIZES: Final = (
    *(b"0", b"00", b"5", b"05", b"0x5", b"+5", b"-5", b" 5", b"5 ", b"5\t", b"", b"g", b"5g", b"A"),
    *(b"F" * 15, b"f" * 16, b"1" + b"0" * 16, b"fffffffb", b"100000005", b"5_0", b"0" * 20 + b"5"),
)
EXTENSIONS: Final = (
    *(b"",) * 8,
    *(
        b";a",
        b";a=b",
        b';a="b"',
        b';a="\\""',
        b" ; a = b",
        b";",
        b";=",
        b";a=",
        b';a="',
        b"; a",
        b";;a",
    ),
    *(
        b";a\x00",
        b";a\nb",
        b";a\rb",
        b" a",
        b";a=b c",
        b";a=\xff",
        b'; a="\xff;"',
        b"\t;a",
        b";" + b"a" * 300,
    ),
    *(b';a="b"c', b";a;b=c;d", b";a =b", b";a= b"),
)
LINE_ENDS: Final = (
    b"\n",
    b"\r",
    b"\r\r\n",
    b"\n\r",
    b"\r\n\r\n",
    b"",
    b" \r\n",
    b"\r\n ",
    b"\r\n\t",
    b"\0\r\n",
)
HOSTILE: Final = (
    *(bytes([byte]) for byte in (*range(33), 0x7F, 0x80, 0x85, 0xA0, 0xFF)),
    *(
        b"\r\n",
        b"\r\n\r\n",
        b": ",
        b":",
        b";",
        b",",
        b'"',
        b"\\",
        b"_",
        b"0\r\n\r\n",
        b"  ",
        b"#",
        b"?",
    ),
    *(
        b" HTTP/1.1",
        b"\r\n folded",
        b"\r\n\tfolded",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\xef\xbb\xbf",
    ),
    *(b"\r\nContent-Length: 5", b"\r\nTransfer-Encoding: chunked", b"\r\nHost: b", b"\r\nX_A: b"),
)
CRLF: Final = b"\r\n"


def words() -> list[bytes]:
    """Return what streams are made of, for generators of other kinds."""
    choices = (METHODS, TARGETS, VERSIONS, HOSTS, LENGTHS, CODINGS, CONNECTIONS, NAMES, VALUES)
    choices = (*choices, SIZES, EXTENSIONS, LINE_ENDS, HOSTILE)
    return sorted({word for each in choices for word in each if 0 < len(word) <= 64})


class Generator:
    """Makes streams, endlessly.

    Args:
        random: where the choices come from.
        corpus: streams to change now and then, beside those that the grammar makes.
    """

    def __init__(self, random: Random, corpus: Sequence[bytes] = ()) -> None:
        self._float = random.random
        self._corpus = corpus

    def _pick(self, items: Sequence[Item]) -> Item:
        return items[int(self._float() * len(items))]

    def _chance(self, share: float) -> bool:
        return self._float() < share

    def stream(self) -> bytes:
        """Return one to three requests, most of them changed somewhere, and what follows them."""
        chance = self._float()
        if self._corpus and chance < 0.1:
            data = self._change_bytes(self._pick(self._corpus))
        else:
            tokens = self._request()
            while self._chance(0.15):
                tokens += self._request()
            for _ in range(int(self._float() * 3)):
                self._change(tokens)
            data = b"".join(tokens)
            if chance > 0.93:
                data = self._change_bytes(data)
        return data if self._chance(0.06) else data + SENTINEL

    def _request(self) -> list[bytes]:
        """Return the tokens of a request that is valid more often than not."""
        usual = self._chance(0.85)
        method = self._pick(METHODS[:10] if usual else METHODS)
        target = self._pick(TARGETS[:3] if usual else TARGETS)
        version = self._pick(VERSIONS[:9] if usual else VERSIONS)
        tokens = [method, b" ", target, b" ", version, CRLF]
        tokens += [b"Host", b":", b" ", b"a" if usual else self._pick(HOSTS), CRLF]
        while self._chance(0.3):
            tokens += self._field()
        framing = self._float()
        if framing < 0.3:
            tokens.append(CRLF)
        elif framing < 0.6:
            tokens += self._with_length(usual)
        else:
            tokens += self._chunked(usual)
        return tokens

    def _field(self) -> list[bytes]:
        chance = self._float()
        if chance < 0.2:
            name, value = b"Connection", self._pick(CONNECTIONS)
        elif chance < 0.25:
            name, value = b"Content-Length", self._pick(LENGTHS)
        elif chance < 0.3:
            name, value = b"Transfer-Encoding", self._pick(CODINGS)
        elif chance < 0.6:
            name, value = self._pick(NAMES[:19]), self._pick(VALUES[:10])
        else:
            name, value = self._pick(NAMES), self._pick(VALUES)
        return [name, b":", b"" if self._chance(0.1) else b" ", value, CRLF]

    def _with_length(self, usual: bool) -> list[bytes]:
        body = b"hello world"[: int(self._float() * 12)]
        length = b"%d" % len(body) if usual else self._pick(LENGTHS)
        return [b"Content-Length", b":", b" ", length, CRLF, CRLF, body]

    def _chunked(self, usual: bool) -> list[bytes]:
        coding = b"chunked" if usual else self._pick(CODINGS)
        tokens = [b"Transfer-Encoding", b":", b" ", coding, CRLF, CRLF]
        while self._chance(0.5):
            data = self._pick((b"hello", b"hello", b"\r\n", b"0\r\n\r\n", b"A" * 10, b"\x00"))
            size = b"%x" % len(data) if usual else self._pick(SIZES)
            extension = b"" if usual else self._pick(EXTENSIONS)
            tokens += [size, extension, CRLF, data, CRLF]
        tokens += [b"0", self._pick(EXTENSIONS), CRLF]
        while self._chance(0.15):
            tokens += self._field()
        return [*tokens, CRLF]

    def _change(self, tokens: list[bytes]) -> None:
        """Change one token, in place."""
        at = int(self._float() * len(tokens))
        chance = self._float()
        if chance < 0.2 and CRLF in tokens[at:]:
            tokens[tokens.index(CRLF, at)] = self._pick(LINE_ENDS)
        elif chance < 0.35:
            tokens.insert(at, self._pick(HOSTILE))
        elif chance < 0.45:
            tokens[at] = self._pick(HOSTILE)
        elif chance < 0.55:
            tokens[at] += self._pick(HOSTILE)
        elif chance < 0.65:
            del tokens[at]
        elif chance < 0.7:
            tokens.insert(at, tokens[at])
        elif chance < 0.75:
            other = int(self._float() * len(tokens))
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif CRLF in tokens:
            after = tokens.index(CRLF) + 1
            tokens[after:after] = self._field()

    def _change_bytes(self, data: bytes) -> bytes:
        """Overwrite, insert, remove or repeat a few bytes anywhere."""
        for _ in range(1 + int(self._float() * 3)):
            at = int(self._float() * len(data))
            chance = self._float()
            if chance < 0.4:
                data = data[:at] + bytes([int(self._float() * 256)]) + data[at + 1 :]
            elif chance < 0.7:
                data = data[:at] + self._pick(HOSTILE) + data[at:]
            elif chance < 0.85:
                data = data[:at] + data[at + 1 + int(self._float() * 8) :]
            else:
                data = data[:at] + data[at : at + int(self._float() * 40)] + data[at:]
        return data


def cut(data: bytes, random: Random) -> list[bytes]:
    """Return the stream in a few pieces, cut anywhere."""
    size = len(data)
    edges = sorted(int(random.random() * (size + 1)) for _ in range(1 + int(random.random() * 4)))
    return [data[a:b] for a, b in zip([0, *edges], [*edges, size], strict=True)]
