"""Fixtures for every room: the shared pictures, and how many tests went without them."""

import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, and no clock: a busy machine is not a wrong program.
settings.register_profile("patient", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

SHARED = Path(os.environ.get("WORKBENCH_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared pictures, weights and fixtures; the test skips where there is none."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no shared data at {SHARED}: set WORKBENCH_SHARED to its folder")
    return SHARED


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a small tokenizer with random weights and the 240 words of E8."""
    import torch

    from workbench.models.grid_tokenizer import GridTokenizer
    from workbench.models.presets import body_preset

    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "e8"}, name="tiny")
    directory = tmp_path_factory.mktemp("models") / "tiny"
    model.eval().save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def tiny_generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small generator, `sketch`, and its tokenizer, `pyramid`: random weights, two classes, 32 pixels."""
    import torch

    from workbench.models.generator import Generator
    from workbench.models.generator_presets import trunk_preset
    from workbench.models.presets import body_preset
    from workbench.models.pyramid_tokenizer import PyramidTokenizer

    folder = tmp_path_factory.mktemp("generator")
    quantizer = {"name": "multiscale", "base": "leech", "scales": [1, 2, 4], "gains": [1.5, 1.25, 0.8]}
    with torch.random.fork_rng():
        torch.manual_seed(7)
        tokenizer = PyramidTokenizer(body=body_preset("conv-tiny-8"), quantizer=quantizer, name="pyramid")
        tokenizer.save_pretrained(folder / "pyramid")
        generator = Generator(
            trunk=trunk_preset("nano"),
            head={"kind": "lattice", "components": 2},
            scales=[1, 2, 4],
            classes=["daisy", "roses"],
            tokenizer={
                "name": "pyramid",
                "code": "leech",
                "weights": PyramidTokenizer.from_pretrained(folder / "pyramid").weights_hash,
            },
            name="sketch",
        )
    generator.save_pretrained(folder / "sketch")
    return folder


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_generator: Path) -> Iterator[str]:
    """Address of the app, started as a person starts it; tiny models stand in its lists beside the bundled ones."""
    import httpx

    port = _free_port()
    cache = tmp_path_factory.mktemp("cache")
    shutil.copytree(tiny_model, cache / "tiny")
    shutil.copytree(tiny_generator, cache, dirs_exist_ok=True)
    command = [sys.executable, "app.py", "--port", str(port), "--no-browser"]
    address = f"http://127.0.0.1:{port}/"
    with (tmp_path_factory.mktemp("app") / "log").open("w+") as log:
        environment = {**os.environ, "WORKBENCH_CACHE": str(cache)}
        process = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=log, stderr=log, env=environment)
        try:
            for _ in range(3000):
                if process.poll() is not None:
                    log.seek(0)
                    pytest.fail(f"the app ended with status {process.returncode}: {log.read()[-2000:]}")
                try:
                    httpx.get(address, timeout=5)
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield address
            if process.poll() is not None:
                log.seek(0)
                pytest.fail(f"the app died with status {process.returncode}: {log.read()[-4000:]}")
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    """A port below those that systems give to outgoing connections, one of which could take it before the app does."""
    for port in random.Random(os.getpid()).sample(range(10_000, 16_000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    pytest.fail("no port from 10000 to 16000 is free")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests went without the shared pictures."""
    without = [r for r in terminalreporter.stats.get("skipped", []) if "WORKBENCH_SHARED" in str(r.longrepr)]
    if without:
        terminalreporter.write_line(f"{len(without)} tests skipped for want of the shared pictures ({SHARED})")
