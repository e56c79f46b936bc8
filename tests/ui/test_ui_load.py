"""The app under many hands: nobody gets another's result, nothing grows, a place that is given up is free again."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from stranger import FILE, agree, call, events, fetched, served, upload

from workbench.models.tokenizer import Tokenizer

WRONG = [
    *(None, -1, 2**70, 1e308, True, "x", "../../../etc/passwd", "http://127.0.0.1:1/x.png", [], [[0, -5]], {}),
    *({"path": 3}, {"path": "/etc/passwd", "meta": FILE}, {"url": "file:///etc/passwd", "meta": FILE}),
    {"data": [["a"]], "headers": []},
]


def picture(seed, height=24, width=32):
    """A small picture of noise, as PNG, and its pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG")
    return content.getvalue(), pixels


def one_user(app, tiny_model, seed):
    """Someone who does a bit of everything, and knows what has to come back."""
    content, pixels = picture(seed, 24 + seed, 32 + seed)
    model = Tokenizer.from_pretrained(tiny_model)
    expected = model.reconstruct(pixels)
    event, data = call(app, "reconstruct", upload(app, content), "tiny")
    assert event == "complete", data
    (before, after), *_, table = data
    assert np.array_equal(served(app, before)[1], pixels)
    assert agree(served(app, after)[1], expected.image)
    assert table["figures"]["tokens"] == expected.indices.size
    event, data = call(app, "golay", [seed % 24])
    assert event == "complete", data
    assert data[1]["figures"]["octads_through"] == 253
    event, data = call(app, "usage", "tiny", [upload(app, content)], "", 10)
    assert event == "complete", data
    assert data[0]["figures"]["tokens"] == expected.indices.size
    event, data = call(app, "generate", 1, "sketch", "roses", seed, False, 1.0, 1.0, 0, 1.0, 1.0, 1.0)
    assert event == "complete", data
    return str(data)


def together(app, tiny_model, count):
    """So many users at once; what each was drawn."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda seed: one_user(app, tiny_model, seed), range(count)))


@pytest.mark.slow
def test_three_at_once_get_their_own(app, tiny_model):
    assert len(set(together(app, tiny_model, 3))) == 3


@pytest.mark.heavy
def test_ten_at_once_get_their_own(app, tiny_model):
    assert len(set(together(app, tiny_model, 10))) == 10


@pytest.mark.slow
def test_nothing_that_is_sent_gives_more_than_a_message(app):
    """Every public endpoint, with wrong types, wrong ranges, other people's paths and addresses, and wrong counts."""
    named = httpx.get(f"{app}gradio_api/info", timeout=60).json()["named_endpoints"]
    for name, endpoint in named.items():
        count = len(endpoint["parameters"])
        if not count:
            continue
        for value in WRONG:
            for event, data in events(app, name.lstrip("/"), *[value] * count):
                assert event in {"complete", "error", "generating"}, (name, value, event)
                text = str(data)
                assert "Traceback" not in text, (name, value)
                assert "root:" not in text, (name, value)
                assert 'File "' not in text, (name, value)
        for length in {0, max(0, count - 1), count + 3}:
            for _, data in events(app, name.lstrip("/"), *["x"] * length):
                assert "Traceback" not in str(data), (name, length)
    content, _ = picture(0)
    assert call(app, "reconstruct", upload(app, content), "tiny")[0] == "complete"


@pytest.mark.slow
def test_a_place_that_is_given_up_is_free_again(app):
    """Someone asks for much and goes away; the next one is served all the same."""
    session = "gone"
    payload = {
        "data": [16, "flowers-64", "none", 0, False, 1.0, 1.0, 0, 1.0, 1.0, 2.0],
        "session_hash": session,
        "fn_index": index_of(app, "generate"),
    }
    joined = httpx.post(f"{app}gradio_api/queue/join", json=payload, timeout=60)
    assert joined.status_code == 200, joined.text
    cancelled = httpx.post(
        f"{app}gradio_api/cancel",
        json={"session_hash": session, "fn_index": payload["fn_index"], "event_id": joined.json()["event_id"]},
        timeout=60,
    )
    assert cancelled.status_code == 200, cancelled.text
    content, _ = picture(1)
    assert call(app, "reconstruct", upload(app, content), "tiny")[0] == "complete"


def index_of(app, name):
    """Number of an event by the name of its endpoint."""
    config = httpx.get(f"{app}config", timeout=60).json()
    return next(each["id"] for each in config["dependencies"] if each["api_name"] == name)


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of a process is read from /proc")
def test_two_hundred_generations_leave_memory_as_it_was(app):
    """Growth of the app's resident memory under 5 %, from the 20th to the 220th."""

    def draw(times):
        for seed in range(times):
            assert call(app, "generate", 1, "sketch", "roses", seed, False, 1.0, 1.0, 0, 1.0, 1.0, 1.0)[0] == "complete"

    draw(20)
    before = resident(app)
    draw(200)
    assert resident(app) < 1.05 * before


def resident(app):
    """Resident memory, in kB, of the process that serves an address."""
    port = app.rstrip("/").rpartition(":")[2]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            if b"app.py" in arguments and port.encode() in arguments:
                lines = (folder / "status").read_text().splitlines()
                return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])
        except OSError:
            continue
    pytest.fail(f"no process serves {app}")


@pytest.mark.slow
def test_a_result_can_be_fetched_by_its_address_alone_and_no_other(app):
    content, pixels = picture(2)
    _, data = call(app, "reconstruct", upload(app, content), "tiny")
    value = data[0][0]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(fetched(app, value))).convert("RGB")), pixels)
    folder = Path(value["path"]).parent
    for path in (folder, f"{folder}/", f"{value['path']}/..", folder.parent):
        answer = httpx.get(f"{app}gradio_api/file={path}", timeout=60)
        assert answer.status_code in {400, 403, 404, 405}, path
