"""The file format: an inverse with 48 bytes of its own, and a named refusal for whatever is not a whole file."""

import io
import struct
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.coding.container import (
    FORMAT_VERSION,
    MAX_PIXELS,
    MAX_TOKENS,
    OVERHEAD,
    Container,
    _check,
    pack,
    read_container,
    unpack,
)
from workbench.coding.entropy import NUMBERS
from workbench.errors import ContainerError, InputError

GOOD = Container(
    entropy="fixed", model="photo-leech", model_hash=b"weights!", codebook_hash=b"codebook", tables_digest=bytes(4),
    width=20, height=12, depth=1, rows=2, columns=3, payload=b"payload!",
)  # fmt: skip
FILE = pack(GOOD)


def lie(offset: int, fmt: str, value: int, data: bytes = FILE) -> bytes:
    """A file with one field changed and the check made right again."""
    body = bytearray(data[:-8])
    struct.pack_into("<" + fmt, body, offset, value)
    return bytes(body) + _check(bytes(body))


class Trickle(io.RawIOBase):
    """A pipe that hands out one byte at a time."""

    def __init__(self, data):
        self.data = io.BytesIO(data)

    def read(self, count=-1):
        return self.data.read(min(count, 1))


@given(
    st.sampled_from(sorted(NUMBERS)), st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
    st.binary(min_size=8, max_size=8), st.integers(1, 65535), st.integers(1, 600), st.integers(1, 4),
    st.binary(max_size=60),
)  # fmt: skip
def test_reading_inverts_writing(entropy, model, digest, width, height, depth, payload):
    digests = {"model_hash": digest, "codebook_hash": digest[::-1]}
    tables = bytes(4) if entropy == "fixed" else digest[:4]
    container = Container(
        entropy=entropy, model=model, **digests, tables_digest=tables, width=width, height=height,
        depth=depth, rows=-(-height // 8), columns=-(-width // 8), payload=payload[: 20 * depth],
    )  # fmt: skip
    data = pack(container)
    assert unpack(data) == container
    assert len(data) == 48 + len(model) + len(container.payload)
    assert read_container(Trickle(data)) == container


def test_overhead_and_facts():
    assert OVERHEAD == 48
    assert FILE.startswith("Λ24".encode())
    assert GOOD.shape == (1, 2, 3)
    assert GOOD.tokens == 6


def test_the_layout_is_pinned():
    """A change here is a change of the format: it needs a new format version and a golden file."""
    assert FORMAT_VERSION == 1
    assert FILE.hex(" ", 8) == (
        "ce9b32 340100010b776569 6768747321636f64 65626f6f6b000000 0014000c00020003 000800000070686f "
        "746f2d6c65656368 7061796c6f616421 0d6ed05784183aab"
    )


@pytest.mark.parametrize("length", range(len(FILE)))
def test_a_file_cut_anywhere_is_refused(length):
    with pytest.raises(ContainerError, match=r"is empty|is cut off"):
        unpack(FILE[:length])


@pytest.mark.parametrize("tail", [b"\0", b"x", FILE, bytes(10_000)])
def test_a_file_that_goes_on_is_refused(tail):
    with pytest.raises(ContainerError, match="goes on after its end"):
        unpack(FILE + tail)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x00", r"no .leech file: it starts with 00"),
        (b"\xce\x9b25" + FILE[4:], r"no .leech file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), r"no .leech file"),
        (lie(4, "B", 2), "format version 2, this version of the workbench reads 1: update it"),
        (lie(4, "B", 0), "format version 0"),
        (lie(5, "B", 200), "entropy model 200, this version knows 0 to 2"),
        (lie(6, "B", 0), "the depth is 0"),
        (lie(7, "B", 0), r"is cut off|goes on"),
        (lie(7, "B", 255), "is cut off"),
        (lie(24, "I", 1), "has no tables, but the file names some"),
        (lie(28, "H", 0), "the width is 0"),
        (lie(30, "H", 0), "the height is 0"),
        (lie(28, "I", 0xFFFFFFFF), "65535×65535 = 4,294,836,225 pixels, at most 40,000,000"),
        (lie(32, "H", 0), "the number of rows is 0"),
        (lie(34, "H", 0), "the number of columns is 0"),
        (lie(32, "I", 0xFFFFFFFF), "4,294,836,225 tokens are claimed"),
        (lie(32, "H", 65535), "tokens are claimed for a picture of 20×12 pixels, at most 4,336"),
        (lie(36, "I", 0), "goes on after its end"),
        (lie(36, "I", 7), "goes on after its end"),
        (lie(36, "I", 9), "is cut off"),
        (lie(36, "I", 2**31), "payload of 2,147,483,648 bytes is too long for 6 tokens"),
        (lie(36, "I", 2**32 - 1), "is too long for 6 tokens"),
        (lie(40, "B", ord("/")), "the model's name is '/hoto-leech'"),
        (lie(40, "B", 0xFF), "the model's name is"),
        (lie(40, "B", 0), "the model's name is"),
    ],
)
def test_a_file_that_lies_is_refused_by_name_although_its_check_is_right(data, message):
    with pytest.raises(ContainerError, match=message):
        unpack(data)


def test_tokens_are_capped_although_the_picture_would_allow_more():
    data = lie(28, "H", 6000, lie(30, "H", 6000, lie(32, "H", 3000, lie(34, "H", 3000))))
    with pytest.raises(ContainerError, match=f"9,000,000 tokens .* at most {MAX_TOKENS:,}"):
        unpack(data)


def test_the_caller_may_lower_the_cap():
    assert unpack(FILE, max_pixels=240) == GOOD
    with pytest.raises(ContainerError, match="20×12 = 240 pixels, at most 239"):
        unpack(FILE, max_pixels=239)
    assert MAX_PIXELS == 40_000_000


def test_nothing_is_allocated_for_a_claim():
    """The largest claims that the header can make, in a short file, cost no memory; nor does an endless stream."""

    class Endless(io.RawIOBase):
        given = 0

        def read(self, count=-1):
            start, Endless.given = Endless.given, Endless.given + count
            return (FILE + bytes(count))[start : start + count] if start < len(FILE) else bytes(count)

    claims = lie(28, "H", 6000, lie(30, "H", 6000, lie(32, "H", 2000, lie(34, "H", 2000, lie(36, "I", 2**24)))))
    tracemalloc.start()
    with pytest.raises(ContainerError, match="is cut off"):
        unpack(claims)
    with pytest.raises(ContainerError, match="goes on after its end"):
        read_container(Endless())
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()
    assert Endless.given < 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "../../etc/passwd"}, "the model's name is"),
        ({"model": ""}, "the model's name is"),
        ({"model": "a" * 65}, "the model's name is"),
        ({"model": "Λ"}, "the model's name is"),
        ({"entropy": "contxt"}, "did you mean 'context'"),
        ({"width": 70_000}, "the width is 70000"),
        ({"height": 0}, "the height is 0"),
        ({"rows": 5000}, "tokens are claimed"),
        ({"depth": 256}, "cannot be written"),
        ({"model_hash": b"short"}, "the model hash has 8 bytes, got 5"),
        ({"codebook_hash": b"much too long"}, "the codebook hash has 8 bytes, got 13"),
        ({"tables_digest": b""}, "the digest of the tables has 4 bytes, got 0"),
        ({"payload": bytes(1000)}, "payload of 1,000 bytes is too long"),
    ],
)
def test_what_could_not_be_read_is_not_written(change, message):
    with pytest.raises(InputError, match=message):
        pack(replace(GOOD, **change))


def test_every_flipped_bit_is_refused():
    for at in range(8 * len(FILE)):
        data = bytearray(FILE)
        data[at // 8] ^= 1 << at % 8
        with pytest.raises(ContainerError):
            unpack(bytes(data))


def test_random_bytes_are_refused():
    rng = np.random.default_rng(3)
    for length in range(200):
        with pytest.raises(ContainerError):
            unpack(FILE[:4] + b"\1" + rng.bytes(length))
