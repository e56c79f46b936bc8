"""Compiling is never counted as a picture's own time, and the app has it done before the first click."""

import subprocess
import sys

import numpy as np
import pytest

from workbench.lattices import jit
from workbench.tasks import reconstruct
from workbench.tasks.compress import picture
from workbench.tasks.compress.codec import load_codec

FIRST_USE = """
import numpy as np
from workbench.lattices.jit import requested
from workbench.tasks.compress.codec import load_codec
from workbench.tasks.compress.picture import compress_image, decompress_image
from workbench.tasks.reconstruct import reconstruct_image
from workbench.tasks.rehearse import rehearse_first_use

rehearse_first_use()
known = requested()
assert known
image = np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8)
codec = load_codec()
for effort in (0, 1):
    reconstruct_image(image, codec.tokenizer, effort=effort)
    for entropy in codec.entropies:
        decompress_image(compress_image(image, codec, entropy=entropy, effort=effort).data, codec=codec)
assert requested() == known, requested() - known
"""


@pytest.mark.slow
def test_what_the_app_serves_first_compiles_nothing_at_the_first_click():
    subprocess.run([sys.executable, "-c", FIRST_USE], check=True)


def test_rehearsals_are_not_counted(tiny_model, monkeypatch):
    now = [0.0]  # a clock that moves while kernels are rehearsed, and only then
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def late(function):
        def call(*args, **kwargs):
            now[0] += 60.0
            return function(*args, **kwargs)

        return call

    for module, name in ((picture, "search"), (picture, "coder"), (reconstruct, "search")):
        monkeypatch.setattr(module, f"rehearse_{name}", late(getattr(module, f"rehearse_{name}")))
    codec = load_codec(str(tiny_model))
    image = np.zeros((16, 24, 3), np.uint8)
    made = picture.compress_image(image, codec)
    assert made.seconds == 0.0
    assert picture.decompress_image(made.data, codec=codec).seconds == 0.0
    assert reconstruct.reconstruct_image(image, codec.tokenizer).seconds == 0.0
    assert now[0] == 60.0 * 4


def test_whoever_asked_is_told_that_kernels_are_compiled(monkeypatch):
    heard = []
    monkeypatch.setattr(jit, "_say_once", lambda text: None)
    with jit.announced(heard.append):
        jit._announce()
    jit._announce()
    assert heard == [jit.COMPILING]
