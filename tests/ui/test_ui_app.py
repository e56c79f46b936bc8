"""The app by its API: results are exact, errors are messages, and nothing that was not offered can be had."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from stranger import FILE, agree, call, served, upload

from workbench.errors import InputError
from workbench.images.files import read_image, write_png
from workbench.models.tokenizer import Tokenizer

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 420  # seconds: far more than any machine needs


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "picture.png"
    write_png(np.random.default_rng(5).integers(0, 256, (44, 61, 3), dtype=np.uint8), path)
    return path


def test_reconstruct_serves_the_very_pixels_as_png(app, picture, tiny_model):
    event, data = call(app, "reconstruct", upload(app, picture.read_bytes()), "tiny")
    assert event == "complete", data
    (before, after), errors, tokens, table = data
    original = read_image(picture)
    expected = Tokenizer.from_pretrained(tiny_model).reconstruct(original)
    assert np.array_equal(served(app, before)[1], original)
    assert agree(served(app, after)[1], expected.image)
    assert {served(app, value)[0] for value in (before, after)} == {"PNG"}
    for value in (errors, tokens):
        kind, fetched = served(app, value)
        assert kind == "PNG"
        assert fetched.shape == (44, 61, 3)
    figures = table["figures"]
    assert figures["model"] == "tiny"
    assert figures["tokens"] == expected.indices.size
    assert figures["bits"] == pytest.approx(expected.bits, abs=1e-3)
    assert figures["ms_ssim"] is None
    shown = {row["name"]: row["value"] for row in table["rows"]}
    assert shown["PSNR"] == f"{figures['psnr']:.2f} dB"
    assert {"PSNR", "SSIM", "MS-SSIM", "Tokens", "Bits", "Bits per pixel", "Time"} <= set(shown)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "not a picture"),
        (b"", "not a picture"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 64, "cut short or damaged"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture"),
    ],
)
@pytest.mark.parametrize("name", ["trick.png", "trick.svg", "<img src=x onerror=alert(1)>.png", "../../up.png"])
def test_files_that_are_no_pictures_are_refused_in_plain_text(app, content, said, name):
    event, data = call(app, "reconstruct", upload(app, content, name), "tiny")
    assert event == "error"
    assert said in data["error"]
    assert "<" not in data["error"]
    assert "tmp" not in data["error"]
    assert "Traceback" not in json.dumps(data)


def test_a_bomb_is_refused_before_it_is_decoded(app):
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, format="PNG")
    event, data = call(app, "reconstruct", upload(app, bomb.getvalue()), "tiny")
    assert event == "error"
    assert "pixels" in data["error"]


@pytest.mark.parametrize(
    "value",
    [
        {"path": "/etc/passwd", "meta": FILE},
        {"path": "../../../etc/passwd", "meta": FILE},
        {"path": "http://127.0.0.1:1/x.png", "meta": FILE},
        {"path": "https://example.com/x.png", "url": "https://example.com/x.png", "meta": FILE},
        {"path": None, "url": "data:image/png;base64,iVBORw0KGgo=", "meta": FILE},
        {"url": "file:///etc/passwd", "meta": FILE},
        "just a text",
        7,
        None,
    ],
)
def test_what_was_not_uploaded_is_not_read(app, value):
    event, data = call(app, "reconstruct", value, "tiny")
    assert event == "error"
    assert "root:" not in json.dumps(data)


def test_a_model_that_is_not_in_the_list_is_refused(app, picture):
    value = upload(app, picture.read_bytes())
    for model in ("no-such-model", "/tmp", "owner/name", "../tiny", 3, None, ["tiny"]):
        assert call(app, "reconstruct", value, model)[0] == "error", model
    assert call(app, "reconstruct", value, "tiny")[0] == "complete"


def test_files_of_the_machine_are_not_served(app, picture):
    for path in ("/etc/passwd", str(picture), "../../../../etc/passwd", str(REPOSITORY / "pyproject.toml")):
        for prefix in ("gradio_api/file=", "file=", "gradio_api/proxy=", "static/"):
            answer = httpx.get(f"{app}{prefix}{path}", timeout=PATIENCE)
            assert answer.status_code in {400, 403, 404, 405}, (prefix, path)


def test_uploads_are_bounded(app):
    answer = httpx.post(f"{app}gradio_api/upload", files={"files": io.BytesIO(bytes(21 * 2**20))}, timeout=PATIENCE)
    assert answer.status_code == 413


def test_the_page_is_this_machine_s_alone_and_keeps_nothing(app):
    config = httpx.get(f"{app}config", timeout=PATIENCE).json()
    assert config["analytics_enabled"] is False
    assert not config.get("run_history")
    answer = httpx.get(f"{app}config", headers={"Origin": "https://example.com"}, timeout=PATIENCE)
    assert answer.headers.get("access-control-allow-origin") != "https://example.com"


def test_public_endpoints_have_stable_names_and_typed_inputs(app):
    named = httpx.get(f"{app}gradio_api/info", timeout=PATIENCE).json()["named_endpoints"]
    assert {"/reconstruct", "/golay", "/codeword", "/nearest", "/shell"} <= set(named)
    assert not [name for name in named if name[-2:-1] == "_" and name[-1].isdigit()], "an endpoint named by accident"
    for name, endpoint in named.items():
        assert re.fullmatch("/[a-z]+(_[a-z]+)*", name), name
        for parameter in endpoint["parameters"]:
            assert parameter["type"], name
            assert not parameter["parameter_name"].startswith("param_"), name
    assert [p["label"] for p in named["/reconstruct"]["parameters"]] == ["Your picture", "Tokenizer"]


@pytest.mark.parametrize("setting", ["allowed_paths", "share", "max_file_size", "strict_cors", "run_history"])
def test_safety_settings_cannot_be_loosened(setting):
    from workbench.ui.app import launch

    with pytest.raises(InputError, match=setting):
        launch(object(), **{setting: None})


def test_network_work_shares_one_place_and_the_queue_is_bounded():
    # In a process of its own: what Gradio builds holds event loops that only the end of a process closes.
    code = """
import json, sys
from workbench.ui.app import build
page = build()
events = {fn.api_name: [fn.concurrency_id, fn.concurrency_limit] for fn in page.fns.values()}
json.dump({"queue": page._queue.max_size, "events": events}, sys.stdout)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    page = json.loads(run.stdout)
    assert 1 <= page["queue"] <= 64
    for name in ("reconstruct", "nearest", "generate", "edit"):
        assert page["events"][name] == ["model", 1]


@pytest.mark.parametrize("route", ["run", "api"])
def test_nobody_passes_the_queue(app, picture, route):
    body = {"data": [upload(app, picture.read_bytes()), "tiny"]}
    answer = httpx.post(f"{app}gradio_api/{route}/reconstruct", json=body, timeout=PATIENCE)
    assert answer.status_code == 404
    assert "queue" in answer.json()["detail"]


def test_the_example_of_the_readme(app, picture):
    code = f"""
from gradio_client import Client, handle_file
client = Client({app!r}, verbose=False)
slider, error_map, token_map, table = client.predict(handle_file({str(picture)!r}), "tiny", api_name="/reconstruct")
print(table["figures"]["psnr"], table["figures"]["bpp"])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    psnr, bits_per_pixel = map(float, run.stdout.split())
    assert 0 < psnr < 60
    assert 0 < bits_per_pixel < 1
    assert 'api_name="/reconstruct"' in (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_golay(app):
    event, (array, table) = call(app, "golay", [0, 1, 2, 3, 4])
    assert event == "complete"
    assert table["figures"]["octad"] == [0, 1, 2, 3, 4, 6, 18, 21]
    assert array.count("octad") == 8
    assert call(app, "golay", [7, 8])[1][1]["figures"]["octads_through"] == 77
    for wrong in ([0, 1, 2, 3, 4, 5], [24], "0", [[0]], [0, 0]):
        assert call(app, "golay", wrong)[0] == "error", wrong


def test_a_codeword_and_its_neighbours(app):
    event, (array, plot, table) = call(app, "codeword", "leech", 97152)
    assert event == "complete"
    assert table["figures"]["spectrum"]["16"] == 4600
    assert plot["type"] == "plotly"
    assert array.count("<td") == 24
    word = " ".join(map(str, table["figures"]["word"]))
    event, data = call(app, "nearest", word, "leech", 3)
    assert event == "complete", data
    _, words, table = data
    assert words["data"][0][:3] == [97152, "(±3, ±1²³)", 0]
    assert [row[2] for row in words["data"][1:]] == [60, 60]
    assert table["figures"]["structured_us"] > 0
    for text in ("", "1 2 3", "a b c", "1e400 " * 24, "0 " * 24, "nan " * 24):
        event, data = call(app, "nearest", text, "leech", 3)
        assert event == "error", text
        assert "numbers" in data["error"]
    for index in (-1, 196_560, 1e30, "x"):
        assert call(app, "codeword", "leech", index)[0] == "error", index
    assert call(app, "nearest", word, "leech", 100)[0] == "error"


def test_the_shell_is_shown_whole_or_says_how_much(app):
    whole = call(app, "shell", "Three octads", "leech", 0)[1]
    assert "196,560 words on 123 points" in json.dumps(whole)
    sample = call(app, "shell", "Random directions", "leech", 5)[1]
    assert "6,000 words" in json.dumps(sample)


def test_usage_counts_uploads_and_says_what_it_passed_over(app, picture):
    files = [upload(app, picture.read_bytes(), "a.png"), upload(app, b"nothing", "b.png")]
    event, data = call(app, "usage", "tiny", files, "", 10)
    assert event == "complete", data
    figures = data[0]["figures"]
    assert figures["tokens"] == 6 * 8
    assert figures["size"] == 240
    assert len(figures["errors"]) == 1
    assert {row["name"] for row in data[0]["rows"]} >= {"Words seen", "Entropy", "Perplexity", "Gini", "Passed over"}


@pytest.mark.parametrize("folder", ["/etc", "/", "..", "~", "/tmp/../etc"])
def test_a_folder_is_read_only_if_the_app_was_started_with_it(app, folder):
    event, data = call(app, "usage", "tiny", None, folder, 10)
    assert event == "error"
    assert "--allow-path" in data["error"]
