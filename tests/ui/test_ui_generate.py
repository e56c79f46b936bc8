"""The Generate tab by its API: scales stream, files are exact and know their settings, and errors are messages."""

import io
import json

import httpx
import numpy as np
import pytest
from gradio.components.image_editor import EditorData, EditorDataBlobs
from PIL import Image
from stranger import FILE, agree, events, fetched, upload

from workbench.models import load as catalogue
from workbench.tasks.edit import fill
from workbench.tasks.generate import Order, finished, generate
from workbench.ui.edit import _asked, _taken, _viewed
from workbench.ui.generate import _notice
from workbench.ui.painting import Painted, painting_input
from workbench.ui.sampling import _choices, _preset

CONTROLS = (0.9, 0.6, 0, 1.0, 2.0, 2.5)  # temperature at both ends, top-k, top-p, guidance at both ends


def png_of(image):
    """A picture as the content of a PNG file."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, format="PNG")
    return content.getvalue()


def fetch(app, item):
    """A picture of a gallery: (pixels, settings)."""
    with Image.open(io.BytesIO(fetched(app, item["image"]))) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")), json.loads(image.text["workbench"])


@pytest.fixture
def pair(tiny_generator, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tiny_generator))
    return catalogue.load_generator("sketch")


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(3).integers(0, 256, (40, 40, 3), dtype=np.uint8)


def test_scales_stream_and_the_files_are_exact(app, pair):
    found = events(app, "generate", 3, "sketch", "roses", 7, False, *CONTROLS)
    assert [event for event, _ in found[:-1]] == ["generating"] * (len(found) - 1)
    assert found[-1][0] == "complete"
    gallery, table, seed = found[-1][1]
    figures = table["figures"]
    assert (seed, figures["seed"], figures["done"], figures["scale"]) == (7, 7, True, 4)
    assert figures["classes"] == ["roses"] * 3
    shown = {row["name"]: row["value"] for row in table["rows"]}
    assert (shown["Guidance"], shown["Top-k"], shown["Scale"]) == ("2 to 2.5", "all", "4 × 4")
    expected = finished(generate(pair, Order(["roses"] * 3, seed=7)))
    for number, item in enumerate(gallery):
        pixels, settings = fetch(app, item)
        assert agree(pixels, expected.images[number])
        assert (settings["seed"], settings["picture"], settings["class"]) == (7, number, "roses")
    again = events(app, "generate", 3, "sketch", "1", 7, False, *CONTROLS)[-1][1]
    assert np.array_equal(fetch(app, again[0][0])[0], fetch(app, gallery[0])[0])
    fresh = events(app, "generate", 1, "sketch", "roses", 7, True, *CONTROLS)[-1][1]
    assert fresh[1]["figures"]["seed"] == fresh[2]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ((1, "sketch", "rosse", 0, False, *CONTROLS), "did you mean"),
        ((0, "sketch", "roses", 0, False, *CONTROLS), "0"),
        ((65, "sketch", "roses", 0, False, *CONTROLS), "65"),
        ((1, "no-such-model", "roses", 0, False, *CONTROLS), "no-such-model"),
        ((1, "/tmp", "roses", 0, False, *CONTROLS), "/tmp"),
        ((1, "sketch", "roses", -1, False, *CONTROLS), "-1"),
        ((1, "sketch", "roses", 0, False, -1.0, -1.0, 0, 1.0, 1.0, 1.0), "-1"),
        ((1, "sketch", "roses", 0, False, 1.0, 1.0, 196_561, 1.0, 1.0, 1.0), "top-k must be from 1 to 196,560"),
        ((1, "sketch", "roses", 0, False, 1.0, 1.0, 300, 1.0, 1.0, 1.0), "at most 256"),
        ((1, "sketch", "<img src=x onerror=alert(1)>", 0, False, *CONTROLS), "unknown class"),
        ((1, "sketch", "roses", "x", False, *CONTROLS), ""),
    ],
)
def test_what_cannot_be_drawn_is_a_message(app, data, said):
    event, answer = events(app, "generate", *data)[-1]
    assert event == "error"
    assert said in json.dumps(answer)
    assert "Traceback" not in json.dumps(answer)
    assert "<img" not in json.dumps(answer)


def test_a_painted_part_is_drawn_anew(app, pair, picture):
    layer = np.zeros((40, 40, 4), dtype=np.uint8)
    layer[:, :20] = 255
    painting = {"background": upload(app, png_of(picture)), "layers": [upload(app, png_of(layer))], "composite": None}
    rest = ("sketch", "daisy", 5, False, *CONTROLS)
    event, (gallery, table, _) = events(app, "edit", painting, "Fill what is painted", 0.25, 3, 2, *rest)[-1]
    assert event == "complete"
    assert table["figures"]["edit"] == "filled 50% of a picture"
    expected = finished(fill(pair, picture, layer[..., 3] > 0, Order(["daisy"] * 2, seed=5)))
    assert agree(fetch(app, gallery[1])[0], expected.images[1])
    for what, kept, said in (("Draw around it", 3, "drew a border"), ("Draw its details anew", 2, "kept 2 of 3")):
        event, answer = events(app, "edit", painting, what, 0.25, kept, 1, *rest)[-1]
        assert event == "complete"
        assert answer[1]["figures"]["edit"].startswith(said)
    bare = painting | {"layers": []}
    for value, what, kept, said in (
        (bare, "Fill what is painted", 3, "nothing is painted"),
        (None, "Fill what is painted", 3, "choose a picture first"),
        (bare, "Draw its details anew", 9, "1 to 2 scales to keep"),
    ):
        event, answer = events(app, "edit", value, what, 0.25, kept, 1, *rest)[-1]
        assert event == "error"
        assert said in json.dumps(answer)


@pytest.mark.parametrize(
    "background",
    [
        {"path": "/etc/passwd", "meta": FILE},
        {"path": "/etc/passwd"},
        {"path": "https://example.com/x.png", "url": "https://example.com/x.png", "meta": FILE},
        {"path": None, "url": "data:image/png;base64,iVBORw0KGgo=", "meta": FILE},
        "just a text",
    ],
)
def test_what_was_not_uploaded_is_not_read(app, background):
    painting = {"background": background, "layers": [], "composite": None}
    event, answer = events(
        app, "edit", painting, "Draw its details anew", 0.25, 2, 1, "sketch", "daisy", 5, False, *CONTROLS
    )[-1]
    assert event == "error"
    assert "root:" not in json.dumps(answer)


def test_the_endpoints_are_named_and_ask_for_what_they_say(app):
    named = httpx.get(f"{app}gradio_api/info", timeout=300).json()["named_endpoints"]
    ends = [[f"{name}, {end} scale" for end in ("coarsest", "finest")] for name in ("Temperature", "Guidance")]
    asked = ["Generator", "Class", "Seed", "A new seed every time", *ends[0], "Top-k", "Top-p", *ends[1]]
    assert [p["label"] for p in named["/generate"]["parameters"]] == ["Pictures", *asked]
    assert [p["label"] for p in named["/edit"]["parameters"]][1:5] == [
        "What to do",
        "Border",
        "Coarse scales to keep",
        "Answers",
    ]


def test_what_the_inputs_show(pair, tmp_path, monkeypatch):
    assert _choices("sketch").choices == [("daisy", "daisy"), ("roses", "roses"), ("none", "none")]
    assert _preset("faithful") == (0.8, 0.3, 0, 1, 3.0, 2.0)
    assert [each.visible for each in _asked("Draw around it")] == [True, False]
    assert _notice() == ""
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(catalogue.hub, "PRETRAINED", tmp_path)
    monkeypatch.setattr(catalogue, "_fetched", lambda: iter(()))
    assert "python -m training.generator" in _notice()


def test_an_edit_is_shown_beside_the_picture_it_began_from(pair, picture):
    painted = Painted(png_of(picture), ())
    rest = ("sketch", "daisy", 5, False, *CONTROLS)
    *_, (viewed, table) = _viewed(painted, "Draw its details anew", 0.25, 2, 2, *rest, None)
    assert [each["name"] for each in viewed["items"]] == ["before", "answer 1", "answer 2"]
    assert viewed["size"] == [32, 32]
    assert table["figures"]["done"]


def test_a_sample_comes_enlarged_into_the_editor(tmp_path, picture):
    path = tmp_path / "sample.png"
    Image.fromarray(picture).save(path)
    value = _taken([(str(path), "roses, 1")], 3)
    assert value["background"].shape == (480, 480, 3)
    assert np.array_equal(value["background"][::12, ::12], picture)
    assert value["layers"] == []


def test_what_a_browser_sends_ahead_reaches_the_editor_unopened():
    editor = painting_input("Picture", elem_id="painting")
    editor.blob_storage["7"] = EditorDataBlobs(background=b"no picture", layers=[None, b"paint"], composite=b"both")
    assert editor.preprocess(EditorData(id="7")) == Painted(b"no picture", (b"paint",))
    assert not editor.blob_storage
    assert editor.preprocess(EditorData(id="7")) is None
