"""The Compress tab by its API: the file is the codec's to the byte, and a wrong one gives a sentence, no picture."""

import dataclasses
import io
import json
import struct
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from stranger import FILE, agree, call, fetched, upload

from workbench.coding.container import pack, unpack
from workbench.images.files import write_png
from workbench.tasks.compress.codec import Codec, codec_for, qualities
from workbench.tasks.compress.picture import compress_image, decompress_image

REPOSITORY = Path(__file__).parents[2]


def pixels(content):
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


@pytest.fixture(scope="module")
def image():
    y, x = np.mgrid[:44, :61] / 9
    return (127 + 100 * np.stack([np.sin(x + y), np.cos(x), np.sin(y)], -1)).astype(np.uint8)


@pytest.fixture(scope="module")
def picture(tmp_path_factory, image):
    path = tmp_path_factory.mktemp("pictures") / "my wave.png"
    write_png(image, path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def quality():
    return next(iter(qualities()))


@pytest.fixture(scope="module")
def codec(quality) -> Codec:
    return codec_for(quality=quality)


@pytest.fixture(scope="module")
def leech(codec, image):
    """A whole file."""
    return compress_image(image, codec, entropy="fixed").data


def test_a_picture_makes_the_round_trip_to_the_bit(app, picture, image, codec, quality):
    for entropy in ("best", *codec.entropies):
        expected = compress_image(image, codec, entropy=None if entropy == "best" else entropy)
        event, data = call(app, "encode", upload(app, picture, "my wave.png"), quality, entropy)
        assert event == "complete", data
        file, (before, after), table = data
        served = fetched(app, file)
        assert served == expected.data, entropy
        assert file["orig_name"].endswith(".leech")
        back = decompress_image(served, codec=codec)
        assert np.array_equal(back.indices, expected.indices)
        assert np.array_equal(pixels(fetched(app, before)), image)
        assert agree(pixels(fetched(app, after)), back.image)
        figures = table["figures"]
        assert figures["bytes"] == len(served)
        assert figures["entropy"] == expected.container.entropy
        assert figures["bpp"] == pytest.approx(8 * len(served) / (44 * 61), abs=1e-6)
        shown = {row["name"]: row["value"] for row in table["rows"]}
        assert shown["File"] == f"{len(served):,} bytes"
        assert {f"With {name}" for name in codec.entropies if name != figures["entropy"]} <= set(shown)

        event, data = call(app, "decode", upload(app, served, "a.leech"))
        assert event == "complete", data
        answer, facts = data
        assert agree(pixels(fetched(app, answer)), back.image)
        told = facts["figures"]
        assert (told["width"], told["height"], told["bytes"]) == (61, 44, len(served))
        assert told["model"] == codec.tokenizer.name
        assert told["model_hash"] == codec.model_hash.hex()
        assert told["codebook_hash"] == codec.codebook_hash.hex()


def test_a_file_of_any_model_at_hand_is_read(app, image, tiny_model):
    from workbench.tasks.compress.codec import load_codec

    data = compress_image(image, load_codec(str(tiny_model))).data
    event, answer = call(app, "decode", upload(app, data, "tiny.leech"))
    assert event == "complete", answer
    assert answer[1]["figures"]["model"] == "tiny"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: b"", "the file is empty"),
        (lambda data: data[:1], "the file is cut off"),
        (lambda data: data[:30], "the file is cut off"),
        (lambda data: data[:-1], "the file is cut off"),
        (lambda data: data + b"\n", "the file goes on after its end"),
        (lambda data: data + data, "the file goes on after its end"),
        (lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:], "the file is damaged"),
        (lambda data: data[:4] + b"\x07" + data[5:], "format version 7"),
        (lambda data: data[:28] + struct.pack("<HH", 65535, 65535) + data[32:], "4,294,836,225 pixels"),
        (lambda data: data[:36] + struct.pack("<I", 2**31) + data[40:], "too long"),
        (lambda data: b"\x89PNG\r\n\x1a\n" + data, "this is no .leech file"),
        (lambda data: b"<script>alert(1)</script>", "this is no .leech file"),
    ],
)
def test_a_damaged_or_foreign_file_gives_a_sentence_and_no_picture(app, leech, damage, said):
    event, data = call(app, "decode", upload(app, damage(leech), "a.leech"))
    assert event == "error"
    assert said in data["error"]
    assert "<" not in data["error"]
    assert "tmp" not in data["error"]
    assert "Traceback" not in json.dumps(data)


def test_a_file_of_another_model_is_refused_by_name(app, leech):
    container = unpack(leech)
    for change, said in (
        ({"model": "no-such-model"}, "model &#x27;no-such-model&#x27;, which is not at hand"),
        ({"model_hash": bytes(8)}, "made with other weights"),
        ({"codebook_hash": bytes(8)}, "made with other codebook"),
        ({"columns": container.columns + 1}, "it was made by other software"),
    ):
        event, data = call(app, "decode", upload(app, pack(dataclasses.replace(container, **change)), "a.leech"))
        assert event == "error"
        assert said in data["error"]


@pytest.mark.parametrize("name", ["photo.png", "a.leech.exe", "leech", "<img src=x onerror=alert(1)>"])
def test_a_file_of_another_kind_is_refused(app, leech, name):
    event, data = call(app, "decode", upload(app, leech, name))
    assert event == "error"
    assert "Traceback" not in json.dumps(data)


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "just a text",
        [],
        {},
        {"path": "/etc/passwd", "meta": FILE},
        {"path": "../../../etc/passwd", "meta": FILE},
        {"path": "http://127.0.0.1:1/x.leech", "meta": FILE},
        {"path": "https://example.com/x.leech", "url": "https://example.com/x.leech", "meta": FILE},
        {"path": None, "url": "data:application/octet-stream;base64,zps=", "meta": FILE},
        {"url": "file:///etc/passwd", "meta": FILE},
    ],
)
def test_what_was_not_uploaded_is_not_read(app, value, quality):
    for name, more in (("decode", ()), ("encode", (quality, "best"))):
        event, data = call(app, name, value, *more)
        assert event in {"error", "422"}, (name, data)
        assert "root:" not in json.dumps(data)
        assert "Traceback" not in json.dumps(data)


def test_wrong_choices_are_errors(app, picture, quality):
    value = upload(app, picture, "a.png")
    for rate in (0, -1, 99, 2.5, "2; rm", None, [quality]):
        assert call(app, "encode", value, rate, "fixed")[0] == "error", rate
    for entropy in ("neural", "", 3, ["fixed"]):
        assert call(app, "encode", value, quality, entropy)[0] == "error", entropy
    for content in (b"", b"<svg/>", b"\x89PNG\r\n\x1a\n" + bytes(64)):
        event, data = call(app, "encode", upload(app, content, "a.png"), quality, "fixed")
        assert event == "error"
        assert "Traceback" not in json.dumps(data)
    assert call(app, "encode", value, quality, "fixed")[0] == "complete"


def test_the_endpoints_have_stable_names_and_typed_inputs(app):
    named = httpx.get(f"{app}gradio_api/info", timeout=300).json()["named_endpoints"]
    assert [p["label"] for p in named["/encode"]["parameters"]] == ["Your picture", "Rate", "Entropy model"]
    assert [p["label"] for p in named["/decode"]["parameters"]] == ["A .leech file"]
    assert len(named["/encode"]["returns"]) == 3
    assert len(named["/decode"]["returns"]) == 2


def test_the_example_of_the_readme(app, picture, image, codec, quality, tmp_path):
    (tmp_path / "photo.png").write_bytes(picture)
    code = f"""
from gradio_client import Client, handle_file
client = Client({app!r}, verbose=False, httpx_kwargs={{"timeout": 300}})
place = {str(tmp_path / "photo.png")!r}
file, slider, table = client.predict(handle_file(place), {quality}, "best", api_name="/encode")
picture, facts = client.predict(handle_file(file), api_name="/decode")
print(table["figures"]["bytes"], facts["figures"]["bytes"])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert list(map(int, run.stdout.split())) == [len(compress_image(image, codec).data)] * 2
    assert 'api_name="/encode"' in (REPOSITORY / "README.md").read_text(encoding="utf-8")
