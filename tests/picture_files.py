"""Picture files byte by byte, for what Pillow does not write: chunks of PNG, 16-bit colour, profiles made by hand."""

import struct
import zlib

import numpy as np

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # of PNG, by the number of channels


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(samples, *, before=b"", interlaced=False):
    """A PNG of samples (H, W, C), uint8 or uint16, with these chunks before its pixels."""
    height, width, channels = samples.shape
    deep = samples.dtype == np.uint16
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [samples[top::down, left::right] for top, left, down, right in passes]
    rows = b"".join(
        b"\0" + row.astype(">u2" if deep else "u1").tobytes() for part in parts if part.size for row in part
    )
    head = struct.pack(">IIBBBBB", width, height, 16 if deep else 8, COLOUR_TYPES[channels], 0, 0, interlaced)
    pixels = [before, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(pixels)


def gamma(value):
    return chunk(b"gAMA", struct.pack(">I", round(value * 1e5)))


def chromaticities(*values):
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 1e5) for value in values)))


def code_points(*values):
    return chunk(b"cICP", bytes(values))


def embedded(profile):
    return chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile))


def tiff(samples, order="<", *, photometric=2, extra=None, planes=False, packed=False, bits=16, more=()):
    """A TIFF of uint16 samples (H, W, C), in one strip or one for each channel, with further tags (number, value)."""
    height, width, channels = samples.shape
    layers = [samples[:, :, band] for band in range(channels)] if planes else [samples]
    strips = [layer.astype(f"{order}u2").tobytes() for layer in layers]
    strips = [zlib.compress(strip) for strip in strips] if packed else strips
    tags = {
        256: [width], 257: [height], 258: [bits] * channels, 259: [8 if packed else 1], 262: [photometric],
        273: [], 277: [channels], 278: [height], 279: [len(strip) for strip in strips], 284: [2 if planes else 1],
        **({} if extra is None else {338: [extra]}), **{number: [value] for number, value in more},
    }  # fmt: skip
    place, body = 8, b""
    for strip in strips:
        tags[273].append(place + len(body))
        body += strip + bytes(len(strip) % 2)
    entries = b""
    for number, values in sorted(tags.items()):
        packed_values = struct.pack(f"{order}{len(values)}I", *values)
        where = packed_values
        if len(values) > 1:
            where = struct.pack(f"{order}I", place + len(body))
            body += packed_values
        entries += struct.pack(f"{order}HHI", number, 4, len(values)) + where
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", place + len(body))
    return head + body + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


def bmp(pixels, profile):
    """A BMP with a header of version 5 and an embedded profile."""
    height, width, _ = pixels.shape
    rows = pixels[::-1, :, ::-1].tobytes()
    head = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 24, 0, len(rows), 2835, 2835, 0, 0)
    head += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0) + b"DEBM" + bytes(48)
    head += struct.pack("<IIII", 4, 124 + len(rows), len(profile), 0)
    return b"BM" + struct.pack("<IHHI", 138 + len(rows) + len(profile), 0, 0, 138) + head + rows + profile


def grey_profile(exponent):
    """An ICC profile of grey levels: light = level^exponent."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(exponent * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1.0, 0.8249)))
    tags = {b"wtpt": white, b"kTRC": curve}
    start, table, content = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, start + len(content), len(data))
        content += data
    head = struct.pack(">I4xI4s4s4s", start + len(content), 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white[8:]
    return head.ljust(128, b"\0") + table + content
