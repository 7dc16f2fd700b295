"""Content encodings, for bytes that are read along before their client unpacks them."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..events import Observation
from ..providers import Answer
from .readers import Around
from .readers import Reader

#: Takes the next bytes of a body and gives what they unpack to.
Decode = Callable[[bytes], bytes]


class Unpacking(Around):
    """Reads the bytes of a transport, which still have their content encoding.

    :param decode: a decoder of the HTTP package: httpx's gives bytes, httpx2's pieces of at most 1 MiB.
    """

    def __init__(self, inner: Reader, decode: Callable[[bytes], bytes | Iterable[bytes]]) -> None:
        super().__init__(inner)
        self._decode = decode
        self._broken: str | None = None

    def feed(self, chunk: bytes) -> bool:
        try:
            return any([self._inner.feed(piece) for piece in _pieces(self._decode(chunk))])
        except Exception as error:
            self._broken = type(error).__name__  # the host's own decoder is about to say the same
            return True

    def complete(self) -> Answer | Observation:
        if self._broken is not None:
            return replace(self._inner.partial(), status="error", error_type=self._broken)
        return super().complete()

    def before_end(self, chunk: bytes) -> bytes:
        return chunk


def unpacking(reader: Reader, response: Any) -> Reader:
    """``reader`` for the bytes of a response of httpx or httpx2 as they come over the wire."""
    if not is_packed(response):
        return reader
    # The response keeps its decoder, and a decoder its place in the body: ours comes from a second response.
    twin = type(response)(200, headers=response.headers, stream=response.stream)
    return Unpacking(reader, twin._get_content_decoder().decode)


def is_packed(response: Any) -> bool:
    """Whether the body has a content encoding."""
    encoding = str(response.headers.get("content-encoding", "identity"))
    return encoding.strip().lower() != "identity"


def _pieces(decoded: bytes | Iterable[bytes]) -> Iterable[bytes]:
    return (decoded,) if isinstance(decoded, bytes) else decoded


def unpacked(reader: Reader, encoding: str) -> Reader:
    """``reader`` behind a decoder of this ``Content-Encoding``.

    :raises LookupError: nothing here can unpack it, and neither can the host.
    """
    for name in [part.strip().lower() for part in encoding.split(",")]:  # in the order in which they packed
        if name not in ("", "identity"):
            reader = Unpacking(reader, _decoder(name))
    return reader


def _decoder(name: str) -> Decode:
    if name in ("gzip", "x-gzip"):
        return zlib.decompressobj(wbits=31).decompress
    if name == "deflate":
        return _Deflate().decompress
    if name == "br":
        return _brotli()
    if name == "zstd":
        return _zstandard()
    raise LookupError("an unknown content encoding")


class _Deflate:
    """The word means zlib's format; some servers send the bare one. The first two bytes tell."""

    def __init__(self) -> None:
        self._head = b""
        self._decoder: Any = None

    def decompress(self, chunk: bytes) -> bytes:
        if self._decoder is None:
            chunk = self._head = self._head + chunk
            if len(chunk) < 2:
                return b""
            is_zlib = chunk[0] & 15 == 8 and int.from_bytes(chunk[:2], "big") % 31 == 0
            self._decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        found: bytes = self._decoder.decompress(chunk)
        return found


def _brotli() -> Decode:
    decoder = _first_module("brotli", "brotlicffi").Decompressor()
    found: Decode = getattr(decoder, "decompress", None) or decoder.process
    return found


def _zstandard() -> Decode:
    module = _first_module("compression.zstd", "backports.zstd", "zstandard")
    found: Decode = (
        module.ZstdDecompressor().decompress
        if hasattr(module, "ZstdFile")
        else module.ZstdDecompressor().decompressobj().decompress
    )
    return found


def _first_module(*names: str) -> Any:
    for name in names:
        with suppress(ImportError):
            return importlib.import_module(name)
    raise LookupError("a content encoding that no installed package unpacks")
