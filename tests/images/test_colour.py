"""Colours as littleCMS and the standards say, whatever the mode of the picture and the name of its profile."""

import io
import struct
import zlib

import numpy as np
import picture_files as raw
import pytest
from PIL import Image, ImageCms, features

from workbench.images.files import read_image, read_picture
from workbench.images.primaries import CODE_CURVES, CODE_POINTS, gamma_curve, matrix_profile

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SRGB_PRIMARIES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
P3_PRIMARIES = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)


def exchanged(profile):
    """The profile with red and green exchanged; its name stays that of sRGB."""
    return profile.replace(b"rXYZ", b"____").replace(b"gXYZ", b"rXYZ").replace(b"____", b"gXYZ")


def cmyk_profile():
    """A CMYK profile by a table: inks at their two ends, to the CIELAB of what multiplying them gives."""
    ends = np.stack(np.meshgrid(*[[0, 255]] * 4, indexing="ij"), axis=-1).reshape(1, 16, 4).astype(np.uint8)
    paper = Image.fromarray(ends, mode="CMYK").convert("RGB")
    lab = ImageCms.profileToProfile(
        paper, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    values = np.asarray(lab).reshape(16, 3).copy()
    values[:, 1:] = values[:, 1:] ^ 128  # Pillow's a and b are signed, the table's lie 128 higher
    steps = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0))
    table += (
        struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9))) + 4 * steps + values.tobytes() + 3 * steps
    )
    table += bytes(-len(table) % 4)
    start = 132 + 12
    head = struct.pack(">I4xI4s4s4s", start + len(table), 0x02400000, b"prtr", b"CMYK", b"Lab ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1.0, 0.8249)))
    return head.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", start, len(table)) + table


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def truth(image, profile):
    """What littleCMS makes of a picture."""
    opened = ImageCms.getOpenProfile(io.BytesIO(profile))
    return np.asarray(ImageCms.profileToProfile(image, opened, ImageCms.createProfile("sRGB"), outputMode="RGB"))


def through(levels, exponent):
    """Levels v^exponent as sRGB levels, by the formula."""
    light = (levels / 255) ** exponent
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255


def near(seen, wanted, *, within=1):
    return np.abs(seen.astype(int) - np.round(wanted).astype(int)).max() <= within


class TestProfiles:
    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "AVIF"])
    def test_a_profile_counts_whatever_its_name(self, kind):
        if kind == "AVIF" and not features.check("avif"):
            pytest.skip("this Pillow has no AVIF")
        options = (
            {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": "4:4:4"} if kind == "AVIF" else {}
        )
        flat = Image.new("RGB", (8, 8), (200, 30, 60))
        for profile in (exchanged(SRGB), exchanged(SRGB).replace(b"\0s\0R\0G\0B", b"\0w\0i\0d\0e")):
            seen = read_picture(encoded(flat, kind, icc_profile=profile, **options))
            assert near(seen.pixels, truth(flat, profile), within=3 if kind == "AVIF" else 0)
            assert np.abs(seen.pixels[4, 4].astype(int) - (30, 200, 60)).max() < 5
            assert not seen.notes

    def test_srgb_itself_changes_nothing(self):
        assert (read_image(encoded(Image.fromarray(PHOTO), "PNG", icc_profile=SRGB)) == PHOTO).all()

    def test_a_jpeg_and_a_bmp_keep_their_profiles(self):
        profile = exchanged(SRGB)
        jpeg = encoded(Image.fromarray(PHOTO), "JPEG", quality=95, icc_profile=profile)
        assert near(read_image(jpeg), truth(Image.open(io.BytesIO(jpeg)), profile), within=0)
        assert near(read_image(raw.bmp(PHOTO, profile)), truth(Image.fromarray(PHOTO), profile), within=0)
        assert (read_image(raw.bmp(PHOTO, SRGB)) == PHOTO).all()

    def test_palettes_and_alpha_keep_their_profiles(self):
        profile, picture = exchanged(SRGB), Image.fromarray(PHOTO)
        palette = picture.quantize(8)
        assert near(
            read_image(encoded(palette, "PNG", icc_profile=profile)), truth(palette.convert("RGB"), profile), within=0
        )
        index = int(np.asarray(palette)[0, 0])
        seen = read_image(encoded(palette, "PNG", icc_profile=profile, transparency=index))
        wanted = np.where(np.asarray(palette)[:, :, None] == index, 255, truth(palette.convert("RGB"), profile))
        assert near(seen, wanted, within=0)
        picture.putalpha(128)
        wanted = (truth(Image.fromarray(PHOTO), profile) * 128.0 + 255.0 * 127) / 255
        assert near(read_image(encoded(picture, "PNG", icc_profile=profile)), wanted)

    @pytest.mark.parametrize("mode", ["1", "L", "LA"])
    def test_grey_takes_grey_profiles(self, mode):
        grey = Image.fromarray(PHOTO[:, :, 0]).convert(mode)
        seen = read_picture(encoded(grey, "PNG", icc_profile=raw.grey_profile(1.0)))
        levels = np.asarray(grey.convert("L"))
        assert not seen.notes
        assert near(seen.pixels, through(levels, 1.0)[:, :, None])
        likely = read_image(encoded(grey, "PNG", icc_profile=raw.grey_profile(1.8)))
        assert near(likely, truth(grey.convert("L"), raw.grey_profile(1.8)), within=2)

    def test_grey_takes_colour_profiles_and_16_bits_take_both(self):
        profile = matrix_profile(SRGB_PRIMARIES, gamma_curve(1.0))
        for samples, chosen in ((PHOTO[:, :, :1], profile), (PHOTO[:, :, :1], raw.grey_profile(1.0)), (PHOTO, profile)):
            deep = samples.astype(np.uint16) * 257
            for content in (samples, deep):
                seen = read_picture(raw.png(content, before=raw.embedded(chosen)))
                assert not seen.notes
                assert near(seen.pixels, through(samples, 1.0))

    @pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
    def test_cmyk_takes_its_profile(self, kind):
        inks = Image.new("CMYK", (16, 16), (30, 160, 90, 20))
        profile = cmyk_profile()
        options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
        seen = read_picture(encoded(inks, kind, icc_profile=profile, **options))
        assert not seen.notes
        assert near(seen.pixels, truth(inks, profile), within=2)
        by_formula = read_image(encoded(inks, kind, **options))
        assert not near(seen.pixels, by_formula, within=8)

    def test_what_is_damaged_or_of_other_channels_is_left_aside_and_named(self):
        plain = Image.fromarray(PHOTO)
        for junk in (b"junk", SRGB[:200], SRGB[:128] + bytes(400), SRGB.replace(b"rTRC", b"xTRC"), bytes(1000)):
            for kind in ("PNG", "TIFF"):
                seen = read_picture(encoded(plain, kind, icc_profile=junk))
                assert (seen.pixels == PHOTO).all()
                assert len(seen.notes) == 1
                assert "profile" in seen.notes[0]
                assert "left aside" in seen.notes[0]
        broken = raw.png(PHOTO, before=raw.chunk(b"iCCP", b"profile\0\0" + zlib.compress(SRGB)[:-40]))
        assert "left aside" in read_picture(broken).notes[0]
        for profile, said in ((raw.grey_profile(1.0), "for GRAY"), (cmyk_profile(), "for CMYK")):
            seen = read_picture(encoded(plain, "PNG", icc_profile=profile))
            assert (seen.pixels == PHOTO).all()
            assert said in seen.notes[0]
        abstract = SRGB.replace(b"mntr", b"abst")
        assert "no device" in read_picture(encoded(plain, "PNG", icc_profile=abstract)).notes[0]

    def test_random_damage_never_fails(self):
        for _ in range(60):
            profile = bytearray(exchanged(SRGB))
            for place in RNG.integers(0, len(profile), 4):
                profile[place] = RNG.integers(0, 256)
            assert read_image(raw.png(PHOTO, before=raw.embedded(bytes(profile)))).shape == PHOTO.shape


class TestPngChunks:
    @pytest.mark.parametrize("value", [0.2, 0.4, 0.55, 1.0, 2.0])
    def test_gamma_is_the_power_it_says(self, value):
        for samples in (PHOTO, PHOTO[:, :, :1]):
            assert near(read_image(raw.png(samples, before=raw.gamma(value))), through(samples, 1 / value))

    def test_gamma_near_that_of_srgb_and_primaries_alone_change_nothing(self):
        for before in (raw.gamma(0.45455), raw.gamma(0.44), raw.gamma(0.47), raw.chromaticities(*P3_PRIMARIES)):
            seen = read_picture(raw.png(PHOTO, before=before))
            assert (seen.pixels == PHOTO).all()
            assert not seen.notes

    def test_gamma_with_primaries(self):
        before = raw.gamma(0.45455) + raw.chromaticities(*SRGB_PRIMARIES)
        assert near(read_image(raw.png(PHOTO, before=before)), through(PHOTO, 2.2))
        before = raw.gamma(0.45455) + raw.chromaticities(*P3_PRIMARIES)
        profile = matrix_profile(P3_PRIMARIES, gamma_curve(1 / 0.45455))
        assert near(read_image(raw.png(PHOTO, before=before)), truth(Image.fromarray(PHOTO), profile), within=0)

    def test_the_order_of_what_counts(self):
        srgb, other = raw.chunk(b"sRGB", b"\0"), raw.gamma(1) + raw.chromaticities(*P3_PRIMARIES)
        p3 = read_image(raw.png(PHOTO, before=raw.code_points(12, 13, 0, 1)))
        assert (read_image(raw.png(PHOTO, before=srgb + other)) == PHOTO).all()
        assert (read_image(raw.png(PHOTO, before=raw.embedded(SRGB) + other)) == PHOTO).all()
        assert (
            read_image(raw.png(PHOTO, before=raw.code_points(12, 13, 0, 1) + raw.embedded(SRGB) + srgb)) == p3
        ).all()
        assert (
            read_image(raw.png(PHOTO, before=raw.code_points(1, 13, 0, 1) + raw.embedded(exchanged(SRGB)))) == PHOTO
        ).all()
        after_damage = read_picture(raw.png(PHOTO, before=raw.embedded(b"junk" * 50) + raw.gamma(1)))
        assert near(after_damage.pixels, through(PHOTO, 1.0))
        assert "damaged" in after_damage.notes[0]

    @pytest.mark.parametrize("transfer", sorted(CODE_CURVES))
    def test_code_points_of_every_curve_keep_black_and_white_and_rise(self, transfer):
        ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
        seen = read_image(raw.png(ramp, before=raw.code_points(1, transfer, 0, 1)))[0, :, 0].astype(int)
        assert seen[0] == 0
        assert seen[-1] == 255
        assert (np.diff(seen) >= 0).all()
        exponent = {1: 2.4, 6: 2.4, 11: 2.4, 14: 2.4, 15: 2.4, 4: 2.2, 5: 2.8, 8: 1.0}.get(transfer)
        if exponent:
            assert near(seen, through(ramp[0, :, 0], exponent))
        if transfer == 13:
            assert (seen == ramp[0, :, 0]).all()

    @pytest.mark.parametrize("primaries", sorted(CODE_POINTS))
    def test_code_points_of_all_primaries_keep_their_white(self, primaries):
        white = np.full((4, 4, 3), 255, np.uint8)
        assert near(read_image(raw.png(white, before=raw.code_points(primaries, 13, 0, 1))), white)

    @pytest.mark.parametrize("points", [(9, 16, 0, 1), (9, 18, 0, 1), (2, 2, 0, 1), (1, 13, 0, 0), (1, 13, 1, 1), (1,)])
    def test_code_points_without_a_meaning_here_are_named(self, points):
        seen = read_picture(raw.png(PHOTO, before=raw.code_points(*points)))
        assert (seen.pixels == PHOTO).all()
        assert "cICP" in seen.notes[0]

    def test_what_makes_no_colour_space_is_named(self):
        for before in (
            raw.gamma(0),
            raw.gamma(1) + raw.chromaticities(*[0] * 8),
            raw.gamma(1) + raw.chromaticities(*[0.3] * 8),
        ):
            seen = read_picture(raw.png(PHOTO, before=before))
            assert (seen.pixels == PHOTO).all()
            assert "gAMA" in seen.notes[0]


class TestOthers:
    @pytest.mark.parametrize(
        ("space", "interoperability", "said"),
        [(2, None, "Adobe RGB"), (65535, "R03", "Adobe RGB"), (65535, None, "uncalibrated")],
    )
    def test_an_exif_colour_space_is_named(self, space, interoperability, said):
        exif = Image.Exif()
        inner = exif.get_ifd(0x8769)
        inner[0xA001] = space
        if interoperability:
            inner[0xA005] = {1: interoperability}
        plain = encoded(Image.fromarray(PHOTO), "JPEG")
        seen = read_picture(encoded(Image.fromarray(PHOTO), "JPEG", exif=exif))
        assert (seen.pixels == read_image(plain)).all()
        assert said in seen.notes[0]
        assert not read_picture(encoded(Image.fromarray(PHOTO), "JPEG", exif=exif, icc_profile=SRGB)).notes

    def test_exif_of_srgb_is_not_worth_a_word(self):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0xA001] = 1
        assert not read_picture(encoded(Image.fromarray(PHOTO), "JPEG", exif=exif)).notes

    @pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
    def test_code_points_of_avif(self):
        flat = Image.new("RGB", (16, 16), (200, 120, 40))
        content = encoded(flat, "AVIF", quality=100, subsampling="4:4:4")
        place = content.index(b"colrnclx") + 8

        def with_points(primaries, transfer):
            return content[:place] + struct.pack(">HH", primaries, transfer) + content[place + 4 :]

        plain = read_image(with_points(1, 13))
        assert near(plain, np.array([200, 120, 40]), within=3)
        for points in ((1, 1), (1, 6), (2, 2)):
            assert (read_image(with_points(*points)) == plain).all()
        assert near(read_image(with_points(1, 8)), through(plain, 1.0))
        p3 = read_image(raw.png(plain, before=raw.code_points(12, 13, 0, 1)))
        assert (read_image(with_points(12, 13)) == p3).all()
        assert "transfer 16" in read_picture(with_points(9, 16)).notes[0]
