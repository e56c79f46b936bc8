"""The Train tab by its API: a run from start to a model in every list, and what is refused."""

import io
import json
import time
import zipfile

import httpx
import numpy as np
import pytest
from PIL import Image
from stranger import FILE, call, upload

PATIENCE = 420  # seconds: far more than any machine needs
DRAWN, ARCHIVE, FOLDER = "Drawn by rule", "An archive", "A folder on this machine"


def archive_of(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.fixture(scope="module")
def pictures():
    """A .zip of a few pictures."""
    luck, members = np.random.default_rng(0), {}
    for number in range(4):
        file = io.BytesIO()
        Image.fromarray(luck.integers(0, 256, (66, 70, 3), dtype=np.uint8)).save(file, format="PNG")
        members[f"set/{number}.png"] = file.getvalue()
    return archive_of(members)


def train(app, name, *, source=DRAWN, archive=None, folder="", quantizer="e8", body="smallest", minutes=0.1, seed=0):
    return call(app, "train", source, archive, folder, quantizer, body, minutes, seed, name)


def figures(app, name):
    event, data = call(app, "training", name)
    assert event == "complete", data
    return data[0]["figures"]


def wait_until(app, name, *states):
    until = time.monotonic() + PATIENCE
    while (found := figures(app, name))["state"] not in states:
        assert time.monotonic() < until, found
        time.sleep(0.2)
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "../up"}, "lower-case letters"),
        ({"name": ""}, "lower-case letters"),
        ({"name": None}, "lower-case letters"),
        ({"name": "tiny"}, "taken"),
        ({"quantizer": "leach"}, "leach"),
        ({"body": "huge"}, "huge"),
        ({"minutes": 1e9}, ""),
        ({"minutes": 0}, ""),
        ({"minutes": None}, "minutes"),
        ({"minutes": "x"}, ""),
        ({"seed": -1}, ""),
        ({"source": "elsewhere"}, "elsewhere"),
        ({"source": FOLDER, "folder": "/etc"}, FOLDER),  # not offered: the app was started without --allow-path
        ({"source": ARCHIVE}, "choose an archive"),
        ({"source": ARCHIVE, "archive": {"path": "/etc/passwd", "meta": FILE}}, ""),
        ({"source": ARCHIVE, "archive": {"path": "http://127.0.0.1:1/x.zip", "meta": FILE}}, "fetches nothing"),
        ({"source": ARCHIVE, "archive": {"path": "https://example.com/x.zip", "meta": FILE}}, "fetches nothing"),
    ],
)
def test_what_is_wrong_is_a_message_and_nothing_starts(app, change, said):
    event, data = train(app, **({"name": "fine"} | change))
    assert event == "error"
    assert said in json.dumps(data)
    assert "root:" not in json.dumps(data)
    assert "Traceback" not in json.dumps(data)
    assert call(app, "training", "fine")[0] == "error"


@pytest.mark.parametrize(
    "content", [b"", b"no archive", archive_of({"notes.txt": b"text"}), archive_of({"a.png": b""})[:60]]
)
def test_archives_that_cannot_be_used_are_a_message(app, content):
    event, data = train(app, "fine", source=ARCHIVE, archive=upload(app, content, "<b>set.zip"))
    assert event == "error"
    assert ".zip" in data["error"]
    assert "<b>" not in data["error"]
    assert "tmp" not in data["error"]


def test_runs_that_are_not_there_are_named(app):
    for endpoint in ("training", "train_stop", "train_resume", "train_model"):
        for name in ("nowhere", "../up", "<b>x"):
            event, data = call(app, endpoint, name)
            assert event == "error", (endpoint, name)
            assert "<" not in data["error"]
    event, data = call(app, "training", None)
    assert event == "complete"
    assert data[0]["figures"] == {}


def test_a_folder_is_one_that_the_app_was_started_with_or_below_it(tmp_path):
    from workbench.errors import InputError
    from workbench.ui.context import Context

    inside, outside = tmp_path / "allowed" / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir(parents=True)
    (inside / "way-out").symlink_to(outside)
    context = Context((tmp_path / "allowed",))
    for fine in (inside, inside / "..", f"  {inside} "):
        assert context.folder(str(fine)).is_relative_to((tmp_path / "allowed").resolve())
    for wrong in (outside, inside / "way-out", inside / ".." / "..", "/", "~", ".", "relative", f"{tmp_path}/allowed2"):
        with pytest.raises(InputError, match="--allow-path"):
            context.folder(str(wrong))
    with pytest.raises(InputError, match="no such"):
        context.folder(str(inside / "nothing"))
    with pytest.raises(InputError, match="now: none"):
        Context().folder(str(inside))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_is_started_watched_stopped_gone_on_with_and_given_out(app, pictures):
    event, data = train(app, "mine", source=ARCHIVE, archive=upload(app, pictures, "set.zip"), minutes=240)
    assert event == "complete", data
    assert data[0]["value"] == "mine"
    event, data = train(app, "other")
    assert event == "error"
    assert "one run at a time" in data["error"]

    # The app answers while it trains.
    assert figures(app, "mine")["state"] == "running"
    until = time.monotonic() + PATIENCE
    while not figures(app, "mine")["step"]:
        assert time.monotonic() < until
        time.sleep(0.2)
    event, data = call(app, "train_model", "mine")
    assert event == "error"
    assert "no finished model" in data["error"]

    assert call(app, "train_stop", "mine")[0] == "complete"
    stopped = figures(app, "mine")
    assert stopped["state"] == "stopped"
    event, data = call(app, "train_resume", "mine")
    assert event == "complete", data
    wait_until(app, "mine", "running")
    call(app, "train_stop", "mine")
    assert figures(app, "mine")["state"] == "stopped"

    event, data = train(app, "given", source=ARCHIVE, archive=upload(app, pictures, "set.zip"))
    assert event == "complete", data
    done = wait_until(app, "given", "done", "failed", "stopped")
    assert done["state"] == "done"
    assert done["psnr"] > 5
    _, preview, _, quality = call(app, "training", "given")[1][:4]
    assert preview["url"].endswith(".png")
    assert quality["type"] == "plotly"

    # The model is downloaded whole, and is on offer in the other tabs.
    event, data = call(app, "train_model", "given")
    assert event == "complete", data
    with zipfile.ZipFile(io.BytesIO(httpx.get(data[0]["value"]["url"], timeout=PATIENCE).content)) as archive:
        assert {"given/config.json", "given/model.safetensors", "given/README.md"} <= set(archive.namelist())
    picture = io.BytesIO()
    Image.new("RGB", (40, 24), (200, 40, 90)).save(picture, format="PNG")
    event, data = call(app, "reconstruct", upload(app, picture.getvalue(), "picture.png"), "given")
    assert event == "complete", data
    event, data = call(app, "train_resume", "given")
    assert event == "error"
    assert "is done" in data["error"]
