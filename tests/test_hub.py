"""Names resolve in one order, a bundled name costs no request, and a configuration holds no code."""

import hashlib
import json
import os

import pytest

from workbench import atomic, hub
from workbench.errors import ModelError


@pytest.fixture
def model():
    """Make a model's directory anywhere."""

    def make(directory, kind="tokenizer", **config):
        directory.mkdir(parents=True)
        (directory / "config.json").write_text(json.dumps({"kind": kind, **config}))
        (directory / "model.safetensors").write_bytes(b"")
        return directory

    return make


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """An empty package, an empty cache, and a network that counts requests."""
    requests = []
    monkeypatch.setattr(hub, "PRETRAINED", tmp_path / "pretrained")
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))

    def fetch(repository, file, *, local_files_only=False, **_):
        from huggingface_hub.errors import LocalEntryNotFoundError

        requests.append((repository, file, local_files_only))
        raise LocalEntryNotFoundError("host unreachable")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    monkeypatch.chdir(tmp_path)
    return requests


def test_bundled_comes_before_a_directory_and_the_cache(tmp_path, places, model):
    in_package = model(tmp_path / "pretrained" / "small")
    here, cached = model(tmp_path / "small"), model(tmp_path / "cache" / "small")
    assert hub.resolve("small") == in_package
    (in_package / "config.json").unlink()
    assert hub.resolve("small").resolve() == here
    here.rename(tmp_path / "elsewhere")
    assert hub.resolve("small") == cached
    assert hub.resolve(str(tmp_path / "elsewhere")) == tmp_path / "elsewhere"
    assert places == []


def test_only_owner_and_name_reach_the_network_after_the_cache(places):
    with pytest.raises(ModelError, match=r"cannot fetch config.json of 'someone/model'.*pass the path"):
        hub.resolve("someone/model")
    assert places == [("someone/model", "config.json", True), ("someone/model", "config.json", False)]


def test_what_is_in_the_hub_cache_is_not_requested(tmp_path, monkeypatch, model):
    snapshot = model(tmp_path / "snapshot")
    calls = []

    def cached(repository, file, *, local_files_only=False):
        calls.append(local_files_only)
        return str(snapshot / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", cached)
    assert hub.resolve("someone/model") == snapshot
    assert calls == [True]


@pytest.mark.parametrize("name", ["", "smal", "../small", "a/b/c", "http://x/y", "-x/y", "a/..", "~nobody/x"])
def test_unknown_names_are_refused_without_a_request(tmp_path, places, model, name):
    model(tmp_path / "pretrained" / "small")
    with pytest.raises(ModelError, match="unknown tokenizer"):
        hub.resolve(name)
    assert places == []


def test_the_error_proposes_the_nearest_name_of_the_kind(tmp_path, model):
    model(tmp_path / "pretrained" / "photo-leech")
    model(tmp_path / "pretrained" / "photo-leach", kind="features")
    with pytest.raises(ModelError, match="did you mean 'photo-leech'"):
        hub.resolve("photo-leach2")
    assert list(hub.bundled("features")) == ["photo-leach"]


def test_a_directory_without_weights_is_no_model(tmp_path, model):
    (model(tmp_path / "half") / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has no model\.safetensors"):
        hub.resolve(str(tmp_path / "half"))


def test_a_configuration_comes_back_without_its_kind(tmp_path, model):
    directory = model(tmp_path / "m", name="m", numbers=[1, 2])
    assert hub.read_config(directory, "tokenizer") == {"name": "m", "numbers": [1, 2]}
    with pytest.raises(ModelError, match="describes a 'tokenizer', expected a 'generator'"):
        hub.read_config(directory, "generator")


CONFIGS = {
    "code": ('{"kind":"tokenizer","body":{"_target_":"os.system"}}', "names code to run"),
    "code in a list": ('{"kind":"tokenizer","x":[{"auto_map":{}}]}', "names code to run"),
    "twice": ('{"kind":"tokenizer","a":1,"a":2}', "'a' stands twice"),
    "NaN": ('{"kind":"tokenizer","a":NaN}', "NaN is not a number"),
    "a list": ("[]", "got a list"),
    "no JSON": ("os.system('x')", "not a configuration in JSON"),
    "depth": ("[" * 100_000, "not a configuration in JSON"),
    "size": ('{"a":"' + "x" * (1 << 20) + '"}', "too large"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_hostile_configurations_are_refused(tmp_path, case):
    text, message = CONFIGS[case]
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelError, match=message):
        hub.read_config(tmp_path, "tokenizer")


def test_a_file_is_replaced_whole_or_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    atomic.write_text(path, "first Λ")
    with pytest.raises(TypeError, match="bytes-like"), atomic.replacing(path) as file:
        file.writelines([b"half of the sec", "ond"])
    assert path.read_text(encoding="utf-8") == "first Λ"
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_fetched_file_is_whole_and_the_right_one_or_not_there(tmp_path):
    content = b"weights"
    right = tmp_path / f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    wrong = tmp_path / "net-00000000.pth"
    for path in (right, wrong):
        path.write_bytes(content)
    hub.fetch(right.as_uri(), tmp_path / "deep" / "net.pth")
    assert (tmp_path / "deep" / "net.pth").read_bytes() == content
    for address in (wrong.as_uri(), (tmp_path / "none-00000000.pth").as_uri()):
        with pytest.raises(ModelError, match="cannot fetch"):
            hub.fetch(address, tmp_path / "deep" / "other.pth")
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["net.pth"]
