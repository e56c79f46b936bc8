"""Whatever a file holds, reading it gives an upright uint8 picture or one line that says what is wrong."""

import io
import os
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from workbench.errors import ImageError, InputError
from workbench.images.files import FORMATS, MAX_PIXELS, list_images, picture_size, read_image, write_png

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (24, 36, 3), dtype=np.uint8)
SMOOTH = 2 * np.stack([*np.meshgrid(np.arange(48), np.arange(32)), np.full((32, 48), 90)], axis=-1).astype(np.uint8)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def attempt(content, **options):
    """The picture, or None where reading it gave an error of one line; anything else is a failure."""
    try:
        return read_image(content, **options)
    except ImageError as error:
        message = str(error)
    assert "\n" not in message
    return None


def png(width, height, *, depth=8, colour=0, rows=b"", before=b""):
    """A PNG that claims this size, whatever it holds."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), before, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


class TestKinds:
    @pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
    def test_lossless_kinds_come_back_exactly(self, kind):
        assert (read_image(encoded(PHOTO, kind)) == PHOTO).all()

    def test_lossless_webp_comes_back_exactly(self):
        assert (read_image(encoded(PHOTO, "WEBP", lossless=True)) == PHOTO).all()

    @pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "AVIF"])
    def test_lossy_kinds_come_back_nearly(self, kind):
        if kind == "AVIF" and not features.check("avif"):
            pytest.skip("this Pillow has no AVIF")
        picture = read_image(encoded(SMOOTH, kind))
        assert picture.shape == SMOOTH.shape
        assert np.abs(picture.astype(int) - SMOOTH).mean() < 12

    def test_paths_bytes_and_file_objects_agree(self, tmp_path):
        path = tmp_path / "größe ☂.png"
        path.write_bytes(encoded(PHOTO, "PNG"))
        with path.open("rb") as file:
            for source in (path, str(path), path.read_bytes(), memoryview(path.read_bytes()), file):
                assert (read_image(source) == PHOTO).all()

    def test_a_stream_that_cannot_rewind_is_read(self):
        out, into = os.pipe()
        with os.fdopen(into, "wb") as file:
            file.write(encoded(PHOTO, "PNG"))
        with os.fdopen(out, "rb") as file:
            assert (read_image(file) == PHOTO).all()

    def test_the_content_decides_not_the_name(self, tmp_path):
        path = tmp_path / "photo.jpg"
        path.write_bytes(encoded(PHOTO, "PNG"))
        assert (read_image(path) == PHOTO).all()
        path.with_suffix(".png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
        with pytest.raises(ImageError, match="not a picture of an accepted kind"):
            read_image(path.with_suffix(".png"))

    def test_what_follows_the_picture_is_not_read(self):
        polyglot = encoded(PHOTO, "PNG") + b"PK\x03\x04" + bytes(100) + b"<script>"
        assert (read_image(polyglot) == PHOTO).all()

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x89",
            b"GIF89a",
            b"just text",
            b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>',
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            b"SIMPLE  =                    T" + b" " * 2850,
            b"%PDF-1.4\n",
            b"8BPS\0\1" + bytes(200),
            b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60),
            b"qoif" + bytes(60),
        ],
    )
    def test_other_kinds_are_refused_in_one_line(self, content):
        with pytest.raises(ImageError) as caught:
            read_image(content)
        assert "\n" not in str(caught.value)
        assert "PNG, JPEG" in str(caught.value)


class TestModes:
    def test_grey_and_one_bit(self):
        grey = Image.fromarray(PHOTO[:, :, 0])
        assert (read_image(encoded(grey, "PNG")) == PHOTO[:, :, :1]).all()
        bits = np.where(PHOTO[:, :, :1] > 127, 255, 0)
        for kind in ("PNG", "TIFF", "BMP", "PPM"):
            picture = Image.fromarray(bits[:, :, 0].astype(np.uint8)).convert("1")
            assert (read_image(encoded(picture, kind)) == bits).all()

    def test_alpha_is_flattened_over_white(self):
        picture = np.zeros((1, 3, 4), np.uint8)
        picture[..., 1] = 255
        picture[0, :, 3] = (0, 128, 255)
        seen = read_image(encoded(picture, "PNG"))
        assert seen[0].tolist() == [[255, 255, 255], [127, 255, 127], [0, 255, 0]]
        grey = Image.fromarray(np.array([[[0, 0], [0, 255]]], np.uint8), mode=None)
        assert read_image(encoded(grey.convert("LA"), "PNG"))[0, :, 0].tolist() == [255, 0]

    def test_transparent_colours_show_white(self):
        palette = Image.fromarray(PHOTO[:8, :8]).quantize(4)
        index = int(np.asarray(palette)[0, 0])
        seen = read_image(encoded(palette, "PNG", transparency=index))
        assert (seen[np.asarray(palette) == index] == 255).all()
        opaque = np.asarray(palette.convert("RGB"))[np.asarray(palette) != index]
        assert (seen[np.asarray(palette) != index] == opaque).all()
        several = read_image(encoded(palette, "PNG", transparency=bytes([255, 255, 0, 0])))
        assert (several[np.asarray(palette) >= 2] == 255).all()
        for mode, colour in (("L", 7), ("RGB", (7, 7, 7))):
            keyed = Image.new(mode, (4, 4), colour)
            assert (read_image(encoded(keyed, "PNG", transparency=colour)) == 255).all()
        assert (read_image(encoded(Image.new("1", (4, 4), 0), "PNG", transparency=0)) == 255).all()

    @pytest.mark.parametrize("kind", ["PNG", "TIFF"])
    def test_sixteen_bit_grey_is_scaled(self, kind):
        levels = np.array([[0, 128, 129, 257, 32896, 65535]], np.uint16)
        assert read_image(encoded(Image.fromarray(levels), kind))[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]

    def test_sixteen_bit_colour_and_ppm_fill_the_range(self):
        rows = b"\0" + struct.pack(">9H", 0, 0, 0, 32896, 32896, 32896, 65535, 65535, 65535)
        assert read_image(png(3, 1, depth=16, colour=2, rows=rows))[0, :, 0].tolist() == [0, 128, 255]
        assert read_image(b"P5 3 1 65535 " + struct.pack(">3H", 0, 32896, 65535))[0, :, 0].tolist() == [0, 128, 255]
        assert read_image(b"P5 2 1 1000 " + struct.pack(">2H", 0, 1000))[0, :, 0].tolist() == [0, 255]

    def test_floats_count_as_zero_to_one_and_must_be_finite(self):
        values = np.array([[0, 0.5, 1, 9, -1]], np.float32)
        assert read_image(encoded(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == [0, 128, 255, 255, 0]
        with pytest.raises(ImageError, match="not finite"):
            read_image(encoded(Image.fromarray(np.full((2, 2), np.nan, np.float32)), "TIFF"))

    def test_cmyk_and_lab_become_rgb(self):
        red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
        for kind in ("TIFF", "JPEG"):
            assert np.abs(read_image(encoded(red, kind))[4, 4].astype(int) - (255, 0, 0)).max() < 12
        grey = ImageCms.profileToProfile(
            Image.new("RGB", (4, 4), (120, 120, 120)),
            ImageCms.createProfile("sRGB"),
            ImageCms.createProfile("LAB"),
            outputMode="LAB",
        )
        assert np.abs(read_image(encoded(grey, "TIFF")).astype(int) - 120).max() < 4

    @pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
    def test_the_first_frame_stands_for_all(self, kind):
        frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "lime", "blue")]
        options = {"lossless": True} if kind == "WEBP" else {}
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        with Image.open(io.BytesIO(content)) as check:
            assert check.n_frames == 3
        assert (read_image(content) == (255, 0, 0)).all()

    def test_profiles_are_converted_and_corrupt_ones_ignored(self):
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        assert (read_image(encoded(PHOTO, "PNG", icc_profile=srgb)) == PHOTO).all()
        for junk in (b"junk", srgb[:200], srgb[:128] + bytes(400)):
            assert (read_image(encoded(PHOTO, "PNG", icc_profile=junk)) == PHOTO).all()
        # A profile whose red and green are exchanged: the picture must come out with them exchanged back.
        tags = bytearray(
            srgb.replace(b"sRGB built-in", b"other profile").replace("sRGB".encode("utf-16-be"), b"\0o" * 4)
        )
        count = struct.unpack(">I", tags[128:132])[0]
        places = {bytes(tags[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
        red, green = places[b"rXYZ"], places[b"gXYZ"]
        tags[red + 4 : red + 12], tags[green + 4 : green + 12] = tags[green + 4 : green + 12], tags[red + 4 : red + 12]
        seen = read_image(encoded(np.full((4, 4, 3), (250, 30, 60), np.uint8), "PNG", icc_profile=bytes(tags)))
        assert np.abs(seen[0, 0].astype(int) - (30, 250, 60)).max() <= 3


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
    def test_every_orientation_comes_out_upright(self, orientation, kind):
        undo = {
            1: lambda a: a,
            2: np.fliplr,
            3: lambda a: np.rot90(a, 2),
            4: np.flipud,
            5: lambda a: a.swapaxes(0, 1),
            6: lambda a: np.rot90(a, 1),
            7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
            8: lambda a: np.rot90(a, -1),
        }[orientation]
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {"lossless": True} if kind == "WEBP" else {}
        stored = Image.fromarray(np.ascontiguousarray(undo(PHOTO)))
        assert (read_image(encoded(stored, kind, exif=exif, **options)) == PHOTO).all()

    @pytest.mark.parametrize("value", [0, 9, 65535])
    def test_an_orientation_that_does_not_exist_is_ignored(self, value):
        exif = Image.Exif()
        exif[0x0112] = value
        assert (read_image(encoded(PHOTO, "PNG", exif=exif)) == PHOTO).all()


class TestSizes:
    @pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (127, 131)])
    def test_any_size_is_read(self, size):
        picture = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)
        assert (read_image(encoded(picture, "PNG")) == picture).all()
        assert picture_size(encoded(picture, "PNG")) == size

    def test_the_cap_holds_at_its_boundary(self):
        content = encoded(PHOTO, "PNG")
        assert read_image(content, max_pixels=24 * 36).shape == PHOTO.shape
        with pytest.raises(ImageError, match=r"36×24 = 864 pixels, more than the 863 allowed"):
            read_image(content, max_pixels=24 * 36 - 1)

    @pytest.mark.parametrize("size", [(65_500, 65_500), (9_460, 9_459), (6_325, 6_325), (2**31 - 1, 1)])
    def test_a_bomb_is_refused_by_its_header(self, size):
        with pytest.raises(ImageError, match="smaller first"):
            read_image(png(*size, depth=1, rows=bytes(1000)))
        assert MAX_PIXELS < size[0] * size[1]

    def test_a_gif_whose_frame_outgrows_the_cap_is_refused(self):
        content = bytearray(encoded(Image.new("L", (4, 4)), "GIF"))
        content[6:10] = struct.pack("<HH", 65535, 65535)
        with pytest.raises(ImageError, match="smaller first"):
            read_image(bytes(content))

    @pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
    def test_an_empty_picture_is_refused(self, size):
        with pytest.raises(ImageError):
            read_image(png(*size))


class TestDamage:
    @pytest.mark.filterwarnings("ignore")  # Pillow warns of what it repairs; here only what it raises matters
    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM"])
    def test_a_file_cut_anywhere_is_refused_or_whole(self, kind):
        content = encoded(SMOOTH, kind)
        whole = read_image(content)
        for cut in sorted({*range(0, len(content), max(len(content) // 60, 1)), len(content) - 3}):
            picture = attempt(content[:cut])
            assert picture is None or picture.shape == whole.shape

    def test_a_jpeg_cut_in_its_scan_says_so(self):
        content = encoded(PHOTO, "JPEG")
        with pytest.raises(ImageError, match="cut short or damaged"):
            read_image(content[: len(content) // 2])

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("kind", FORMATS)
    def test_flipped_bytes_give_a_picture_or_an_image_error(self, kind):
        if kind == "AVIF" and not features.check("avif"):
            pytest.skip("this Pillow has no AVIF")
        frames = [Image.fromarray(SMOOTH), Image.fromarray(SMOOTH[::-1].copy())]
        content = encoded(frames[0], kind, **({"save_all": True, "append_images": frames[1:]} if kind == "GIF" else {}))
        choice = random.Random(7)
        for _ in range(250):
            damaged = bytearray(content)
            for _ in range(choice.choice((1, 1, 2, 8))):
                # Most of what can go wrong lies in the header.
                place = choice.randrange(len(damaged) if choice.random() < 0.5 else min(len(damaged), 64))
                damaged[place] = choice.randrange(256)
            picture = attempt(bytes(damaged), max_pixels=4_000_000)
            assert picture is None or (picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3)

    def test_what_is_no_file_is_refused_without_waiting(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.png")
        (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
        for name, words in (
            (".", "a folder"),
            ("pipe.png", "a pipe or device"),
            ("none.png", "cannot be opened"),
            ("loop.png", "cannot be opened"),
            ("a\0b.png", "cannot be opened"),
            ("x" * 300 + ".png", "cannot be opened"),
        ):
            with pytest.raises(ImageError, match=words):
                read_image(tmp_path / name)

    def test_a_name_with_line_breaks_stays_on_its_line(self, tmp_path):
        path = tmp_path / "a\nb\x1b[31m.png"
        path.write_bytes(b"no picture")
        with pytest.raises(ImageError) as caught:
            read_image(path)
        assert str(caught.value).isprintable()


class TestWriting:
    def test_what_is_written_is_what_is_read(self, tmp_path):
        path = tmp_path / "new" / "deep" / "ünï.png"
        write_png(PHOTO, path)
        assert (read_image(path) == PHOTO).all()
        write_png(PHOTO[::-1, :, 0], path, force=True)
        assert (read_image(path) == PHOTO[::-1, :, :1]).all()
        assert [p.name for p in path.parent.iterdir()] == [path.name]

    def test_nothing_is_overwritten_unasked(self, tmp_path):
        path = tmp_path / "a.png"
        path.write_bytes(b"mine")
        with pytest.raises(ImageError, match="--force"):
            write_png(PHOTO, path)
        assert path.read_bytes() == b"mine"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_file_that_appears_meanwhile_survives(self, tmp_path, monkeypatch):
        path = tmp_path / "a.png"
        save = Image.Image.save

        def slow(self, *args, **options):
            path.write_bytes(b"mine")
            return save(self, *args, **options)

        monkeypatch.setattr(Image.Image, "save", slow)
        with pytest.raises(ImageError, match="--force"):
            write_png(PHOTO, path)
        assert path.read_bytes() == b"mine"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_failed_write_leaves_the_old_file_and_no_rest(self, tmp_path, monkeypatch):
        path = tmp_path / "a.png"
        write_png(PHOTO, path)
        before = path.read_bytes()

        def full(_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(ImageError, match="No space left"):
            write_png(255 - PHOTO, path, force=True)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_the_file_takes_the_mode_of_any_new_file(self, tmp_path):
        (tmp_path / "plain").write_bytes(b"")
        write_png(PHOTO, tmp_path / "a.png")
        assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode

    @pytest.mark.parametrize("place", ["file/below.png", "a\0b.png", "x" * 300 + ".png"])
    def test_an_impossible_place_is_one_line(self, tmp_path, place):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(ImageError, match="cannot write"):
            write_png(PHOTO, tmp_path / place)

    @pytest.mark.parametrize("bad", [PHOTO / 255, PHOTO[:0], PHOTO[:, :, :2], PHOTO[0, 0]])
    def test_only_pictures_are_written(self, tmp_path, bad):
        with pytest.raises(InputError, match="uint8"):
            write_png(bad, tmp_path / "a.png")
        assert not list(tmp_path.iterdir())


class TestListing:
    def test_folders_are_walked_in_order_with_relative_paths(self, tmp_path):
        for name in ("b/2.png", "b/1.JPG", "a.webp", ".hidden.png", ".git/x.png", "notes.txt", "c/d/e.tif"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"")
        (tmp_path / "b" / "back").symlink_to(tmp_path)
        found = list_images([tmp_path, tmp_path / "notes.txt"])
        assert [str(f.relative) for f in found] == ["a.webp", "b/1.JPG", "b/2.png", "c/d/e.tif", "notes.txt"]
        assert all(f.path.is_file() for f in found)

    def test_every_suffix_of_a_picture_counts_in_either_case(self, tmp_path):
        for suffix in ("jfif", "jpe", "jif", "jpg", "JPEG", "JFIF", "Png", "tif", "TIFF", "webp", "bmp", "dib", "apng"):
            (tmp_path / f"a.{suffix}").write_bytes(encoded(PHOTO, "PNG"))
        assert len(list_images([tmp_path])) == 13
        assert all((read_image(found.path) == PHOTO).all() for found in list_images([tmp_path]))

    def test_nothing_there_is_said(self, tmp_path):
        with pytest.raises(ImageError, match="holds no picture"):
            list_images([tmp_path])
        with pytest.raises(ImageError, match="no such file"):
            list_images([tmp_path / "none"])
