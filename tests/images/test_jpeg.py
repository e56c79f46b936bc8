"""A JPEG without its end mark is whole or is refused: never filled up in silence."""

import io

import numpy as np
import pytest
from PIL import Image

from workbench.errors import ImageError
from workbench.images.files import read_image, read_mask, read_picture

RNG = np.random.default_rng(1)
NOISE = Image.fromarray(RNG.integers(0, 256, (50, 70, 3), dtype=np.uint8))
KINDS = [
    {},
    {"progressive": True},
    {"restart_marker_blocks": 1},
    {"restart_marker_rows": 1},
    {"quality": 100, "subsampling": 0},
    {"optimize": True},
]


def encoded(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_without_its_end_mark_it_is_read_with_a_note(mode, options, tmp_path):
    content = encoded(NOISE.convert(mode), **options)
    whole = read_picture(content)
    assert not whole.notes
    for part in (content[:-1], content[:-2]):
        seen = read_picture(part)
        assert (seen.pixels == whole.pixels).all()
        assert len(seen.notes) == 1
        assert "end mark" in seen.notes[0]
    path = tmp_path / "a.jpg"
    path.write_bytes(content[:-2])
    assert (read_image(path) == whole.pixels).all()
    assert (read_mask(path) == read_mask(content)).all()


@pytest.mark.parametrize("options", KINDS)
def test_cut_anywhere_it_is_refused_by_name(options, tmp_path):
    content = encoded(NOISE, **options)
    path = tmp_path / "cut.jpg"
    for cut in (4, 5, 9, 17, *range(20, 400, 31), len(content) // 2):
        path.write_bytes(content[:-cut])
        with pytest.raises(ImageError, match=r"cut\.jpg: the file is cut short or damaged"):
            read_image(path)


def test_a_progressive_file_cut_between_two_scans_is_refused():
    content = encoded(NOISE, progressive=True)
    first = content.index(b"\xff\xda") + 2
    ends = [place for place in range(first, len(content)) if content[place : place + 2] in (b"\xff\xda", b"\xff\xc4")]
    assert len(ends) > 8
    for place in ends:
        with pytest.raises(ImageError, match="cut short"):
            read_image(content[:place])


def test_a_flat_file_cut_at_a_restart_is_refused():
    content = encoded(Image.new("RGB", (64, 64), (120, 30, 200)), restart_marker_blocks=1)
    place = content.rindex(b"\xff\xd4")
    with pytest.raises(ImageError, match="cut short"):
        read_image(content[:place])


def test_what_follows_the_end_mark_does_not_matter():
    content = encoded(NOISE)
    for rest in (bytes(100), b"\xff", b"PK\3\4", content):
        seen = read_picture(content + rest)
        assert (seen.pixels == read_image(content)).all()
        assert not seen.notes
