"""What a picture file says of its samples and colours and Pillow leaves unread.

Each reader takes a seekable file of the kind in question and gives nothing where the file says nothing or is damaged:
whether the picture itself can be read is for its decoder to say.
"""

__all__ = ["avif_code_points", "bmp_profile", "png_chunks"]

import io
import struct
from typing import IO

_PNG_START = 8  # bytes of signature
_MAX_CHUNK = 1024  # bytes of a chunk that is kept; those looked for are smaller
_MAX_CHUNKS = 10_000
_AVIF_HEADER = 1 << 16  # bytes that are searched for the colour box, which stands before the pixels
_BMP_V5 = 124  # bytes of the header that may name a profile
_MAX_PROFILE = 1 << 24


def png_chunks(file: IO[bytes]) -> dict[bytes, bytes]:
    """The small chunks of a PNG file before its pixels, by name."""
    chunks: dict[bytes, bytes] = {}
    file.seek(_PNG_START)
    for _ in range(_MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            break
        size, name = struct.unpack(">I4s", head)
        if name == b"IDAT":
            break
        if size <= _MAX_CHUNK:
            chunks.setdefault(name, file.read(size))
            size = 0
        file.seek(size + 4, io.SEEK_CUR)  # the rest, and the checksum, which Pillow has looked at
    return chunks


def avif_code_points(file: IO[bytes]) -> tuple[int, int] | None:
    """Primaries and transfer of an AVIF file, as code points of ITU-T H.273, from its colour box of type `nclx`."""
    file.seek(0)
    header = file.read(_AVIF_HEADER)
    place = header.find(b"colrnclx")
    if place < 0 or place + 12 > len(header):
        return None
    return struct.unpack_from(">HH", header, place + 8)


def bmp_profile(file: IO[bytes]) -> bytes:
    """The colour profile embedded in a BMP file with a header of version 5; empty where there is none."""
    file.seek(14)
    header = file.read(_BMP_V5)
    if len(header) < _BMP_V5 or struct.unpack_from("<I", header) != (_BMP_V5,) or header[56:60] != b"DEBM":
        return b""
    offset, size = struct.unpack_from("<II", header, 112)
    file.seek(14 + offset)
    return file.read(min(size, _MAX_PROFILE))
