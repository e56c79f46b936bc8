"""Colours as Chromium shows them: the same files, through a canvas and through `read_image`."""

import base64
import io
import struct

import numpy as np
import picture_files as raw
import pytest
from PIL import Image, ImageCms, features

from workbench.images.files import read_image
from workbench.images.primaries import CODE_POINTS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FLAT = np.full((8, 8, 3), (200, 120, 40), np.uint8)
GREY = np.full((8, 8, 1), 120, np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXCHANGED = SRGB.replace(b"rXYZ", b"____").replace(b"gXYZ", b"rXYZ").replace(b"____", b"gXYZ")
PIXEL = """async (address) => {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    return [...context.getImageData(2, 2, 1, 1).data].slice(0, 3);
}"""


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def files():
    """Files by what they are called in a failure: (content, MIME type)."""
    primaries = {name: CODE_POINTS[code] for name, code in (("BT.709", 1), ("P3", 12))}
    primaries["Adobe RGB"] = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    primaries["white of D50"] = (0.3457, 0.3585, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
    before = {"nothing": b"", "primaries alone": raw.chromaticities(*primaries["P3"])}
    before |= {f"gamma {value}": raw.gamma(value) for value in (0.4, 0.43, 0.44, 0.45455, 0.47, 0.5, 1.0, 20)}
    for name, values in primaries.items():
        before[f"gamma and {name}"] = raw.gamma(0.45455) + raw.chromaticities(*values)
    before["gamma and no primaries"] = raw.gamma(1) + raw.chromaticities(*[0] * 8)
    before["sRGB before gamma"] = raw.chunk(b"sRGB", b"\0") + raw.gamma(1) + raw.chromaticities(*primaries["P3"])
    before["profile before gamma"] = raw.embedded(SRGB) + raw.gamma(1)
    before["damaged profile, gamma"] = raw.embedded(b"junk" * 50) + raw.gamma(1) + raw.chromaticities(*primaries["P3"])
    before["code points before profile"] = raw.code_points(12, 13, 0, 1) + raw.embedded(SRGB)
    before["profile named sRGB"] = raw.embedded(EXCHANGED)
    points = [(code, 13) for code in CODE_POINTS] + [(1, code) for code in (1, 4, 5, 6, 7, 8, 11, 14, 15, 17)]
    before |= {f"code points {pair}": raw.code_points(*pair, 0, 1) for pair in points}
    before |= {
        f"code points without meaning {pair}": raw.code_points(*pair, 0, 1) for pair in ((2, 2), (12, 2), (1, 9))
    }
    found = {name: (raw.png(FLAT, before=chunks), "image/png") for name, chunks in before.items()}
    for name in ("gamma 1.0", "gamma and P3", "code points (1, 8)"):
        found[f"grey, {name}"] = (raw.png(GREY, before=before[name]), "image/png")
    for exponent in (1.0, 1.8):
        found[f"grey profile {exponent}"] = (
            raw.png(GREY, before=raw.embedded(raw.grey_profile(exponent))),
            "image/png",
        )
    found["BMP with a profile"] = (raw.bmp(FLAT, EXCHANGED), "image/bmp")
    for name, space, inner in (("Adobe RGB", 2, None), ("R03", 65535, {1: "R03"}), ("sRGB", 1, None)):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0xA001] = space
        if inner:
            exif.get_ifd(0x8769)[0xA005] = inner
        found[f"Exif {name}"] = (
            encoded(Image.fromarray(FLAT), "JPEG", quality=100, subsampling=0, exif=exif),
            "image/jpeg",
        )
    inks = Image.new("CMYK", (16, 16), (50, 100, 20, 30))
    found["CMYK by formula"] = (encoded(inks, "JPEG", quality=100, subsampling=0), "image/jpeg")
    found["WebP"] = (encoded(Image.fromarray(FLAT), "WEBP", lossless=True, icc_profile=EXCHANGED), "image/webp")
    if features.check("avif"):
        content = encoded(Image.fromarray(FLAT), "AVIF", quality=100, subsampling="4:4:4")
        place = content.index(b"colrnclx") + 8
        for pair in ((1, 13), (12, 13), (1, 8), (1, 1), (1, 6), (1, 4), (2, 2)):
            changed = content[:place] + struct.pack(">HH", *pair) + content[place + 4 :]
            found[f"AVIF, code points {pair}"] = (changed, "image/avif")
    return found


def test_pictures_have_the_colours_that_a_browser_shows(browser):
    page = browser.new_page()
    wrong = {}
    for name, (content, kind) in files().items():
        address = f"data:{kind};base64,{base64.b64encode(content).decode()}"
        shown, seen = page.evaluate(PIXEL, address), read_image(content)[2, 2].tolist()
        if max(abs(a - b) for a, b in zip(shown, seen, strict=True)) > 1:
            wrong[name] = (shown, seen)
    page.close()
    assert not wrong
