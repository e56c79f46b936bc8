"""The app as a stranger meets it: plain HTTP, without Gradio's client."""

import io
import json

import httpx
import numpy as np
from PIL import Image

FILE = {"_type": "gradio.FileData"}


def events(app, name, *data, timeout=600):
    """Call an endpoint: all (event, data) but heartbeats; a refusal at the door is an `error` too."""
    start = httpx.post(f"{app}gradio_api/call/{name}", json={"data": data}, timeout=timeout)
    assert start.status_code < 500, (name, data, start.text)
    if start.status_code != 200:
        return [("error", start.json())]
    found, event = [], "none"
    with httpx.stream("GET", f"{app}gradio_api/call/{name}/{start.json()['event_id']}", timeout=timeout) as stream:
        for line in stream.iter_lines():
            if line.startswith("event:"):
                event = line.removeprefix("event:").strip()
            elif line.startswith("data:") and event != "heartbeat":
                found.append((event, json.loads(line.removeprefix("data:"))))
    return found


def call(app, name, *data, timeout=600):
    """Call an endpoint: its last (event, data)."""
    return events(app, name, *data, timeout=timeout)[-1]


def upload(app, content, name="picture.png"):
    """Upload a file and return the value that an input for it takes."""
    answer = httpx.post(f"{app}gradio_api/upload", files={"files": (name, content)}, timeout=600)
    assert answer.status_code == 200, answer.text
    return {"path": answer.json()[0], "orig_name": name, "meta": FILE}


def fetched(app, value):
    """The content of a file of an answer."""
    url = value["url"] if value["url"].startswith("http") else app + value["url"].lstrip("/")
    return httpx.get(url, timeout=600).content


def served(app, value):
    """A picture of an answer: (format, pixels)."""
    with Image.open(io.BytesIO(fetched(app, value))) as image:
        return image.format, np.asarray(image.convert("RGB"))


def agree(got, expected):
    """Whether two processes decoded the same picture: sums of floats depend on the number of threads in the last place,
    so that here and there a value falls to the other side of a rounding."""
    steps = np.abs(got.astype(int) - expected)
    return got.shape == expected.shape and steps.max() <= 1 and np.count_nonzero(steps) <= 0.01 * steps.size
