"""JPEG files without their end mark (EOI): whole otherwise, or cut?

libjpeg fills what is missing in silence, so that a decoder alone cannot tell. Three properties together do:

- the scans that are there give every coefficient of every component to its last bit, which those of a progressive file
  cut between two scans do not;
- what depends on missing bits changes with what is put in their place: the picture must be the same with nothing after
  the last byte and with several patterns of bits;
- the same holds where intervals of restarts are missing, for the patterns hold the next restart mark too.
"""

__all__ = ["END", "ended", "without_end"]

import io
import re
import struct
from dataclasses import dataclass
from typing import IO

import numpy as np
from PIL import Image

END = b"\xff\xd9"
_MARK = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # what ends a scan: neither a stuffed byte nor a restart
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, with Huffman codes
_SCAN = 0xDA
_PATTERNS = (0x55, 0xAA, 0x00, 0x33, 0xCC, 0x0F, 0xF0, 0x69, 0x96)
_FILLING = 1024  # bytes, more than the blocks of one unit take, so that those outside the picture do not use them up
_MAX_BYTES = 1 << 29


def without_end(file: IO[bytes]) -> bytes | None:
    """The content of a JPEG file whose last scan runs to the end of the file; None for any other."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(size - len(END), 0))
    if file.read() == END or size > _MAX_BYTES:
        return None
    file.seek(0)
    content = file.read().removesuffix(END[:1])  # half of the mark
    return None if _last_scan(content) is None else content


def ended(content: bytes) -> bytes | None:
    """A file without its end mark, as :func:`without_end` gives it, with that mark; None where it lacks more.

    Raises:
        Exception: what Pillow lets out, where the file is damaged.
    """
    last = _last_scan(content)
    if last is None or last.unsent:
        return None
    restart = bytes([0xFF, 0xD0 + len(_RESTART.findall(content, last.start)) % 8])
    whole = _pixels(content + END)
    for pattern in _PATTERNS:
        filling = bytes([pattern]) * _FILLING
        if not np.array_equal(whole, _pixels(content + filling + restart + filling + END)):
            return None
    return content + END


def _pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        image.load()
        return np.asarray(image)


@dataclass(frozen=True)
class _Scan:
    """The last scan of a file.

    Attributes:
        start: Where its data begin.
        unsent: Whether some coefficient lacks bits that neither this scan nor those before it hold.
    """

    start: int
    unsent: bool


def _last_scan(content: bytes) -> _Scan | None:
    """The last scan, where it runs to the end of the file."""
    unsent: dict[int, set[int]] = {}  # of each component, the coefficients whose last bit was not sent
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        mark = content[place + 1]
        if mark == 0xFF:  # filling
            place += 1
            continue
        if mark == END[1]:
            return None
        (size,) = struct.unpack_from(">H", content, place + 2)
        body = content[place + 4 : place + 2 + size]
        if len(body) != size - 2:
            return None
        place += 2 + size
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            if mark not in _FRAMES or len(body) < 6 or len(body) != 6 + 3 * body[5]:
                return None
            unsent = {body[6 + 3 * i]: set(range(64)) for i in range(body[5])}
        elif mark == _SCAN:
            if not body or len(body) != 4 + 2 * body[0]:
                return None
            first, last, bits = body[-3:]
            if bits & 15 == 0:  # down to the last bit
                for component in body[1:-3:2]:
                    unsent.get(component, set()).difference_update(range(first, last + 1))
            end = _MARK.search(content, place)
            if end is None:
                return _Scan(place, not unsent or any(unsent.values()))
            place = end.start()
    return None
