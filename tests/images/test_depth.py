"""Samples of 16 bits are read whole and rounded; a range that the file states is used."""

import struct

import numpy as np
import picture_files as raw
import pytest
from PIL import Image

from workbench.errors import InputError
from workbench.images.decode import pixels_of
from workbench.images.files import read_image, read_picture

RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 65536, (9, 13, 4), dtype=np.uint16)
DEEP[0, 0] = (0, 65535, 128, 65535)  # the ends, and a half


def rounded(samples, largest=65535):
    return np.round(samples.astype(float) * 255 / largest)


def over_white(colours, alpha):
    return (colours * alpha + 255 * (255 - alpha)) / 255


@pytest.mark.parametrize("interlaced", [False, True])
def test_png_of_every_kind_is_rounded(interlaced):
    for channels in (1, 3):
        seen = read_image(raw.png(DEEP[:, :, :channels], interlaced=interlaced))
        assert (seen == rounded(DEEP[:, :, :channels])).all()
    for samples in (DEEP, DEEP[:, :, :2]):
        wanted = over_white(rounded(samples[:, :, :-1]), rounded(samples[:, :, -1:]))
        assert np.abs(read_image(raw.png(samples, interlaced=interlaced)) - wanted).max() <= 0.51


def test_a_transparent_colour_is_compared_in_16_bits():
    near = DEEP[:, :, :3].copy()
    near[1, 1] = DEEP[0, 0, :3] ^ 1  # the same high bytes
    for channels in (1, 3):
        samples = near[:, :, :channels]
        key = raw.chunk(b"tRNS", struct.pack(f">{channels}H", *map(int, samples[0, 0])))
        wanted = rounded(samples)
        wanted[0, 0] = 255
        assert (read_image(raw.png(samples, before=key)) == wanted).all()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("planes", [False, True])
def test_tiff_of_every_kind_is_rounded(order, packed, planes):
    options = {"planes": planes, "packed": packed}
    seen = read_picture(raw.tiff(DEEP[:, :, :3], order, **options))
    assert np.abs(seen.pixels - rounded(DEEP[:, :, :3])).max() <= (packed and planes)
    assert any("within one level" in note for note in seen.notes) == (packed and planes)
    if planes:
        return
    assert (read_image(raw.tiff(DEEP[:, :, :1], order, photometric=1, packed=packed)) == rounded(DEEP[:, :, :1])).all()
    alpha = DEEP[:, :, 3:]
    plain = over_white(rounded(DEEP[:, :, :3]), rounded(alpha))
    assert np.abs(read_image(raw.tiff(DEEP, order, extra=2, packed=packed)) - plain).max() <= 0.51
    assert (read_image(raw.tiff(DEEP, order, extra=0, packed=packed)) == rounded(DEEP[:, :, :3])).all()
    multiplied = DEEP.copy()
    multiplied[:, :, :3] = np.round(DEEP[:, :, :3] * (alpha / 65535))
    assert np.abs(read_image(raw.tiff(multiplied, order, extra=1, packed=packed)) - plain).max() <= 1.01
    inks = rounded(DEEP)
    wanted = (255 - inks[:, :, :3]) * (255 - inks[:, :, 3:]) / 255
    assert np.abs(read_image(raw.tiff(DEEP, order, photometric=5, packed=packed)) - wanted).max() <= 1


def test_white_may_be_zero():
    seen = read_image(raw.tiff(DEEP[:, :, :1], photometric=0))
    assert (seen == 255 - rounded(DEEP[:, :, :1])).all()


class TestRange:
    SAMPLES = RNG.integers(0, 4096, (9, 13, 3), dtype=np.uint16)

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("tag", [281, 341])
    @pytest.mark.parametrize("largest", [4095, 4500])
    def test_tiff_states_it(self, channels, tag, largest):
        samples = self.SAMPLES[:, :, :channels]
        content = raw.tiff(samples, photometric=2 if channels == 3 else 1, more=[(tag, largest)])
        seen = read_picture(content)
        assert (seen.pixels == rounded(samples, largest)).all()
        assert str(largest) in seen.notes[0]

    def test_tiff_that_states_less_than_it_holds_is_not_believed(self):
        seen = read_picture(raw.tiff(DEEP[:, :, :3], more=[(281, 4095)]))
        assert (seen.pixels == rounded(DEEP[:, :, :3])).all()
        assert "left aside" in seen.notes[0]
        assert not read_picture(raw.tiff(DEEP[:, :, :3], more=[(281, 65535)])).notes

    def test_twelve_bits_stored_as_twelve(self):
        samples = self.SAMPLES[:8, :12, :1]
        pairs = samples.reshape(-1, 2).astype(int)
        stored = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], axis=1)
        content = bytearray(raw.tiff(samples, photometric=1, bits=12))
        content[8 : 8 + stored.size] = stored.astype(np.uint8).tobytes()
        assert (read_image(bytes(content)) == rounded(samples, 4095)).all()

    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    def test_png_states_it(self, channels):
        samples = np.concatenate([self.SAMPLES[:, :, : channels - (channels % 2 == 0)], DEEP[:, :, 3:]], axis=2)
        samples = samples if channels % 2 == 0 else samples[:, :, :-1]
        samples[:, :, -1] = samples[:, :, -1] if channels % 2 else 65535
        colours = samples[:, :, : channels - (channels % 2 == 0)]
        seen = read_picture(raw.png(samples, before=raw.chunk(b"sBIT", bytes([12] * channels))))
        assert (seen.pixels == rounded(colours, 4095)).all()
        assert "4095" in seen.notes[0]

    def test_png_whose_samples_are_scaled_already_is_not_scaled_again(self):
        stated = raw.chunk(b"sBIT", bytes([12] * 3))
        for dark in (self.SAMPLES, self.SAMPLES % 256):
            for scaled in (dark << 4, dark << 4 | dark >> 8):
                assert (read_image(raw.png(scaled, before=stated)) == rounded(scaled)).all()

    def test_where_nothing_is_stated_nearly_black_is_said_once(self):
        for content in (raw.png(self.SAMPLES), raw.png(self.SAMPLES[:, :, :1]), raw.tiff(self.SAMPLES)):
            seen = read_picture(content)
            assert seen.pixels.max() == 16
            assert len(seen.notes) == 1
            assert "nearly black" in seen.notes[0]
            assert str(self.SAMPLES[:, :, :1].max()) in seen.notes[0] or str(self.SAMPLES.max()) in seen.notes[0]
        for quiet in (self.SAMPLES + 1, self.SAMPLES * 0):
            quiet[0, 0, 0] = 4096 if quiet.any() else 0
            assert not read_picture(raw.png(quiet)).notes


def test_a_picture_that_pillow_has_opened_is_read_as_its_file(tmp_path):
    path = tmp_path / "a.png"
    for content in (
        raw.png(DEEP),
        raw.png(DEEP[:, :, :1]),
        raw.tiff(DEEP, extra=2),
        raw.png((DEEP[:, :, :3] // 257).astype(np.uint8)),
    ):
        path.write_bytes(content)
        with Image.open(path) as image:
            assert (pixels_of(image) == read_image(path)).all()
    with Image.open(path) as image:
        image.load()
    assert (pixels_of(image) == read_image(path)).all()
    drawn = Image.fromarray(DEEP.astype(np.uint8), "RGBA")
    drawn.save(path)
    assert (pixels_of(drawn) == read_image(path)).all()
    with pytest.raises(InputError, match="0×5"):
        pixels_of(Image.new("RGB", (0, 5)))
